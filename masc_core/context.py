"""What a tool may touch: the room's records, its own category's, and nothing of the kernel.

A handler runs inside one unit of work, which may run again after a conflict: it has no effect outside its context. A tool
declared ``transactional=False`` gets a context without one and opens its own with ``await ctx.transact(fn)``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define, field

from masc_core.clock import Clock, timestamp
from masc_core.errors import AgentNameRequired, Forbidden
from masc_core.frozen import evolve, frozen
from masc_core.modes import Modes
from masc_core.plugins import Plugin, Registry
from masc_core.records import (
    AGENTS,
    COUNTERS,
    EVENTS,
    MESSAGES,
    PRESENCE,
    ROOMS,
    TASKS,
    Agent,
    Counter,
    Event,
    Message,
    Presence,
    Room,
    Task,
)
from masc_core.rooms import OpenRoom, clear, write_private
from masc_core.settings import Settings
from masc_core.store.collections import Collection, Log, LogView, View
from masc_core.store.transaction import Transaction
from masc_core.tools import Role
from masc_core.usage import used
from masc_core.values import CONTROLS

if TYPE_CHECKING:
    from masc_core.call import Call

__all__ = ["ANONYMOUS", "Caller", "Context"]

ANONYMOUS = "anonymous"
_CONTROLS = re.compile(CONTROLS)
R = TypeVar("R")


@frozen
class Caller:
    """On whose behalf a call runs."""

    name: str = ANONYMOUS
    """The agent's name as stored, ``human:<os user>`` for local commands, or ``anonymous``."""
    role: Role = Role.WORKER
    auth: str = "none"
    """How the caller is known: token, endpoint, argument, process, local or none."""
    requested: str | None = None
    """The name that was asked for, where the caller has no record under it yet."""
    by: str | None = None
    """The authenticated admin who acts for this agent by naming it."""

    @property
    def known(self) -> bool:
        """Somebody in particular calls."""
        return self.name != ANONYMOUS

    @property
    def admin(self) -> bool:
        """An authenticated admin: by token, or a person at this machine's command line."""
        return self.role is Role.ADMIN and self.auth in {"token", "local"}


