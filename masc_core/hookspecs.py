"""Every hook a plugin can implement: when it fires and who calls it.

Mark an implementation with ``@hookimpl``; it may leave out arguments that it has no use for. Hooks whose result is awaited
take ``async def`` implementations. Of several plugins, MASC's own are asked first and in the order of ``tools/list``, then
the others by name; guards before categories.

Hooks "for guards" decide on access. Only entry points of the group ``masc.guards`` have them; a category that implements
one is left out, and so is a guard that adds tools, modes, resources, prompts or routes. A guard refuses a call by raising a
:class:`MascError`; anything else that it raises, an answer of another kind and one that takes longer than
``plugins.hook_seconds`` refuse it as ``guard_broken``. Any other hook of somebody else's plugin that raises, takes
longer than ``plugins.hook_seconds`` or answers with something else than what is said here counts as one that gave
nothing, and the log names the plugin. After three times too long in a row it is not asked for a minute.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pluggy

if TYPE_CHECKING:
    from masc_core.context import Context
    from masc_core.errors import MascError
    from masc_core.identity import Client
    from masc_core.offers import Endpoint
    from masc_core.records import Agent, Event, Task
    from masc_core.rooms import OpenRoom
    from masc_core.store.collections import Collection, Log
    from masc_core.store.driver import Driver, Key
    from masc_core.store.transaction import Transaction

__all__ = [
    "GUARD_HOOKS",
    "LONGER",
    "LONG_HOOKS",
    "PLAIN_HOOKS",
    "REFUSING_HOOKS",
    "Answer",
    "HookDeprecation",
    "MascHooks",
    "deprecated",
    "hookimpl",
    "hookspec",
]

hookspec = pluggy.HookspecMarker("masc")
hookimpl = pluggy.HookimplMarker("masc")

Answer = Coroutine[Any, Any, Mapping[str, Any] | None]
"""What the awaited hooks give: an ``async def`` that returns a mapping or ``None``."""


class HookDeprecation(FutureWarning):
    """A plugin uses something of a hook that will go. Shown by default, since whoever runs the plugin has to know."""


def deprecated(hook: str, argument: str, since: str, instead: str) -> dict[str, Warning]:
    """For ``@hookspec(warn_on_impl_args=deprecated(…))``: warn each plugin that takes ``argument`` when it is loaded."""
    text = f"argument {argument} of hook {hook} is deprecated since {since} and will go; {instead}"
    return {argument: HookDeprecation(text)}


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
    def masc_settings(self, register: Callable[[str, type], None]) -> None:
        """Register the plugin's sections of ``config.toml``: a name and a frozen attrs class with a default for every field.

        Called once when the plugin is loaded, by the kernel. A handler finds its section with ``ctx.settings.of(TheClass)``.
        New in 0.1.
        """

    @hookspec
    def masc_modes(self, register: Callable[[str, Sequence[str], str], None]) -> None:
        """Register modes of your own: ``register(name, categories, description)``. Category core always is in a mode.

        Called once when the plugin is loaded, by the kernel. They are offered by masc_get_config, masc_switch_mode,
        ``--mode`` and ``?mode=``. A mode hides tools and gives no permission. New in 0.1.
        """

    @hookspec
    def masc_resources(self, register: Callable[[Callable[..., Any]], None]) -> None:
        """Register functions decorated with ``@resource``, which clients find in ``resources/list`` and read.

        Called once when the plugin is loaded, by the kernel. A resource is there in the modes that have the category; reading
        it is a call like a reading tool's, with the same caller and the same guards. New in 0.1.
        """

    @hookspec
    def masc_prompts(self, register: Callable[[Callable[..., Any]], None]) -> None:
        """Register functions decorated with ``@prompt``, which clients find in ``prompts/list`` and get.

        Called once when the plugin is loaded, by the kernel. Modes and guards apply as to resources. New in 0.1.
        """

    @hookspec
    def masc_routes(self, register: Callable[[str, Endpoint, Sequence[str]], None]) -> None:
        """Register HTTP routes: ``register(path, endpoint, methods)`` serves ``/x/<category><path>`` by
        ``async def endpoint(request: starlette.requests.Request, visit: Visit) -> starlette.responses.Response``.

        Called once when the plugin is loaded, by the kernel; ``masc serve --http`` serves them, in every mode. Host, Origin,
        size of the body and the token are checked before the endpoint runs; where auth requires a token, a request without
        one never gets there. It reaches the room by ``await visit.call(tool, arguments)`` alone. New in 0.1.
        """

    @hookspec
    def masc_first_reads(self, register: Callable[[Key], None]) -> None:
        """Register documents that are looked at in every call, so that they come with the first read of the store.

        Called once when the plugin is loaded, by the kernel. For guards. New in 0.1.
        """

    @hookspec
    def masc_token_reads(self, room: OpenRoom, token: str) -> Sequence[Key]:  # type: ignore[empty-body]
        """Name documents that will be looked at because a client presents this token, so that they come with the first read.

        Called at the beginning of each call with a token, by the kernel. For guards. New in 0.1.
        """

    @hookspec
    def masc_recognise(  # type: ignore[empty-body]
        self, room: OpenRoom, reading: Transaction, client: Client, alone: bool
    ) -> Answer:
        """Say whose credential a client presents, without a call: ``{"agent": name or None, "required": whether requests
        need a token, "refused": the error of an unusable credential or None}``; ``None`` where auth is off.

        Awaited before the mode is resolved and for requests that call no tool (``alone``), by the kernel. For guards.
        New in 0.1.
        """

    @hookspec
    def masc_stranger(  # type: ignore[empty-body]
        self, room: OpenRoom, client: Client, asked: str, error: MascError
    ) -> Answer:
        """Note a request that called no tool, ``asked`` by its method, and was refused for the credential it brought.

        Awaited with the start room, which exists, by the MCP adapter. What this raises is logged and ignored. For guards.
        New in 0.1.
        """

    @hookspec
    def masc_authenticate(self, ctx: Context) -> Answer:  # type: ignore[empty-body]
        """Say who calls, as ``{"caller": Caller(…)}``, where a credential says so; raise a :class:`MascError` to refuse.

        Awaited for every call, before the endpoint's name and the argument are looked at, by the pipeline. The first answer
        counts. For guards. New in 0.1.
        """

    @hookspec
    def masc_before_call(self, ctx: Context) -> Answer:  # type: ignore[empty-body]
        """Refuse a call by raising a :class:`MascError`, or lower ``ctx.caller``'s role, before arguments are validated.

        Awaited for every call in every mode, after the caller is known, by the pipeline. For guards. New in 0.1.
        """

    @hookspec
    def masc_redact(self, ctx: Context, arguments: dict[str, Any]) -> Answer:  # type: ignore[empty-body]
        """Replace secrets in validated arguments, in place, before the handler sees them.

        Awaited for every call, by the pipeline. Gives counts by kind, or ``None``. For guards. New in 0.1.
        """

    @hookspec
    def masc_known_secrets(self, ctx: Context, words: Sequence[str]) -> Answer:  # type: ignore[empty-body]
        """Say which of ``words``, each 64 lower-case hex digits, are credentials or keys: ``{"secrets": [...]}``.

        Awaited by redaction, and only when an argument's text holds such words, however many; what is named is replaced
        before anything is stored. For guards that issue or hold secrets. New in 0.1.
        """

    @hookspec
    def masc_in_commit(self, ctx: Context) -> Answer:  # type: ignore[empty-body]
        """Add records to the atomic change of a successful call, after its handler ran and before it is committed.

        Awaited for every call on an existing room, by the pipeline: once in the call's unit of work or, for a tool that is
        not transactional, in each one that concludes it and writes something, else after the handler; for the server's own
        timers, in each unit of work that writes something. Once more for a call that makes its room, which is tried first in
        an empty store that is thrown away. For guards. New in 0.1.
        """

    @hookspec
    def masc_call_failed(self, ctx: Context, error: MascError) -> Answer:  # type: ignore[empty-body]
        """Note that a call was refused or failed; its own changes are gone. What this raises is logged and ignored.

        Awaited for every failed call on an existing room, with a context that opens its own units of work, by the pipeline;
        what was refused before a room was chosen counts to the start room. For guards. New in 0.1.
        """

    @hookspec
    def masc_store(self, driver: Driver, room: OpenRoom) -> Answer:  # type: ignore[empty-body]
        """Put a driver of your own, ``{"driver": …}``, round the one of a room that is being connected.

        Awaited once for each room of a process, by the kernel, and once more for the store in memory in which a call that
        makes its room is tried first. The wrapper is entered and left with the store, but does not enter what it is round.
        Of several guards the last is asked first, so that MASC's encryption is round the drivers of others, and those see
        sealed bodies. Raise a :class:`MascError` to keep the room shut. For guards. New in 0.1.
        """

    @hookspec
    def masc_name_protected(self, ctx: Context, name: str) -> Answer:  # type: ignore[empty-body]
        """Give ``{"protected": True}`` for a name that the caller must not be given.

        Awaited inside the unit of work that joins an agent, for each name considered, by the kernel. For guards.
        New in 0.1.
        """

    @hookspec
    def masc_joined(  # type: ignore[empty-body]
        self, ctx: Context, agent: str, deliver: Literal["file", "result"] | None
    ) -> Answer:
        """Give what masc_join adds to its result for the agent that has joined: ``token`` or ``token_path``, and
        ``token_expires_at``.

        Awaited inside the joining unit of work, by category core. For guards. New in 0.1.
        """

    @hookspec
    def masc_agent_role(self, ctx: Context, agent: str) -> Answer:  # type: ignore[empty-body]
        """Give ``{"role": …, "token": whether it calls with one}`` for an agent; ``None`` where auth is off.

        Awaited by category ratelimit. For guards. New in 0.1.
        """

    @hookspec
    def masc_waited(self, ctx: Context) -> Answer:  # type: ignore[empty-body]
        """Raise a :class:`MascError` to end a call that waits.

        Awaited whenever a waiting call wakes, with a context that opens its own units of work, by the kernel. For guards.
        New in 0.1.
        """

    @hookspec
    def masc_open_bind(self, room: OpenRoom, tx: Transaction, host: str) -> Answer:  # type: ignore[empty-body]
        """Give ``{"allowed": True}`` where a server may listen on an address that other machines reach.

        Awaited in a unit of work before such a server starts, by the command line; without that answer it does not start.
        For guards. New in 0.1.
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
    def masc_admins(self, ctx: Context) -> Answer:  # type: ignore[empty-body]
        """Give the names of the agents that are admins, ``{"admins": [...]}``, while roles are in force.

        Awaited by who has to reach whoever may decide; no answer means that every agent counts as admin. For guards.
        New in 0.1.
        """

    @hookspec
    def masc_unread(self, ctx: Context, agent: str) -> Answer:  # type: ignore[empty-body]
        """Give what waits for an agent, such as ``{"portal_tasks": 2}``.

        Awaited by masc_status, masc_heartbeat and masc_listen. New in 0.1.
        """

    @hookspec
    def masc_agent_released(  # type: ignore[empty-body]
        self, ctx: Context, agent: Agent, keep_tasks: bool, reason: str
    ) -> Answer:
        """Let go of what an agent holds that left (``reason`` leave) or is taken for gone (zombie).

        Give some of ``tasks_released``, ``tasks_kept``, ``locks_released``, ``portals_closed``, ``worktrees`` as lists of
        strings. Awaited inside the unit of work that makes the agent inactive, by masc_leave, masc_join (taking over) and the
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
        it and change nothing. The keys ``tasks`` (a list of ids), ``locks_removed`` and ``unread`` (messages to agents who had
        not read them, counted by agent) are treated apart. New in 0.1.
        """

    @hookspec
    def masc_sweep(self, ctx: Context) -> Answer:  # type: ignore[empty-body]
        """Tidy up what time has made stale: expired locks, zombies.

        Awaited every 60 s by one of the serving processes, with a context that opens its own units of work. New in 0.1.
        """

    @hookspec
    def masc_due(self, ctx: Context) -> Answer:  # type: ignore[empty-body]
        """Do what a deadline asks for: end a vote, time out an approval. Look for it by a bounded index scan.

        Awaited every 2 s by **every** serving process, with a context that opens its own units of work; whoever commits
        first has done it. New in 0.1.
        """

    @hookspec
    def masc_doctor(self, ctx: Context, fix: bool) -> Answer:  # type: ignore[empty-body]
        """Look for what is wrong with the records: ``{"facts": {…}, "findings": [{"code", "severity" (error, warning), "what",
        "mend", "fixed"}, …]}``. With ``fix`` mend what can be mended without a loss.

        Awaited by masc doctor, with a context that opens its own units of work. New in 0.1.
        """

    @hookspec
    def masc_health(self, ctx: Context) -> Answer:  # type: ignore[empty-body]
        """Say how something the plugin depends on is doing: ``{"name": …, "ok": …, "detail": …}``.

        Awaited for ``GET /health``, which shows the plugin, name and ok to anybody, and by masc doctor, which shows the detail
        too; with a context that opens its own units of work, in an existing room. A hook that fails or takes too long counts
        as not ok. New in 0.1.
        """

    @hookspec
    def masc_events(self, ctx: Context, events: Sequence[Event]) -> Answer:  # type: ignore[empty-body]
        """Do something about what has happened in the room: at most 100 committed events, oldest first.

        Awaited about every 2 s while there are new ones, in one of the serving processes at a time, with a context that opens
        its own units of work; never as part of the call that made them, which it cannot fail. Where the room has come to
        know the plugin, nothing is left out while no server runs. Each event is told once, but those of the last batch again
        after a crash; what the hook raises is logged, and the events count as told. New in 0.1.
        """


PLAIN_HOOKS = frozenset(
    {
        "masc_tools",
        "masc_records",
        "masc_settings",
        "masc_modes",
        "masc_resources",
        "masc_prompts",
        "masc_routes",
        "masc_first_reads",
        "masc_token_reads",
    }
)
"""Hooks that are called and not awaited."""
GUARD_HOOKS = frozenset(
    {
        "masc_first_reads",
        "masc_token_reads",
        "masc_recognise",
        "masc_stranger",
        "masc_authenticate",
        "masc_before_call",
        "masc_redact",
        "masc_known_secrets",
        "masc_in_commit",
        "masc_call_failed",
        "masc_store",
        "masc_name_protected",
        "masc_joined",
        "masc_agent_role",
        "masc_waited",
        "masc_open_bind",
        "masc_admins",
    }
)
"""Hooks that decide on access, or see what only those may see who do."""
REFUSING_HOOKS = frozenset({"masc_work_starts"})
"""Hooks by which any plugin can refuse, raising a :class:`MascError`."""
LONG_HOOKS = frozenset({"masc_gc", "masc_sweep", "masc_doctor", "masc_events"})
"""Hooks that go through records."""
LONGER = 10
"""How many times as long they have as others."""
