"""What voting refuses."""

from __future__ import annotations

from masc_core import Refused, error

__all__ = ["InvalidChoice", "NotEligible", "VoteClosed", "VoteNotFound"]


@error
class VoteNotFound(Refused):
    code = "vote_not_found"
    http = 404
    text = "no vote {vote_id!r}; masc_votes lists them"
    vote_id: str


@error
class VoteClosed(Refused):
    code = "vote_closed"
    text = "{vote_id} is {status} and takes no more votes; masc_vote_status shows the outcome"
    vote_id: str
    status: str
    winner: str | None = None


@error
class InvalidChoice(Refused):
    code = "invalid_choice"
    http = 400
    text = "{choice!r} is no option of {vote_id}; choose one of {options}"
    vote_id: str
    choice: str
    options: list[str]


@error
class NotEligible(Refused):
    code = "not_eligible"
    http = 403
    text = "{agent} is not on the eligible list of {vote_id}"
    vote_id: str
    agent: str
