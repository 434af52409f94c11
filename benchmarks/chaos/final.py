"""What is there when everything is over, as a process reads it that knows nothing of before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from common import structured
from mcp.client.client import Client

from .history import Final, Operation

__all__ = ["read_final"]


async def read_final(client: Client, operations: Sequence[Operation]) -> Final:
    """Messages, tasks and votes of the room."""
    ids = {o.result["vote"]["id"] for o in operations if o.outcome == "ok" and "vote" in o.result}
    listed = (await structured(client, "masc_votes", limit=100))["votes"]
    ids |= {vote["id"] for vote in listed}
    votes = []
    for id in sorted(ids):
        found = await client.call_tool("masc_vote_status", {"vote_id": id})
        if not found.is_error:
            votes.append(dict(found.structured_content or {})["vote"])
    return Final(await _messages(client), await _tasks(client), votes)


async def _messages(client: Client) -> list[dict[str, Any]]:
    newest = await structured(client, "masc_messages", limit=1)
    if newest["first_seq"] == 0:
        return []
    # A page begins after a number from 1 on, so the first message is known by its number alone.
    found: list[dict[str, Any]] = [{"seq": newest["first_seq"], "type": "system", "content": ""}]
    more = True
    while more:
        page = await structured(client, "masc_messages", since_seq=found[-1]["seq"], limit=100)
        found += page["messages"]
        more = page["more"]
    return found


async def _tasks(client: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    more = True
    while more:
        page = await structured(client, "masc_tasks", status="all", limit=200, offset=len(found))
        found += page["tasks"]
        more = page["more"]
    return found
