"""Messages, mentions and listening, as comm.md accepts them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from masc_core.records import PRESENCE
from masc_core.store.collections import View
from masc_core.store.driver import Committed
from masc_core.store.transaction import Transaction
from masc_core.testing import ManualClock, MascApp
from masc_plugin_comm.mentions import find_tokens

BOUND = 20.0


async def send(masc: MascApp, count: int, agent: str = "claude") -> None:
    for number in range(count):
        await masc.call("masc_broadcast", agent, message=f"message {number}")


def numbers(result: dict[str, Any]) -> list[int]:
    return [message["seq"] for message in result["messages"]]


async def settle() -> None:
    for _ in range(200):
        await asyncio.sleep(0)


async def test_paging_with_since_seq_skips_and_repeats_nothing(masc: MascApp) -> None:
    await send(masc, 25)
    seen: list[int] = []
    while True:
        page = await masc.call("masc_messages", since_seq=seen[-1] if seen else 1, limit=7)
        seen += numbers(page)
        if not page["more"]:
            break
    assert seen == list(range(2, 27))


async def test_without_since_seq_the_newest_come_first(masc: MascApp) -> None:
    await send(masc, 5)
    page = await masc.call("masc_messages", limit=2)
    assert (numbers(page), page["first_seq"], page["last_seq"], page["more"]) == ([6, 5], 1, 6, True)


async def test_messages_are_filtered_by_sender_mention_and_type(masc: MascApp) -> None:
    await masc.call("masc_join", "gemini")
    await masc.call("masc_broadcast", "claude", message="for @gemini")
    await masc.call("masc_broadcast", "gemini", message="for nobody")
    assert numbers(await masc.call("masc_messages", **{"from": "claude"})) == [3]
    assert numbers(await masc.call("masc_messages", **{"from": "system"})) == [2, 1]
    assert numbers(await masc.call("masc_messages", "gemini", mentions_me=True)) == [3]
    assert numbers(await masc.call("masc_messages", include_system=False)) == [4, 3]
    assert (await masc.error("masc_messages", mentions_me=True))["code"] == "agent_name_required"


async def test_twenty_five_unread_come_in_two_portions(masc: MascApp) -> None:
    await masc.call("masc_join", "gemini")
    await send(masc, 25)
    first = await masc.call("masc_listen", "gemini")
    second = await masc.call("masc_listen", "gemini")
    assert (len(first["messages"]), first["more"]) == (20, True)
    assert (len(second["messages"]), second["more"]) == (5, False)
    assert len({*numbers(first), *numbers(second)}) == 25


async def test_a_filtered_page_does_not_hide_what_it_left_out(masc: MascApp) -> None:
    await masc.call("masc_join", "gemini")
    await send(masc, 3)
    await masc.call("masc_messages", "gemini", limit=1)
    assert len((await masc.call("masc_listen", "gemini"))["messages"]) == 3


async def test_an_undelivered_answer_moves_nothing(masc: MascApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("masc_plugin_comm.handing.PATIENCE", 0.0)
    await masc.call("masc_join", "gemini")
    await send(masc, 2)
    outcome = await masc.kernel.call("masc_listen", {"agent_name": "gemini"}, masc.client())
    again = await masc.call("masc_listen", "gemini")
    assert numbers(dict(outcome.structured)) == numbers(again)


async def test_the_next_request_can_overtake_a_delivery(masc: MascApp) -> None:
    await masc.call("masc_join", "gemini")
    await send(masc, 25)
    first = await masc.kernel.call("masc_listen", {"agent_name": "gemini"}, masc.client())
    # The client has the answer, and asks again before the server gets to know.
    second = asyncio.create_task(masc.call("masc_listen", "gemini"))
    await settle()
    assert not second.done()
    for callback in first.delivered:
        await callback()
    assert not {*numbers(dict(first.structured))} & {*numbers(await second)}


async def test_a_waiting_listener_is_woken_by_a_message(masc: MascApp) -> None:
    await masc.call("masc_join", "gemini")
    waiting = asyncio.create_task(masc.call("masc_listen", "gemini"))
    await settle()
    await send(masc, 1)
    heard = await asyncio.wait_for(waiting, 20)
    assert [m["content"] for m in heard["messages"]] == ["message 0"]
    assert heard["timed_out"] is False


@pytest.mark.parametrize("cancelled", [0, 1])
async def test_of_two_calls_that_listen_one_may_end_and_the_agent_listens_on(masc: MascApp, cancelled: int) -> None:
    await masc.call("masc_join", "gemini")

    async def marks() -> int:
        presence = (await View(PRESENCE, Transaction(masc.kernel.start_room.driver)).peek(["gemini"]))[0]
        assert presence is not None
        return len(presence.listening)

    waiting = []
    async with asyncio.timeout(BOUND):
        for timeout in (300, 100):
            waiting.append(asyncio.create_task(masc.call("masc_listen", "gemini", timeout=timeout)))
            while await marks() < len(waiting):
                await asyncio.sleep(0)
        for task, status in ((waiting[cancelled], "listening"), (waiting[1 - cancelled], "active")):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert [a["status"] for a in (await masc.call("masc_who"))["agents"]] == [status]


async def test_a_mark_that_a_slow_store_takes_late_makes_the_wait_no_longer(
    masc: MascApp, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await masc.call("masc_join", "gemini")
    written, answered = asyncio.Event(), asyncio.Event()
    driver = masc.kernel.start_room.driver
    commit = driver.commit

    async def slow(*given: Any) -> Committed:
        committed = await commit(*given)
        written.set()
        await answered.wait()
        return committed

    monkeypatch.setattr(driver, "commit", slow)
    waiting = asyncio.create_task(masc.call("masc_listen", "gemini", timeout=50))
    async with asyncio.timeout(BOUND):
        await written.wait()
        await clock.advance(55)
        answered.set()
        heard = await waiting
    assert (heard["timed_out"], heard["waited_seconds"]) == (True, 55)


async def test_a_cancelled_listener_leaves_no_mark(masc: MascApp) -> None:
    await masc.call("masc_join", "gemini")
    await masc.call("masc_join", "claude")
    waiting = asyncio.create_task(masc.call("masc_listen", "gemini"))
    while (await masc.call("masc_who"))["agents"][1]["status"] != "listening":
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await masc.call("masc_who"))["agents"][1]["mark"] == "working"


@pytest.mark.parametrize("masc", ["memory"], indirect=True)
async def test_running_out_of_time_is_success(masc: MascApp, clock: ManualClock) -> None:
    await masc.call("masc_join", "gemini")
    waiting = asyncio.create_task(masc.call("masc_listen", "gemini", timeout=100))
    await settle()
    await clock.advance(101)
    heard = await asyncio.wait_for(waiting, 20)
    assert (heard["messages"], heard["timed_out"], heard["waited_seconds"]) == ([], True, 100)


async def test_mentions_are_resolved_and_hide_nothing(masc: MascApp) -> None:
    await masc.call("masc_join", "gemini")
    sent = await masc.call("masc_broadcast", "claude", message="mail bob@example.org, @@codex and @nobody")
    assert [(m["kind"], m["token"]) for m in sent["mentions"]] == [("type", "codex"), ("unknown", "nobody")]
    assert sent["unknown_mentions"] == ["nobody"]
    assert numbers(await masc.call("masc_listen", "gemini")) == [sent["seq"]]


async def test_a_mention_waits_for_an_inactive_agent(masc: MascApp) -> None:
    await masc.call("masc_join", "gemini")
    await masc.call("masc_leave", "gemini")
    sent = await masc.call("masc_broadcast", "claude", message="@gemini later")
    await masc.call("masc_join", "gemini")
    assert (await masc.call("masc_status", "gemini"))["unread"]["mentions"] == 1
    assert sent["seq"] in numbers(await masc.call("masc_listen", "gemini"))


async def test_all_means_every_live_agent_but_the_sender(masc: MascApp) -> None:
    for name in ("gemini", "codex", "claude"):
        await masc.call("masc_join", name)
    sent = await masc.call("masc_broadcast", "claude", message="@all")
    assert sent["mentions"] == [{"token": "all", "kind": "all", "agents": ["codex", "gemini"]}]


def test_tokens_end_before_trailing_dashes_and_are_counted_once() -> None:
    assert find_tokens("@a-b-- @A-B x@c @@@d @@a-b, -@e") == [(False, "a-b"), (True, "a-b"), (False, "e")]
    assert len(find_tokens(" ".join(f"@n{i}" for i in range(60)))) == 50


async def test_too_long_a_message_uses_no_number(masc: MascApp) -> None:
    await send(masc, 1)
    assert (await masc.error("masc_broadcast", "claude", message="a" * 50_001))["code"] == "invalid_argument"
    assert (await masc.call("masc_messages"))["last_seq"] == 2


async def test_text_is_kept_and_only_its_line_is_escaped(masc: MascApp) -> None:
    text = "<script>alert(1)</script>|a\\\nb"
    outcome = await masc.outcome("masc_broadcast", agent_name="claude", message=text)
    line = outcome.text.splitlines()[0]
    assert line.startswith("MSG|claude|all|")
    assert line.endswith("|<script>alert(1)</script>\\|a\\\\\\nb")
    assert (await masc.call("masc_messages", limit=1))["messages"][0]["content"] == text


async def test_a_reply_needs_a_message(masc: MascApp) -> None:
    await send(masc, 1)
    assert (await masc.error("masc_broadcast", "claude", message="a", reply_to=99))["details"]["field"] == "reply_to"
    assert "seq" in await masc.call("masc_broadcast", "claude", message="a", reply_to=2)


async def test_reset_asks_first_and_keeps_numbering(masc: MascApp) -> None:
    await masc.call("masc_add_task", "claude", title="one")
    assert (await masc.error("masc_reset"))["code"] == "confirm_required"
    done = await masc.call("masc_reset", confirm=True)
    assert done["removed"]["tasks"] == 1
    assert (await masc.call("masc_add_task", "claude", title="two"))["task"]["id"] == "task-002"
