"""On whose behalf a call runs."""

from __future__ import annotations

from typing import Any

import pytest

from masc_core.identity import Bindings, Client, process_binding
from masc_core.testing import ManualClock, MascApp


async def add(masc: MascApp, client: Client, **arguments: Any) -> dict[str, Any]:
    """Add a task; its created_by tells who the caller was."""
    return dict((await masc.outcome("masc_add_task", client, title="T", **arguments)).structured)


async def test_without_any_name_the_actor_is_anonymous_and_callers_are_required(masc: MascApp) -> None:
    """Acceptance 5 of model.md."""
    assert (await masc.call("masc_add_task", title="T"))["task"]["created_by"] == "anonymous"
    assert (await masc.error("masc_claim", task_id="task-001"))["code"] == "agent_name_required"
    assert "error" not in await masc.call("masc_status")


async def test_the_endpoint_goes_before_the_argument_which_is_warned_of(masc: MascApp) -> None:
    client = masc.client(agent="claude")
    result = await add(masc, client, agent_name="gemini")
    assert result["task"]["created_by"] == "claude"
    assert result["warnings"][0]["code"] == "agent_name_ignored"
    assert "warnings" not in await add(masc, client, agent_name="Claude")


async def test_a_name_fits_by_requested_name_or_type_when_it_is_the_only_one(masc: MascApp) -> None:
    await masc.call("masc_join", "claude-opus")
    assert (await masc.call("masc_add_task", "claude", title="T"))["task"]["created_by"] == "claude-opus"
    await masc.call("masc_join", "claude-sonnet")
    error = await masc.error("masc_add_task", "claude", title="T")
    assert error["code"] == "ambiguous_agent"
    assert error["details"]["candidates"] == ["claude-opus", "claude-sonnet"]


async def test_a_name_is_shown_as_first_written(masc: MascApp) -> None:
    await masc.call("masc_join", "Claude")
    assert (await masc.call("masc_add_task", "cLAUDE", title="T"))["task"]["created_by"] == "Claude"


async def test_a_call_revives_a_silent_agent(masc: MascApp, clock: ManualClock) -> None:
    await masc.call("masc_join", "claude")
    await clock.advance(301)
    assert (await masc.call("masc_status"))["agents"][0]["is_zombie"] is True
    assert (await masc.call("masc_status", "claude"))["agents"][0]["is_zombie"] is False


@pytest.mark.parametrize("name", ["system", "All", "x" * 65, "a b", "\ud800"])
async def test_no_call_acts_for_a_name_that_is_none(masc: MascApp, name: str) -> None:
    assert (await masc.error("masc_add_task", name, title="T"))["code"] == "invalid_agent_name"


@pytest.mark.parametrize("names", [("agent_name", "message"), ("message", "agent_name")])
async def test_the_first_wrong_argument_is_named_the_callers_among_them(masc: MascApp, names: tuple[str, str]) -> None:
    await masc.call("masc_join", "claude")
    arguments = {name: ["\0"] for name in names}
    error = (await masc.kernel.call("masc_broadcast", arguments, masc.client(agent="claude"))).error
    assert error is not None
    assert error.details["field"] == f"{names[0]}.0"


def test_bindings_end_with_their_process_or_session() -> None:
    bindings = Bindings()
    own = process_binding()
    host = own.split(":")[1]
    assert not bindings.ended(own)
    assert bindings.ended(f"process:{host}:{2**22 + 1}:1.00")
    assert bindings.ended(own[:-1] + ("1" if own[-1] == "0" else "0"))
    assert not bindings.ended("process:elsewhere:1:1.00")
    assert not bindings.ended("agent:claude")
    session = f"session:x@{own.partition(':')[2]}"
    assert bindings.ended(session)
    bindings.sessions.add(session)
    assert not bindings.ended(session)


async def test_who_calls_is_asked_for_by_the_tools_own_parameter(masc: MascApp) -> None:
    """A name given under another parameter is what the answer is about."""
    error = await masc.error("masc_vote_create", topic="t", options=["a", "b"])
    assert (error["code"], error["details"]) == ("agent_name_required", {"tool": "masc_vote_create"})
    assert "pass proposer," in error["message"]
    assert "pass agent_name," in (await masc.error("masc_claim", task_id="task-001"))["message"]
    for tool, given, known in (
        ("masc_vote_create", {"agent_name": "x", "topic": "t", "options": ["a", "b"]}, "proposer"),
        ("masc_vote_cast", {"proposer": "x", "vote_id": "vote-001", "choice": "a"}, "agent_name"),
    ):
        outcome = await masc.outcome(tool, **given)
        assert outcome.error is not None and outcome.error.code == "invalid_argument", outcome.text
        assert outcome.error.details["reason"] == "unknown" and known in outcome.text
    assert (await masc.outcome("masc_claim", agnet_name=None, task_id="x")).structured["error"]["code"] == (
        "agent_name_required"
    )
