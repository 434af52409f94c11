"""Ending votes: the record, its event and its message in one change, and the deadlines that bring it about.

A deadline is acted upon by whoever comes first, the timer or a call that meets the vote. Reading tools do so too, in a unit
of work of its own: it is bookkeeping that happens anyway within seconds, and its actor is the system.
"""

from __future__ import annotations

import json
from functools import partial

from masc_core import ADMIN, Caller, Context
from masc_core.clock import soon_after
from masc_core.frozen import evolve
from masc_core.store.collections import View
from masc_plugin_voting.records import VOTES, Vote
from masc_plugin_voting.rules import at_deadline, is_overdue, missing_votes, tally

__all__ = ["announce_end", "current", "overdue", "quoted", "settle_overdue", "votes_of"]

BATCH = 100
_JSON = json.JSONEncoder(ensure_ascii=False).encode


def votes_of(ctx: Context) -> View[Vote]:
    """The room's votes in the present unit of work."""
    return ctx.collection(VOTES)


def quoted(text: str) -> str:
    """A text in quotes it cannot leave, so that what it says is not taken for what the system says."""
    return _JSON(text)


def announce_end(ctx: Context, vote: Vote) -> None:
    """Write the event and the message of a vote that this unit of work ends."""
    won = {"winner": vote.winner} if vote.winner is not None else {}
    ctx.event("vote_resolved", vote.id, previous="pending", status=vote.status, voters=len(vote.votes), **won)
    ctx.system_message(f"{vote.id} {_outcome(vote)}: {quoted(vote.topic)}")


def _outcome(vote: Vote) -> str:
    if vote.status == "approved":
        return f"approved {quoted(vote.winner or '')} with {tally(vote)[vote.winner or '']} of {len(vote.votes)} votes"
    if vote.status == "tied":
        return f"tied with {len(vote.votes)} votes"
    if vote.status == "expired":
        return f"expired with {missing_votes(vote)} of {vote.required_votes} votes missing"
    return "cancelled"


async def current(ctx: Context, vote_id: str) -> Vote:
    """The vote as it stands now, its deadline acted upon. Raises :class:`VoteNotFound`.

    One that is pending must be unchanged when this unit of work commits. The deadline is met in a unit of work of its own,
    so that it stands also when the present one is refused.
    """
    vote = await votes_of(ctx).get(vote_id)
    if not is_overdue(vote, ctx.now):
        return vote
    if (settled := await ctx.transact(partial(_settle, vote_id=vote_id, now=ctx.now))) is None:
        raise votes_of(ctx).missing(vote_id)
    return settled


async def overdue(ctx: Context, now: str, limit: int = 100_000) -> list[Vote]:
    """Stored as pending although the deadline came by ``now``, the longest overdue first."""
    due = await votes_of(ctx).scan("due", high=soon_after(now), limit=limit)
    return [vote for vote in due if is_overdue(vote, now)]


async def settle_overdue(ctx: Context, now: str | None = None) -> None:
    """End every vote whose deadline came by ``now`` (default: by now), each in a unit of work of its own."""
    by = now or ctx.now
    while found := await ctx.transact(partial(overdue, now=by, limit=BATCH)):
        for vote in found:
            await ctx.transact(partial(_settle, vote_id=vote.id, now=by))


async def _settle(work: Context, vote_id: str, now: str) -> Vote | None:
    """End the vote if nobody has; ``None`` when it is gone, archived or removed by a reset."""
    vote = await votes_of(work).find(vote_id)
    if vote is None or not is_overdue(vote, now):
        return vote
    stored = votes_of(work).put(at_deadline(vote))
    announce_end(evolve(work, caller=Caller("system", ADMIN, "local")), stored)
    return stored
