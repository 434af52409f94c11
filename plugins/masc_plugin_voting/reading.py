"""masc_vote_status and masc_votes: how votes stand, their deadlines acted upon."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from masc_core import READ, READER, Bound, Context, tool
from masc_core.clock import parse_time
from masc_core.frozen import frozen
from masc_core.remembered import Rows, all_shared, remembered, remembered_together, share
from masc_plugin_voting.cast import VoteId
from masc_plugin_voting.errors import VoteNotFound
from masc_plugin_voting.records import Vote, VoteStatus
from masc_plugin_voting.resolution import current, overdue, settle_overdue, votes_of
from masc_plugin_voting.rules import missing_votes, tally

__all__ = ["ListedVote", "Standing", "Votes", "masc_vote_status", "masc_votes"]

Filter = Literal["all", "pending", "approved", "tied", "expired", "cancelled"]
PageSize = Annotated[int, Bound(minimum=1, maximum=100)]


@frozen
class Standing:
    """One vote as it stands."""

    vote: Vote
    tally: dict[str, int]
    voters: int
    remaining: int
    seconds_left: int | None = None
    """Whole seconds to the deadline of a pending vote, rounded up."""


@frozen(kw_only=True)
class ListedVote:
    """A vote record with its tally."""

    id: str
    topic: str
    status: VoteStatus
    tally: dict[str, int]
    winner: str | None = None
    proposer: str
    options: list[str]
    votes: dict[str, str]
    required_votes: int
    eligible: list[str] | None = None
    deadline: str | None = None
    created_at: str
    resolved_at: str | None = None
    version: int


@remembered
def listed(vote: Vote) -> ListedVote:
    """The line of a vote."""
    return ListedVote(
        id=vote.id,
        topic=vote.topic,
        status=vote.status,
        tally=tally(vote),
        winner=vote.winner,
        proposer=vote.proposer,
        options=vote.options,
        votes=vote.votes,
        required_votes=vote.required_votes,
        eligible=vote.eligible,
        deadline=vote.deadline,
        created_at=vote.created_at,
        resolved_at=vote.resolved_at,
        version=vote.version,
    )


def _lines(votes: list[Vote]) -> list[ListedVote]:
    """The lines of a page: for the same votes the same list, of which also what is made of it later is remembered."""

    def together() -> list[ListedVote]:
        # What is too much to keep is kept as nothing.
        return share(Rows(map(listed, votes))) if all_shared(votes) else []

    known = remembered_together(votes, listed, together) if votes else []
    return known or [listed(vote) for vote in votes]


@frozen
class Votes:
    """A page of votes: pending ones first, then the newest."""

    votes: list[ListedVote]
    count: int
    total: int
    more: bool


@tool(
    effect=READ,
    role=READER,
    errors=(VoteNotFound,),
    examples=({"vote_id": "vote-001"},),
    keywords=(
        "result outcome tally count won who lead stand end decide going vote options decision settled show how "
        "everyone already over; winner win majority time left missing current score turnout particular reach quorum "
        "enough voters close yet details single passed ahead accepted agreed"
    ),
)
async def masc_vote_status(ctx: Context, vote_id: VoteId) -> Standing:
    """Show how a vote stands or ended."""
    vote = await current(ctx, vote_id)
    left = None
    if vote.status == "pending" and vote.deadline is not None:
        left = max(0, math.ceil(parse_time(vote.deadline) - parse_time(ctx.now)))
    return Standing(vote, tally(vote), len(vote.votes), missing_votes(vote), left)


@tool(
    effect=READ,
    role=READER,
    examples=({"status": "pending"},),
    keywords=(
        "show vote open run pending end options decision result; ongoing old close going part tied expiring every now "
        "current finish recent history overview upcoming undecided anything decided missed"
    ),
)
async def masc_votes(ctx: Context, status: Filter = "all", limit: PageSize = 20) -> Votes:
    """List votes, pending ones first."""
    counts = await votes_of(ctx).count("status")
    # By the time of this very unit of work, so that nothing listed as pending below is past its deadline.
    if counts.get("pending") and await overdue(ctx, ctx.now, limit=1):
        await settle_overdue(ctx, ctx.now)
        counts = await votes_of(ctx).count("status")
    total = sum(counts.values()) if status == "all" else counts.get(status, 0)
    found = await _page(ctx, status, limit + 1)
    shown = _lines(found[:limit])
    return Votes(shown, len(shown), total, more=len(found) > limit)


async def _page(ctx: Context, status: Filter, limit: int) -> list[Vote]:
    votes = votes_of(ctx)
    if status != "all":
        return await votes.scan("status", status, limit=limit, reverse=True)
    found = await votes.scan("status", "pending", limit=limit, reverse=True)
    if len(found) < limit:
        found += await votes.scan("ended", limit=limit - len(found), reverse=True)
    return found
