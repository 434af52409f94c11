"""Any sequence of calls and passing time, over the real tools on the memory store, against a model of the rules.

``pytest --hypothesis-show-statistics tests/voting/test_voting_machine.py`` tells how often votes ended in which way.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from functools import cache
from pathlib import Path
from typing import Any

from attrs import define, field
from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule
from machine_support import profile
from voting_support import Result, cast, events, messages, status

from masc_core.clock import parse_time
from masc_core.plugins import Registry, load
from masc_core.sweep import due_once
from masc_core.testing import ManualClock
from masc_core.testing.app import masc_app

AGENTS = st.sampled_from(["ann", "bob", "Cleo", "dan"])
SPELT = st.sampled_from([str, str.upper, str.lower])
OPTIONS = ["yes", "No", "later"]
CHOICES = st.sampled_from([*OPTIONS, "YES", "no", "never"])
DEADLINES = st.none() | st.integers(10, 60)
SECONDS = st.sampled_from([0.001, 5.0, 9.999, 10.0, 30.0, 400.0])


@cache
def everything() -> Registry:
    """Every plugin, loaded once."""
    return load()


@define
class Model:
    """What a vote should be, by the sentences of voting.md."""

    proposer: str
    required: int
    eligible: list[str] | None
    deadline: float | None
    ballots: dict[str, str] = field(factory=dict)
    status: str = "pending"
    winner: str | None = None

    def leaders(self) -> list[str]:
        counts = Counter(self.ballots.values())
        return [option for option in counts if counts[option] == max(counts.values())]

    def cast(self, agent: str, option: str) -> None:
        self.ballots[agent.lower()] = option
        if len(self.ballots) < self.required:
            return
        if len(self.leaders()) == 1:
            self.status, self.winner = "approved", self.leaders()[0]
            return
        everybody = self.eligible is not None and {n.lower() for n in self.eligible} <= set(self.ballots)
        if self.deadline is None or everybody:
            self.status = "tied"

    def pass_time(self, now: float) -> None:
        if self.status != "pending" or self.deadline is None or now < self.deadline:
            return
        if len(self.ballots) < self.required:
            self.status = "expired"
        elif len(self.leaders()) == 1:
            self.status, self.winner = "approved", self.leaders()[0]
        else:
            self.status = "tied"

    def may_vote(self, agent: str) -> bool:
        return self.eligible is None or agent.lower() in {name.lower() for name in self.eligible}


class VotingMachine(RuleBasedStateMachine):
    """Creates, votes, changes votes, cancels, lets time pass, looks; checks everything after each step."""

    votes = Bundle("votes")

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.models: dict[str, Model] = {}
        self.final: dict[str, Result] = {}
        self.stack = AsyncExitStack()
        self.runner = asyncio.Runner()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    @initialize(target=votes, required=st.integers(1, 4), deadline=DEADLINES)
    def open_room(self, required: int, deadline: int | None) -> Any:
        app = masc_app(Path("/nonexistent"), clock=self.clock, registry=everything())
        self.masc = self.run(self.stack.enter_async_context(app))
        assert "error" not in self.run(self.masc.call("masc_join", "Cleo"))
        return self.propose("Cleo", required, deadline, None)

    def teardown(self) -> None:
        """Every ended vote was announced once, and no other."""
        if hasattr(self, "masc"):
            ended = sorted(vote_id for vote_id, model in self.models.items() if model.status != "pending")
            self.look_at_all()
            assert sorted(e.subject for e in self.run(events(self.masc))) == ended
            for vote_id in ended:
                end = self.models[vote_id].status
                assert len(self.run(messages(self.masc, f"{vote_id} {end}"))) == 1
                event(f"a vote ended {end}")
            for model in self.models.values():
                if model.status == "pending":
                    event("a vote stayed pending")
        self.run(self.stack.aclose())
        self.runner.close()

    def tick(self) -> None:
        for model in self.models.values():
            model.pass_time(self.clock.now())

    @rule(
        target=votes,
        proposer=AGENTS,
        required=st.integers(1, 4),
        deadline=DEADLINES,
        eligible=st.none() | st.lists(AGENTS, min_size=2, max_size=4, unique=True) | st.lists(AGENTS, min_size=1),
    )
    def create(self, proposer: str, required: int, deadline: int | None, eligible: list[str] | None) -> Any:
        return self.propose(proposer, required, deadline, eligible)

    def propose(self, proposer: str, required: int, deadline: int | None, eligible: list[str] | None) -> Any:
        arguments: dict[str, Any] = {"deadline_seconds": deadline, "eligible": eligible, "required_votes": required}
        made = self.run(self.masc.call("masc_vote_create", proposer, topic="T", options=OPTIONS, **arguments))
        if eligible is not None and required > len(set(eligible)):
            assert made["error"]["details"]["field"] == "required_votes"
            return multiple()
        end = None if deadline is None else parse_time(made["vote"]["created_at"]) + deadline
        self.models[made["vote"]["id"]] = Model(proposer, required, eligible, end)
        return made["vote"]["id"]

    @rule(vote=votes, choices=st.dictionaries(AGENTS, st.sampled_from(OPTIONS[:2]), min_size=2))
    def several_vote(self, vote: str, choices: dict[str, str]) -> None:
        for agent, choice in choices.items():
            self.vote(vote, agent, str, choice)

    @rule(vote=votes, agent=AGENTS, spelt=SPELT, choice=CHOICES)
    def one_votes(self, vote: str, agent: str, spelt: Any, choice: str) -> None:
        self.vote(vote, agent, spelt, choice)

    def vote(self, vote: str, agent: str, spelt: Any, choice: str) -> None:
        self.tick()
        model = self.models[vote]
        before = model.ballots.get(agent.lower())
        result = self.run(cast(self.masc, spelt(agent), choice, vote))
        option = next((o for o in OPTIONS if o.lower() == choice.lower()), None)
        if model.status != "pending":
            assert (result["error"]["code"], result["error"]["details"].get("winner")) == ("vote_closed", model.winner)
        elif not model.may_vote(agent):
            assert result["error"]["code"] == "not_eligible"
        elif option is None:
            assert result["error"]["code"] == "invalid_choice"
        else:
            model.cast(agent, option)
            assert result["replaced"] == (before not in {None, option})
            assert result["resolved"] == (model.status != "pending")
            self.compare(vote, result)

    @rule(vote=votes, agent=AGENTS)
    def cancel(self, vote: str, agent: str) -> None:
        self.tick()
        model = self.models[vote]
        result = self.run(cast(self.masc, agent, None, vote, cancel=True))
        if model.status != "pending":
            assert result["error"]["code"] == "vote_closed"
        elif agent.lower() != model.proposer.lower():
            assert result["error"]["code"] == "forbidden"
        else:
            model.status = "cancelled"
            self.compare(vote, result)

    @rule(vote=votes)
    def look(self, vote: str) -> None:
        self.tick()
        self.compare(vote, self.run(status(self.masc, vote)))

    @rule(vote=votes, seconds=st.sampled_from([0.0, 0.001, -0.001]))
    def wait_for_the_deadline(self, vote: str, seconds: float) -> None:
        deadline = self.models[vote].deadline
        if deadline is not None and deadline + seconds > self.clock.now():
            self.clock.jump(deadline + seconds - self.clock.now())
        self.look(vote)

    @rule(seconds=SECONDS)
    def let_time_pass(self, seconds: float) -> None:
        self.clock.jump(seconds)

    @rule()
    def timer(self) -> None:
        self.run(due_once(self.masc.kernel, self.masc.kernel.start_room))

    @rule(agent=AGENTS)
    def leave(self, agent: str) -> None:
        self.run(self.masc.call("masc_leave", agent))

    @rule()
    def clean_up(self) -> None:
        self.run(self.masc.call("masc_cleanup_zombies"))

    @rule(wanted=st.sampled_from(["all", "pending", "approved", "tied", "expired", "cancelled"]))
    def list_some(self, wanted: str) -> None:
        self.tick()
        page = self.run(self.masc.call("masc_votes", status=wanted, limit=3))
        fitting = [v for v, model in self.models.items() if wanted in {"all", model.status}]
        newest = sorted(fitting, reverse=True)
        newest.sort(key=lambda v: self.models[v].status != "pending")
        assert [v["id"] for v in page["votes"]] == newest[:3]
        assert (page["total"], page["more"]) == (len(fitting), len(fitting) > 3)

    @invariant()
    def counted(self) -> None:
        if hasattr(self, "masc"):
            self.tick()
            pending = sum(model.status == "pending" for model in self.models.values())
            assert self.run(self.masc.call("masc_status"))["votes_pending"] == pending

    def look_at_all(self) -> None:
        for vote in self.models:
            self.look(vote)

    def compare(self, vote_id: str, result: Result) -> None:
        """A result against the model, and an ended vote against how it was first seen ended."""
        model, vote = self.models[vote_id], result["vote"]
        assert (vote["status"], vote.get("winner")) == (model.status, model.winner)
        assert {name.lower(): choice for name, choice in vote["votes"].items()} == model.ballots
        assert result["tally"] == {o: list(model.ballots.values()).count(o) for o in OPTIONS}
        assert result["voters"] == len(model.ballots)
        assert result["remaining"] == max(0, model.required - len(model.ballots))
        assert ("resolved_at" in vote) == (model.status != "pending")
        if model.status != "pending":
            assert self.final.setdefault(vote_id, vote) == vote


TestVotingMachine = VotingMachine.TestCase
TestVotingMachine.settings = profile(30, 40)
