"""A room under arbitrary calls and passing time, next to a model of it: who is here, and what the machines share.

``MASC_MACHINES=20 pytest tests/machines`` runs twenty times as many examples, other ones each time;
``--hypothesis-show-statistics`` tells what happened in them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from functools import cache
from pathlib import Path
from typing import Any

from attrs import define
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from masc_core.plugins import Registry, load
from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app

__all__ = ["AGENTS", "Member", "Result", "RoomMachine", "code", "profile"]

NAMES = ["ann", "bob", "Cleo", "dan"]
AGENTS = st.sampled_from(NAMES)
ZOMBIE_SECONDS = 300
PRESENCE_SECONDS = 5
Result = dict[str, Any]


def profile(examples: int, steps: int) -> settings:
    """Few examples and always the same; with MASC_MACHINES that many times as many, new ones each time."""
    times = int(os.environ.get("MASC_MACHINES", "0"))
    return settings(
        max_examples=examples * max(1, times),
        stateful_step_count=steps,
        deadline=None,
        derandomize=not times,
        suppress_health_check=list(HealthCheck),
    )


def code(result: Result) -> str | None:
    """Why a call was refused; ``None`` when it was not."""
    return result["error"]["code"] if "error" in result else None


@cache
def everything() -> Registry:
    """Every plugin, loaded once."""
    return load()


@define
class Member:
    """An agent as it should be. Times are seconds of the clock."""

    name: str
    last_seen: float
    read_seq: int
    left: bool = False
    left_at: float = 0.0
    alive_until: float = 0.0


class RoomMachine(RuleBasedStateMachine):
    """Joins, leaves, falls silent, is cleaned up. What else agents hold, subclasses add."""

    masc: MascApp

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.stack = AsyncExitStack()
        self.runner = asyncio.Runner()
        self.members: dict[str, Member] = {}
        self.last_seq = 0

    @initialize()
    def open_room(self) -> None:
        app = masc_app(Path("/nonexistent"), clock=self.clock, registry=everything())
        self.masc = self.run(self.stack.enter_async_context(app))
        for name in NAMES[:2]:
            self.join(name)

    def teardown(self) -> None:
        self.run(self.stack.aclose())
        self.runner.close()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def ask(self, tool: str, agent: str | None = None, **arguments: Any) -> Result:
        """Call a tool at the endpoint of an agent, or as nobody. Arguments that are ``None`` are left out."""
        bindings = (f"agent:{agent.lower()}",) if agent else ()
        given = {name: value for name, value in arguments.items() if value is not None}
        result = dict(self.run(self.masc.outcome(tool, self.masc.client(agent, bindings=bindings), **given)).structured)
        event(f"{tool}: {code(result) or 'ok'}")
        return result

    @property
    def now(self) -> float:
        return self.clock.now()

    def here(self, agent: str) -> bool:
        """Known and not left; perhaps a zombie."""
        member = self.members.get(agent.lower())
        return member is not None and not member.left

    def zombie(self, member: Member) -> bool:
        over = self.now > member.last_seen + ZOMBIE_SECONDS
        return not member.left and over and self.now > member.alive_until

    def live(self, agent: str) -> bool:
        return self.here(agent) and not self.zombie(self.members[agent.lower()])

    def seen(self, agent: str, joins: bool = True) -> None:
        """A call of the agent succeeded; ``joins`` if its tool joins whoever has not."""
        member = self.members.get(agent.lower())
        if member is None or member.left:
            if joins:
                self.entered(agent)
        elif member.last_seen < self.now - PRESENCE_SECONDS:
            member.last_seen = self.now

    def entered(self, agent: str) -> None:
        before = self.members.get(agent.lower())
        position = before.read_seq if before else self.last_seq
        self.members[agent.lower()] = Member(agent, self.now, position)

    def released(self, agent: str, keep: bool, reason: str) -> dict[str, set[str]]:
        """Let an agent go, and what it holds; by the names of the result."""
        member = self.members[agent.lower()]
        member.left, member.left_at = True, self.now
        return {}

    def holds(self, agent: str) -> bool:
        """It has claimed or started tasks."""
        return False

    def current(self, agent: str) -> set[str | None]:
        """What may be its current task."""
        return {None}

    @rule(agent=AGENTS)
    def join(self, agent: str) -> None:
        was_here = self.here(agent)
        joined = self.ask("masc_join", agent)
        assert (joined["agent"], joined["renamed"], joined["rejoined"]) == (agent, False, was_here)
        if was_here:
            self.members[agent.lower()].last_seen = self.now
            self.members[agent.lower()].alive_until = 0.0
        else:
            self.entered(agent)

    @rule(agent=AGENTS, keep=st.booleans())
    def leave(self, agent: str, keep: bool) -> None:
        left = self.ask("masc_leave", agent, keep_tasks=keep)
        gone = self.released(agent, keep, "leave") if self.here(agent) else {}
        for name in ("tasks_released", "tasks_kept", "locks_released", "portals_closed"):
            assert set(left[name]) == gone.get(name, set()), name

    @rule()
    def clean_up(self) -> None:
        silent = sorted(m.name for m in self.members.values() if self.zombie(m))
        cleaned = self.ask("masc_cleanup_zombies")["cleaned"]
        self._cleaned(silent, cleaned)

    def _cleaned(self, silent: list[str], cleaned: list[Result]) -> None:
        assert sorted(c["agent"] for c in cleaned) == silent
        for one in cleaned:
            gone = self.released(one["agent"], False, "zombie")
            for name in ("tasks_released", "locks_released", "portals_closed"):
                assert set(one[name]) == gone.get(name, set()), name

    @rule(seconds=st.sampled_from([0.001, 1.0, 6.0, 61.0, 290.0, 86_400.0]))
    def let_time_pass(self, seconds: float) -> None:
        self.clock.jump(seconds)

    @invariant()
    def everybody_stands_as_in_the_model(self) -> None:
        if not hasattr(self, "masc"):
            return
        listed = self.ask("masc_agents", include_inactive=True, limit=200)["agents"]
        assert {a["name"] for a in listed} == {m.name for m in self.members.values()}
        for agent in listed:
            member = self.members[agent["name"].lower()]
            busy = "busy" if self.holds(member.name) else "active"
            status = "inactive" if member.left else "zombie" if self.zombie(member) else busy
            assert agent["status"] == status, member
            assert agent.get("current_task") in self.current(member.name)
