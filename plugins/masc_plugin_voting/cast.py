"""masc_vote_cast: vote, change one's mind, call a vote off."""

from __future__ import annotations

from typing import Annotated

from masc_core import WORKER, WRITE, Bound, Context, Verbatim, tool
from masc_core.errors import Forbidden, InvalidArgument
from masc_core.frozen import frozen
from masc_core.values import shown
from masc_plugin_voting import rules
from masc_plugin_voting.errors import InvalidChoice, NotEligible, VoteClosed, VoteNotFound
from masc_plugin_voting.records import Vote
from masc_plugin_voting.resolution import announce_end, current, votes_of

__all__ = ["CastBallot", "VoteId", "masc_vote_cast"]

Choice = Annotated[str, Bound(maxLength=200)]
VoteId = Annotated[str, Bound(minLength=1, maxLength=128), Verbatim()]


@frozen
class CastBallot:
    """A vote after the caller's ballot."""

    vote: Vote
    tally: dict[str, int]
    voters: int
    remaining: int
    replaced: bool
    """The caller had chosen something else before."""
    resolved: bool
    """This call ended the vote."""

    @classmethod
    def of(cls, vote: Vote, replaced: bool = False) -> CastBallot:
        """The result for a vote as this call leaves it."""
        ended = vote.status != "pending"
        return cls(vote, rules.tally(vote), len(vote.votes), rules.missing_votes(vote), replaced, ended)


@tool(
    effect=WRITE,
    role=WORKER,
    idempotent=True,
    errors=(VoteNotFound, VoteClosed, InvalidChoice, NotEligible, Forbidden),
    examples=({"agent_name": "gemini", "vote_id": "vote-001", "choice": "SQLite"},),
    keywords=(
        "cast mine choose yes pick change preferences count vote options decision put; submit choice not voice answer "
        "withdraw cancelled propose favour favor against support say abstain select revise mind opinions register "
        "abstention retract pro contra"
    ),
)
async def masc_vote_cast(
    ctx: Context, vote_id: VoteId, choice: Choice | None = None, cancel: bool = False
) -> CastBallot:
    """Vote, or change your vote while it is pending; cancel ends a vote you proposed."""
    if choice is None and not cancel:
        raise InvalidArgument(field="choice", reason="missing", expected="is required unless cancel is true")
    vote = await current(ctx, vote_id)
    if vote.status != "pending":
        raise VoteClosed(vote_id=vote.id, status=vote.status, winner=vote.winner)
    if cancel:
        return _cancel(ctx, vote, choice)
    return _cast(ctx, vote, _option(ctx, vote, choice or ""))


def _option(ctx: Context, vote: Vote, choice: str) -> str:
    if not rules.is_eligible(vote, ctx.agent):
        raise NotEligible(vote_id=vote.id, agent=ctx.agent)
    if (option := rules.option_named(vote, choice)) is None:
        raise InvalidChoice(vote_id=vote.id, choice=shown(choice, 200), options=vote.options)
    return option


def _cast(ctx: Context, vote: Vote, option: str) -> CastBallot:
    previous = rules.ballot_of(vote, ctx.agent)
    if previous == option:
        return CastBallot.of(vote)
    stored = votes_of(ctx).put(rules.after_cast(rules.with_ballot(vote, ctx.agent, option), ctx.now))
    before = {"previous": previous} if previous is not None else {}
    ctx.event("vote_cast", vote.id, choice=option, **before)
    if stored.status != "pending":
        announce_end(ctx, stored)
    return CastBallot.of(stored, replaced=previous is not None)


def _cancel(ctx: Context, vote: Vote, choice: str | None) -> CastBallot:
    if ctx.agent.lower() != vote.proposer.lower() and not ctx.caller.admin:
        raise Forbidden(
            agent=ctx.agent,
            action=f"cancel {vote.id}",
            required_role="admin",
            role=ctx.caller.role.label,
            reason="not_proposer",
            hint=f"ask {vote.proposer}, who proposed it, or an admin",
        )
    if choice is not None:
        ctx.warn("choice_ignored", "the vote was cancelled, so the choice was not counted")
    stored = votes_of(ctx).put(rules.cancelled(vote, ctx.now))
    announce_end(ctx, stored)
    return CastBallot.of(stored)
