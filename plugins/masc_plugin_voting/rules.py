"""The vote as a state machine, without store or clock: votes in, votes out.

A pending vote ends once, by a cast, by its deadline or by being cancelled; every function that ends one takes a pending
vote and gives one that nothing here changes any more.
"""

from __future__ import annotations

import unicodedata

from masc_core.frozen import evolve
from masc_plugin_voting.records import Vote, VoteStatus

__all__ = [
    "after_cast",
    "at_deadline",
    "ballot_of",
    "cancelled",
    "is_eligible",
    "is_overdue",
    "likeness",
    "missing_votes",
    "option_named",
    "tally",
    "with_ballot",
]


def tally(vote: Vote) -> dict[str, int]:
    """How many chose each option, in the order of the options; an option nobody chose has 0."""
    counts = dict.fromkeys(vote.options, 0)
    for choice in vote.votes.values():
        counts[choice] += 1
    return counts


def missing_votes(vote: Vote) -> int:
    """Votes still missing to ``required_votes``."""
    return max(0, vote.required_votes - len(vote.votes))


def likeness(text: str) -> str:
    """The same for texts that look alike: no case, one way to write an accent or a width, nothing invisible."""
    if text.isascii():
        return " ".join(text.casefold().split())
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    seen = "".join(c for c in folded if unicodedata.category(c) != "Cf")
    return " ".join(unicodedata.normalize("NFKC", seen).split())


def option_named(vote: Vote, choice: str) -> str | None:
    """The option a choice means: exact or looking the same, case ignored."""
    if choice in vote.options:
        return choice
    wanted = likeness(choice)
    return next((option for option in vote.options if likeness(option) == wanted), None)


def is_eligible(vote: Vote, agent: str) -> bool:
    """The agent may vote."""
    return vote.eligible is None or agent.lower() in {name.lower() for name in vote.eligible}


def ballot_of(vote: Vote, agent: str) -> str | None:
    """What the agent chose, ``None`` before its first vote."""
    return next((choice for name, choice in vote.votes.items() if name.lower() == agent.lower()), None)


def with_ballot(vote: Vote, agent: str, choice: str) -> Vote:
    """The vote with the agent's choice in place of an earlier one; an agent has one ballot, however its name is spelt."""
    others = {name: chosen for name, chosen in vote.votes.items() if name.lower() != agent.lower()}
    return evolve(vote, votes={**others, agent: choice})


def is_overdue(vote: Vote, now: str) -> bool:
    """Pending, although its deadline has come."""
    return vote.status == "pending" and vote.deadline is not None and vote.deadline <= now


def after_cast(vote: Vote, now: str) -> Vote:
    """A pending vote whose deadline has not come, evaluated after a ballot: ended, or as it was."""
    if missing_votes(vote):
        return vote
    winner = _winner(vote)
    if winner is None and vote.deadline is not None and _may_be_broken(vote):
        return vote
    return _ended(vote, "tied" if winner is None else "approved", now, winner)


def at_deadline(vote: Vote) -> Vote:
    """A pending vote as its deadline leaves it; it ended at the deadline, whoever noticed when."""
    assert vote.deadline is not None
    if missing_votes(vote):
        return _ended(vote, "expired", vote.deadline)
    winner = _winner(vote)
    return _ended(vote, "tied" if winner is None else "approved", vote.deadline, winner)


def cancelled(vote: Vote, now: str) -> Vote:
    """A pending vote, called off."""
    return _ended(vote, "cancelled", now)


def _ended(vote: Vote, status: VoteStatus, at: str, winner: str | None = None) -> Vote:
    return evolve(vote, status=status, winner=winner, resolved_at=at)


def _winner(vote: Vote) -> str | None:
    """The option that is alone on top."""
    counts = tally(vote)
    top = max(counts.values())
    leading = [option for option, count in counts.items() if count == top]
    return leading[0] if len(leading) == 1 else None


def _may_be_broken(vote: Vote) -> bool:
    """Somebody who may vote has not: with an eligible list one of it, without one there may always be another agent."""
    voted = {name.lower() for name in vote.votes}
    return vote.eligible is None or any(name.lower() not in voted for name in vote.eligible)
