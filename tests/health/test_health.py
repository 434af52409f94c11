"""Presence and clean-up, as health.md accepts them."""

from __future__ import annotations

from masc_core.testing import ManualClock, MascApp

DAY = 86_400


async def test_a_silent_agent_loses_task_and_lock(masc: MascApp, clock: ManualClock) -> None:
    await masc.call("masc_add_task", "claude", title="t")
    await masc.call("masc_claim", "claude", task_id="task-001")
    await masc.call("masc_lock", "claude", file_path="a")
    await clock.advance(301)
    cleaned = (await masc.call("masc_cleanup_zombies"))["cleaned"]
    assert [(c["agent"], c["tasks_released"], c["locks_released"]) for c in cleaned] == [
        ("claude", ["task-001"], ["a"])
    ]
    assert (await masc.call("masc_tasks"))["tasks"][0]["status"] == "todo"
    listed = (await masc.call("masc_agents", include_inactive=True))["agents"]
    assert [a["status"] for a in listed] == ["inactive"]
    assert (await masc.call("masc_cleanup_zombies")) == {"cleaned": [], "count": 0}


async def test_announced_silence_keeps_an_agent_live(masc: MascApp, clock: ManualClock) -> None:
    await masc.call("masc_join", "claude")
    beat = await masc.call("masc_heartbeat", "claude", silent_for=1800)
    assert beat["alive_until"] > beat["last_seen"]
    await clock.advance(1200)
    assert (await masc.call("masc_agents"))["agents"][0]["is_zombie"] is False
    await clock.advance(601)
    assert (await masc.call("masc_who"))["agents"][0]["mark"] == "zombie"
    assert "alive_until" not in await masc.call("masc_heartbeat", "claude")


async def test_an_unknown_or_inactive_agent_has_no_heartbeat(masc: MascApp) -> None:
    await masc.call("masc_join", "claude")
    assert (await masc.error("masc_heartbeat", "gemini"))["code"] == "agent_not_found"
    await masc.call("masc_leave", "claude")
    assert (await masc.error("masc_heartbeat", "claude"))["code"] == "agent_not_found"


async def test_gc_archives_only_what_ended_long_ago(masc: MascApp, clock: ManualClock) -> None:
    for title in ("done", "todo", "claimed"):
        await masc.call("masc_add_task", "claude", title=title)
    await masc.call("masc_claim", "claude", task_id="task-001")
    await masc.call("masc_done", "claude", task_id="task-001")
    kept = await masc.call("masc_broadcast", "claude", message="about task-003")
    await masc.call("masc_broadcast", "claude", message="about task-001")
    await masc.call("masc_leave", "claude")
    await clock.advance(10 * DAY)
    last = (await masc.call("masc_messages"))["last_seq"]
    planned = await masc.call("masc_gc", dry_run=True)
    assert (await masc.call("masc_archive_view"))["total"] == 0
    done = await masc.call("masc_gc")
    assert planned == {**done, "dry_run": True}
    assert done["tasks"] == ["task-001"]
    assert done["archived"]["agent"] == 1
    assert [t["id"] for t in (await masc.call("masc_archive_view"))["tasks"]] == ["task-001"]
    messages = await masc.call("masc_messages", include_system=False)
    assert [m["seq"] for m in messages["messages"]] == [kept["seq"]]
    assert messages["last_seq"] == last
