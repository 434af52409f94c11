"""The vote record and how votes are found: by status, by age, by deadline, by the time of their end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from attrs import field

from masc_core import Collection, MascError, index
from masc_core.frozen import frozen
from masc_core.store.driver import IndexEntry
from masc_plugin_voting.errors import VoteNotFound

__all__ = ["VOTES", "Vote", "VoteStatus"]

VoteStatus = Literal["pending", "approved", "tied", "expired", "cancelled"]


@frozen
class Vote:
    """A question put to the agents of the room; once its status is not ``pending`` it never changes."""

    id: str
    proposer: str
    topic: str
    options: list[str]
    required_votes: int
    created_at: str
    status: VoteStatus = "pending"
    votes: dict[str, str] = field(factory=dict)
    """The choice of each agent that voted, by the agent's name."""
    eligible: list[str] | None = None
    """Who may vote; everyone when absent."""
    deadline: str | None = None
    winner: str | None = None
    resolved_at: str | None = None
    version: int = 0

    @property
    def number(self) -> int:
        """Votes in the order of their creation."""
        return int(self.id.removeprefix("vote-"))


def _indexes(vote: Vote) -> Iterator[IndexEntry]:
    yield index("status", vote.status, vote.number, counted=True)
    if vote.status != "pending":
        yield index("ended", vote.number)
        yield index("resolved", vote.resolved_at or "")
    elif vote.deadline is not None:
        yield index("due", vote.deadline)


def _missing(key: str) -> MascError:
    return VoteNotFound(vote_id=key)


VOTES = Collection("votes", Vote, lambda vote: vote.id, _indexes, _missing)
