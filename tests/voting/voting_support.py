"""What the tests of category voting share: shorthands for calls, and a look at the logs."""

from __future__ import annotations

from typing import Any

from masc_core.identity import Client
from masc_core.records import EVENTS, Event
from masc_core.store.collections import LogView
from masc_core.store.transaction import Transaction
from masc_core.testing import MascApp

Result = dict[str, Any]


async def create(masc: MascApp, options: str = "A B C", **arguments: Any) -> Result:
    """Create a vote by ``claude`` on one-word options; the result."""
    proposer = arguments.pop("proposer", "claude")
    return await masc.call("masc_vote_create", proposer, topic="Which?", options=options.split(), **arguments)


async def cast(masc: MascApp, agent: str, choice: str | None = None, vote_id: str = "vote-001", **more: Any) -> Result:
    """Cast a ballot; the result."""
    if choice is not None:
        more["choice"] = choice
    return await masc.call("masc_vote_cast", agent, vote_id=vote_id, **more)


async def status(masc: MascApp, vote_id: str = "vote-001") -> Result:
    """The result of masc_vote_status."""
    return await masc.call("masc_vote_status", vote_id=vote_id)


async def listed(masc: MascApp, **arguments: Any) -> list[str]:
    """The ids that masc_votes lists."""
    result = await masc.call("masc_votes", **arguments)
    assert result["count"] == len(result["votes"])
    return [vote["id"] for vote in result["votes"]]


async def events(masc: MascApp, type: str = "vote_resolved") -> list[Event]:
    """The events of one type, oldest first."""
    every = await LogView(EVENTS, Transaction(masc.kernel.start_room.driver)).read(limit=100_000)
    return [event for event in every if event.type == type]


async def messages(masc: MascApp, text: str) -> list[str]:
    """The system messages that contain a text, oldest first."""
    given: dict[str, Any] = {"from": "system", "limit": 100}
    page = await masc.call("masc_messages", **given)
    return [m["content"] for m in reversed(page["messages"]) if text in m["content"]]


def admin() -> Client:
    """A person at the command line."""
    return Client(transport="local", source="local", person="human:root")
