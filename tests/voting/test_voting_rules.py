"""The state machine of votes, for any ballots."""

from __future__ import annotations

from collections import Counter

from hypothesis import event, given
from hypothesis import strategies as st

from masc_core.frozen import evolve
from masc_plugin_voting.records import Vote, VoteStatus
from masc_plugin_voting.rules import (
    after_cast,
    at_deadline,
    ballot_of,
    cancelled,
    is_eligible,
    is_overdue,
    missing_votes,
    option_named,
    tally,
    with_ballot,
)

EARLY, DEADLINE, LATE = (f"2030-01-01T00:0{minute}:00.000Z" for minute in range(3))
OPTIONS = ["A", "B", "C"]
AGENTS = ["ann", "bob", "cleo", "dan", "eve"]


@st.composite
def pending(draw: st.DrawFn) -> Vote:
    """A pending vote with any ballots, for the most part reachable."""
    eligible = draw(st.none() | st.lists(st.sampled_from(AGENTS), min_size=1, unique=True))
    voters = draw(st.lists(st.sampled_from(eligible or AGENTS), unique=True))
    return Vote(
        id="vote-001",
        proposer="ann",
        topic="Which?",
        options=OPTIONS,
        required_votes=draw(st.integers(1, len(eligible or AGENTS))),
        created_at=EARLY,
        votes={agent: draw(st.sampled_from(OPTIONS)) for agent in voters},
        eligible=eligible,
        deadline=draw(st.sampled_from([None, DEADLINE])),
    )


def outcome(vote: Vote) -> tuple[VoteStatus, str | None]:
    """What the ballots come to once enough have voted, counted in another way than the code does."""
    ranking = Counter(vote.votes.values()).most_common()
    if len(ranking) == 1 or ranking[0][1] > ranking[1][1]:
        return "approved", ranking[0][0]
    return "tied", None


@given(pending())
def test_a_tally_counts_every_ballot_once_and_names_every_option(vote: Vote) -> None:
    assert list(tally(vote)) == vote.options
    assert sum(tally(vote).values()) == len(vote.votes)
    assert all(tally(vote)[option] == list(vote.votes.values()).count(option) for option in OPTIONS)
    assert missing_votes(vote) == max(vote.required_votes - len(vote.votes), 0)


@given(pending())
def test_a_cast_ends_a_vote_exactly_when_the_rule_says_so(vote: Vote) -> None:
    after = after_cast(vote, LATE)
    status, winner = outcome(vote) if vote.votes else ("tied", None)
    somebody_left = vote.eligible is None or set(vote.eligible) - set(vote.votes)
    if len(vote.votes) < vote.required_votes or (status == "tied" and vote.deadline and somebody_left):
        event("stays pending")
        assert after == vote
        return
    event(f"ends {status}")
    assert after == evolve(vote, status=status, winner=winner, resolved_at=LATE)


@given(pending().filter(lambda vote: vote.deadline is not None))
def test_a_deadline_always_ends_a_vote_and_at_the_deadline(vote: Vote) -> None:
    status, winner = outcome(vote) if missing_votes(vote) == 0 else ("expired", None)
    event(f"ends {status}")
    assert at_deadline(vote) == evolve(vote, status=status, winner=winner, resolved_at=DEADLINE)


@given(pending())
def test_only_a_pending_vote_with_a_past_deadline_is_overdue(vote: Vote) -> None:
    assert not is_overdue(vote, EARLY)
    assert is_overdue(vote, DEADLINE) == is_overdue(vote, LATE) == (vote.deadline is not None)
    assert not is_overdue(cancelled(vote, EARLY), LATE)


@given(pending(), st.sampled_from(AGENTS), st.sampled_from(OPTIONS), st.sampled_from([str.upper, str.lower, str.title]))
def test_an_agent_has_one_ballot_however_its_name_is_spelt(
    vote: Vote, agent: str, choice: str, spelt: type[str]
) -> None:
    after = with_ballot(vote, spelt(agent), choice)
    assert len(after.votes) == len(set(vote.votes) | {agent})
    assert ballot_of(after, agent) == after.votes[spelt(agent)] == choice
    others = {name: chosen for name, chosen in vote.votes.items() if name != agent}
    assert others.items() <= after.votes.items()
    assert is_eligible(vote, spelt(agent)) == (vote.eligible is None or agent in vote.eligible)


@given(st.lists(st.text(min_size=1).map(str.strip).filter(bool), min_size=2, unique_by=str.casefold), st.data())
def test_a_choice_means_one_option_ignoring_case(options: list[str], data: st.DataObject) -> None:
    vote = Vote("vote-001", "ann", "Which?", options, 1, EARLY)
    option = data.draw(st.sampled_from(options))
    assert option_named(vote, option) == option_named(vote, f" {option.casefold()} ") == option
    assert option_named(vote, "".join(options) + "?") is None