@define
class Context:
    """One call's view of one room. ``agents``, ``tasks``, ``messages`` … are views in the present unit of work."""

    caller: Caller
    room: Room | None
    """The room's record; ``None`` only in tools declared ``needs_room=False``."""
    settings: Settings
    call: Call = field(repr=False)
    """What guards look at: ``call.tool`` and ``call.arguments``, as they came in."""
    modes: Modes = field(repr=False)
    """What modes there are and what they cost."""
    _open: OpenRoom = field(repr=False)
    _registry: Registry = field(repr=False)
    _tx: Transaction | None = field(default=None, repr=False)
    _now: float = field(default=0.0)
    _stamp: str = field(default="", init=False, repr=False)
    _read: Transaction | None = field(default=None, init=False, repr=False)
    """What was read on the way to the caller of a tool that is not transactional, until its first unit of work."""
    warnings: list[dict[str, str]] = field(factory=list)
    delivered: list[Callable[[], Awaitable[None]]] = field(factory=list, repr=False)
    """Run once the answer was handed to the transport; dropped when the call is cancelled or its client gone."""
    committed: list[Callable[[], Awaitable[None]]] = field(factory=list, repr=False)
    """Run right after the change is committed, before the result is rendered; dropped with an attempt that was lost."""
    granted: Role = Role.ADMIN
    """What the caller may do here: its role, or everything where auth is off or the person at the machine calls."""
    events: list[Event] = field(factory=list, repr=False)
    """What this unit of work has written to the room's events."""

    @property
    def agent(self) -> str:
        """The caller's name. Raises :class:`AgentNameRequired` when nobody is known."""
        if (name := self.caller.name) == ANONYMOUS:
            raise AgentNameRequired(tool=self.call.tool.name, argument=self.call.tool.caller_field)
        return name

    @property
    def actor(self) -> str:
        """The caller's name, or ``anonymous``."""
        return self.caller.name

    @property
    def clock(self) -> Clock:
        """The store's clock, for waiting and for times outside a unit of work."""
        return self._open.clock

    @property
    def ticks(self) -> float:
        """Seconds that only go forward, for what this process counts; there is no store needed."""
        return self._open.clock.monotonic()

    @property
    def now(self) -> str:
        """The timestamp of this unit of work, by the store's clock."""
        if not self._now:
            return timestamp(self.clock.now())
        if not self._stamp:
            self._stamp = timestamp(self._now)
        return self._stamp

    def after(self, seconds: float) -> str:
        """The timestamp ``seconds`` from now (before now, when negative)."""
        return timestamp(self._now or self.clock.now(), seconds)

    @property
    def tx(self) -> Transaction:
        """The present unit of work. Raises ``RuntimeError`` outside one."""
        if self._tx is None:
            raise RuntimeError(f"{self.call.tool.name} is not transactional: use records inside ctx.transact(fn)")
        return self._tx

    def collection(self, declared: Collection[R]) -> View[R]:
        """The documents of a declared collection."""
        return View(declared, self._tx or self.tx)  # the property alone would be one more call for each of these

    def log(self, declared: Log[R]) -> LogView[R]:
        """The entries of a declared log."""
        return LogView(declared, self._tx or self.tx)

    @property
    def agents(self) -> View[Agent]:
        """Agent records, by lower-case name."""
        return View(AGENTS, self._tx or self.tx)

    @property
    def presence(self) -> View[Presence]:
        """Presence records, by lower-case name."""
        return View(PRESENCE, self._tx or self.tx)

    @property
    def tasks(self) -> View[Task]:
        """The board."""
        return View(TASKS, self._tx or self.tx)

    @property
    def messages(self) -> LogView[Message]:
        """The room's messages."""
        return LogView(MESSAGES, self._tx or self.tx)

    def event(self, type: str, subject: str | None = None, **data: Any) -> None:
        """Write an event in this unit of work; ``data`` holds old and new values, never texts or secrets."""
        event = Event(type=type, at=self.now, actor=self.actor, subject=subject, data=data)
        LogView(EVENTS, self._tx or self.tx).append(event)
        self.events.append(event)

    def system_message(self, content: str, to: str | None = None) -> None:
        """Write a one-line message by ``system``; ``to`` names the one agent concerned and restricts nobody."""
        line = _CONTROLS.sub("", " ".join(content.split()))
        self.messages.append(Message(from_="system", type="system", content=line, timestamp=self.now, to=to))

    async def next_number(self, counter: str, at_least: int = 0) -> int:
        """The next number of a room-wide series, never given out before. Concurrent users conflict and run again.

        A scan that must not overlook what others make with a number of theirs comes after this, or after
        :meth:`last_number`.
        """
        counters = View(COUNTERS, self._tx or self.tx)
        last = await counters.find(counter) or Counter(counter)
        following = evolve(last, last=max(last.last, at_least) + 1)
        counters.put(following)
        return following.last

    async def last_number(self, counter: str) -> int:
        """The last number given out in a room-wide series, 0 before the first. If this unit of work writes anything and
        another takes a number before its commit, it runs again; that guards the scans that follow."""
        last = await View(COUNTERS, self._tx or self.tx).find(counter)
        return last.last if last is not None else 0

    def warn(self, code: str, message: str) -> None:
        """Add a warning to the result."""
        self.warnings.append({"code": code, "message": message})

    async def ask(self, hook: str, **arguments: Any) -> list[Mapping[str, Any]]:
        """Await every implementation of a hook, in order, and give the answers that are not ``None``."""
        if not (waiting := self._registry.answers(hook, arguments)):
            return []
        answers: list[Mapping[str, Any]] = []
        try:
            for waited in waiting:
                if (answer := await waited) is not None:
                    answers.append(answer)  # noqa: PERF401  # an asynchronous comprehension is a coroutine of its own
        except BaseException:
            for waited in waiting:  # after a refusal the rest must not be left unawaited
                waited.close()
            raise
        return answers

    def savepoint(self) -> Callable[..., None]:
        """What puts back who calls, what they may do and what was noted before and, with ``writes=True``, takes back what was
        written after this."""
        caller, granted, room = self.caller, self.granted, self.room
        lists: tuple[list[Any], ...] = (self.warnings, self.delivered, self.committed, self.events)
        before = [(kept, list(kept)) for kept in lists]
        rollback = None if self._tx is None else self._tx.savepoint()

        def restore(*, writes: bool) -> None:
            self.caller, self.granted = caller, granted
            for kept, had in before:
                known = {id(item) for item in had}
                kept[:] = had if writes else [*had, *(item for item in kept if id(item) not in known)]
            if writes:
                self.room = room
                if rollback is not None:
                    rollback()

        return restore

    async def transact(
        self, run: Callable[[Context], Awaitable[R]], *, concludes: bool = False, at_once: bool = False
    ) -> R:
        """Run ``run(ctx)`` in a unit of work of its own and commit it; it runs again on conflict.

        ``concludes``: this is a change the call is for, so if it writes anything, what guards keep of the call goes with
        it; when nothing concluded a call, they are asked after the handler. ``at_once``: the handler has waited for nothing
        yet, so that what was read on the way to the caller need not be read again.

        Raises :class:`masc_core.errors.StorageBusy` when the conflicts do not end.
        """

        async def attempt(transaction: Transaction) -> tuple[R, Context]:
            now = self.clock.now()
            ctx = Context(  # as evolve would make it, in a third of the time
                caller=self.caller, room=self.room, settings=self.settings, call=self.call, modes=self.modes,
                open=self._open, registry=self._registry, tx=transaction.dated(now), now=now, warnings=self.warnings,
                delivered=self.delivered, granted=self.granted,
            )  # fmt: skip
            result = await run(ctx)
            self.call.concluding = (concludes or self.call.unattended) and transaction.dirty
            if self.call.concluding:
                await ctx.ask("masc_in_commit", ctx=ctx)
            return result, ctx

        first, self._read = self._read if at_once else None, None
        result, done = await self._open.transact(attempt, first)
        self.call.concluded = self.call.concluded or self.call.concluding
        await done.settle()
        return result

    async def settle(self) -> None:
        """Do what waits for a commit, which has just happened."""
        while self.committed:
            await self.committed.pop(0)()

    async def wait_for(self, after: Mapping[str, int], seconds: float) -> bool:
        """Wait until one of the named logs has grown past its number, at most ``seconds``; false when none has.

        Ends early, as timed out, when the server stops. Raises what a guard has against going on, such as a credential
        that was revoked meanwhile.
        """
        grown = await self._open.wait(after, seconds)
        await self.ask("masc_waited", ctx=self)
        return grown

    @property
    def memory(self) -> dict[str, Any]:
        """What plugins remember of the room in this process, each under its own name; gone when the process ends."""
        return self._open.memory

    @property
    def backend(self) -> str:
        """The store's name, such as ``sqlite``."""
        return self._open.settings.storage.type

    @property
    def base(self) -> Path:
        """The room's base directory, whether or not the room exists."""
        return self._open.base.path

    @property
    def plugins(self) -> tuple[Plugin, ...]:
        """What is loaded, guards first."""
        return self._registry.plugins

    def plugin_of(self, category: str) -> Plugin:
        """The plugin that gives a category."""
        giving = [p for p in self._registry.plugins if p.name == category and p.problem is None]
        return next((p for p in giving if not p.guard), giving[0])

    def ensure_role(self, needed: Role) -> None:
        """Raise :class:`Forbidden` unless the caller may do here what ``needed`` may: for tools whose arguments decide."""
        if self.granted < needed:
            role = self.granted.label
            raise Forbidden(
                agent=self.actor, action=self.call.tool.name, required_role=needed.label, role=role, reason="role"
            )

    def remember(self, kind: type[R]) -> R:
        """What this process remembers of the room as an object of ``kind``, made on first use and gone with the process."""
        return self._open.remember(kind)

    async def used(self, agent: str | None = None) -> Mapping[str, int]:
        """Calls of the last 30 days by category, the room's or one agent's."""
        return await used(self._open, self.tx, agent)

    def act_as(self, name: str) -> None:
        """Let the rest of this call act for the name the caller was given on joining."""
        self.caller = evolve(self.caller, name=name)

    def save_room(self, room: Room) -> None:
        """Write the room's own record: its mode, its pause."""
        self.room = View(ROOMS, self.tx).put(room)

    async def reset_room(self) -> tuple[dict[str, int], str]:
        """Export the whole room to ``.masc/trash/<time>/room.jsonl``, then remove what does not survive a reset.

        The file is one for ``masc import``. Returns the removed counts by kind and the file. If the export cannot be
        written, raises :class:`masc_core.errors.StorageUnavailable` and removes nothing.
        """
        from masc_core.transfer.lines import encode

        declared = self._registry.records
        stamp = self.now.replace("-", "").replace(":", "")[:15] + "Z"
        removed = await clear(self.tx, declared)
        lines = encode(await self.tx.driver.dump())
        path = await asyncio.to_thread(write_private, self._open.directory / "trash" / stamp, lines)
        self.event("room_reset", removed=removed)
        return removed, str(path)
