"""Nobody but its two agents reads a portal, whichever tool they try."""

from __future__ import annotations

from typing import Any

from portal_support import ask, opened, status

from masc_core.testing import ManualClock, MascApp

DAY = 86_400
MARK = "qzxmark"
# What the spies try beyond the examples of each contract.
TRIES: dict[str, list[dict[str, Any]]] = {
    "masc_messages": [{"limit": 100}, {"since_seq": 1, "limit": 100}, {"from": "claude"}, {"mentions_me": True}],
    "masc_listen": [{"timeout": 1, "since_seq": 0, "include_system": True}],
    "masc_archive_view": [{"limit": 200}, {"query": MARK}, {"query": "a2a-"}, {"query": "claude"}],
    "masc_tasks": [{"status": "all"}, {"assignee": "gemini", "status": "all"}],
    "masc_agents": [{"include_inactive": True}],
    "masc_portal_status": [{"limit": 100}, {"peek": True}],
    "masc_portal_send": [
        {"message": "x"},
        {"message": "x", "to": "gemini"},
        {"message": "x", "reply_to": "a2a-000001"},
        {"message": "x", "reply_to": "a2a-000001", "result_status": "completed"},
        {"message": "x", "reply_to": "a2a-000003", "result_status": "failed"},
        {"message": "x", "reply_to": "a2a-000001", "to": "gemini"},
    ],
    "masc_portal_close": [{}, {"to": "claude"}, {"to": "gemini"}],
    "masc_portal_open": [{"target_agent": "claude"}],
    "masc_claim": [{"task_id": "a2a-000001"}],
    "masc_transition": [{"task_id": "a2a-000001", "action": "done"}],
    "masc_update_priority": [{"task_id": "a2a-000001", "priority": 1}],
    "masc_add_task": [{"title": "t", "depends_on": ["a2a-000001"]}],
    "masc_gc": [{"dry_run": True}, {"days": 1}],
}
SKIPPED = {
    "masc_set_room": "it leads to another room",
    "masc_worktree_create": "it reads git alone",
    "masc_worktree_remove": "it reads git alone",
    "masc_worktree_list": "it reads git alone",
    "masc_auth_enable": "it would shut everybody out",
    "masc_leave": "called last",
    "masc_reset": "called last",
}


async def spy(masc: MascApp, tool: str, arguments: dict[str, Any], agent: str = "codex") -> str:
    """All that ``agent`` gets to see from one call."""
    if masc.kernel.registry.contracts[tool].tool.caller.value != "none":
        arguments = {**arguments, "agent_name": agent}
    outcome = await masc.outcome(tool, **arguments)
    return f"{outcome.text}\n{outcome.structured}"


async def nothing_leaks(masc: MascApp) -> None:
    contracts = masc.kernel.registry.contracts
    for tool, contract in contracts.items():
        if tool in SKIPPED:
            continue
        examples = [] if tool == "masc_listen" else [dict(e) for e in contract.tool.examples]  # it would wait
        for arguments in [*TRIES.get(tool, ()), *examples]:
            seen = await spy(masc, tool, {k: v for k, v in arguments.items() if k != "agent_name"})
            assert MARK not in seen.replace(f"'query': '{MARK}'", ""), (tool, arguments, seen)


async def planted(masc: MascApp) -> None:
    """A portal full of markers: unread, running, answered, refused, canceled."""
    await opened(masc, "gemini")
    await masc.call("masc_join", "codex")
    answered, failed = await ask(masc, f"{MARK} one"), await ask(masc, f"{MARK} two @codex @all")
    await ask(masc, f"{MARK} three")
    await status(masc, "gemini")
    await ask(masc, f"{MARK} four @@codex", agent="gemini")
    await masc.call("masc_portal_send", "gemini", message=f"{MARK} r", reply_to=answered, result_status="completed")
    await masc.call("masc_portal_send", "gemini", message=f"{MARK} r", reply_to=failed, result_status="failed")


async def test_a_third_agent_sees_nothing_of_an_open_portal(masc: MascApp) -> None:
    await planted(masc)
    await nothing_leaks(masc)
    both = f"{await status(masc, 'claude')}{await status(masc, 'gemini')}"
    assert both.count(MARK) > 4, "the two themselves still read it"


async def test_a_third_agent_sees_nothing_of_a_closed_or_archived_portal(masc: MascApp, clock: ManualClock) -> None:
    await planted(masc)
    await masc.call("masc_portal_close", "claude")
    await nothing_leaks(masc)
    await clock.advance(30 * DAY)
    assert (await masc.call("masc_gc"))["archived"]["portal_task"] >= 4
    await masc.call("masc_join", "codex")
    await nothing_leaks(masc)
    for tool in ("masc_leave", "masc_reset"):
        assert MARK not in await spy(masc, tool, {"confirm": True} if tool == "masc_reset" else {})


async def test_every_tool_was_tried(masc: MascApp) -> None:
    tools = set(masc.kernel.registry.contracts)
    assert set(TRIES) | set(SKIPPED) <= tools


async def test_a_foreign_task_is_refused_exactly_like_one_that_is_not_there(masc: MascApp) -> None:
    await planted(masc)
    await masc.call("masc_portal_open", "codex", target_agent="claude")
    refusals = []
    for task in ("a2a-000001", "a2a-000777"):
        error = await masc.error("masc_portal_send", "codex", message="x", reply_to=task, result_status="failed")
        refusals.append(str(error).replace(task, "ID"))
    assert refusals[0] == refusals[1]


async def test_others_learn_no_counts(masc: MascApp) -> None:
    await planted(masc)
    assert (await masc.call("masc_status", "codex"))["unread"]["portal_tasks"] == 0
    assert await status(masc, "codex") == {"status": "no_portal", "portals": [], "unread_total": 0}
