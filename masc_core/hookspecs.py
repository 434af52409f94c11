"""Every hook a plugin can implement: when it fires and who calls it.

Mark an implementation with ``@hookimpl``. Hooks whose result is awaited take ``async def`` implementations.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from masc_core.call import Call
    from masc_core.context import Context
    from masc_core.records import Agent, Task
    from masc_core.store.collections import Collection, Log

__all__ = ["Answer", "MascHooks", "hookimpl", "hookspec"]

hookspec = pluggy.HookspecMarker("masc")
hookimpl = pluggy.HookimplMarker("masc")

Answer = Coroutine[Any, Any, Mapping[str, Any] | None]
"""What the awaited hooks give: an ``async def`` that returns a mapping or ``None``."""


class MascHooks:
    """The hook specifications; ``new in`` says since which version."""

    @hookspec
    def masc_tools(self, register: Callable[[Callable[..., Any]], None]) -> None:
        """Register the category's tools, in the order in which they are listed.

        Called once when the plugin is loaded, by the kernel. ``register(function)`` takes a function decorated with
        ``@tool``. New in 0.1.
        """

    @hookspec
    def masc_records(self, register: Callable[[Collection[Any] | Log[Any]], None]) -> None:
        """Register the collections and logs the plugin keeps, so that reset, export and migration know them.

        Called once when the plugin is loaded, by the kernel. New in 0.1.
        """

    @hookspec
    def masc_before_call(self, call: Call) -> Answer:  # type: ignore[empty-body]
        """Refuse a call by raising a :class:`MascError`, before its arguments are validated.

        Awaited for every call in every mode, after the caller is known, by the pipeline. For guards. New in 0.1.
        """

    @hookspec
    def masc_redact(self, call: Call, arguments: dict[str, Any]) -> Answer:  # type: ignore[empty-body]
        """Replace secrets in validated arguments, in place, before the handler sees them.

        Awaited for every call, by the pipeline. Returns counts by kind, or ``None``. For guards. New in 0.1.
        """

    @hookspec
    def masc_in_commit(self, ctx: Context, call: Call) -> Answer:  # type: ignore[empty-body]
        """Add records to the atomic change of a successful call, after its handler ran and before it is committed.

        Awaited for every call that runs in a unit of work, by the pipeline. For guards. New in 0.1.
        """

    @hookspec
    def masc_work_starts(self, ctx: Context, agent: str, task: Task | None) -> Answer:  # type: ignore[empty-body]
        """Refuse that an agent claims or starts a task, by raising a :class:`MascError`.

        Awaited inside the claiming unit of work, by category core. New in 0.1.
        """

    @hookspec
    def masc_status(self, ctx: Context) -> Answer:  # type: ignore[empty-body]
        """Give the category's part of masc_status: some of ``locks``, ``interrupts_open``, ``votes_pending``.

        Awaited by masc_status. New in 0.1.
        """

    @hookspec
    def masc_unread(self, ctx: Context, agent: str) -> Answer:  # type: ignore[empty-body]
        """Give what waits for an agent, such as ``{"portal_tasks": 2}``.

        Awaited by masc_status, masc_heartbeat and masc_listen. New in 0.1.
        """

    @hookspec
    def masc_agent_released(self, ctx: Context, agent: Agent, keep_tasks: bool) -> Answer:  # type: ignore[empty-body]
        """Let go of what a leaving or zombie agent holds; give some of ``tasks_released``, ``tasks_kept``,
        ``locks_released``, ``portals_closed``, ``worktrees`` as lists of strings.

        Awaited inside the unit of work that makes the agent inactive, by masc_leave, masc_join (taking over) and the
        clean-up of zombies. New in 0.1.
        """

    @hookspec
    def masc_task_ended(self, ctx: Context, task: Task) -> Answer:  # type: ignore[empty-body]
        """Let go of what is tied to a task that was done, cancelled or released; give ``locks_released``.

        Awaited inside the unit of work that changes the task, by category core. New in 0.1.
        """

    @hookspec
    def masc_gc(self, ctx: Context, before: str, dry_run: bool) -> Answer:  # type: ignore[empty-body]
        """Archive what ended before the timestamp ``before``, at most 500 records; give counts by kind.

        Awaited in a unit of work of its own, repeatedly until nothing is left, by masc_gc. With ``dry_run`` count all of
        it and change nothing. The key ``tasks`` (a list of ids) and ``locks_removed`` are treated apart. New in 0.1.
        """

    @hookspec
    def masc_sweep(self, ctx: Context) -> Answer:  # type: ignore[empty-body]
        """Do what is due by time: expired locks, zombies, deadlines.

        Awaited every 60 s in one of the serving processes, with a context that opens its own units of work. New in 0.1.
        """
