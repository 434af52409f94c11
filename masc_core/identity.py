"""Who calls: a client's bindings, and the agent its calls act for.

A *binding* ties requests of one client together, as a string: ``agent:<name>`` of an endpoint, ``process:<host>:<pid>:<start>``
of a stdio or command-line process, ``session:<id>@<host>:<pid>:<start>`` of an MCP session, ``credential:<name>`` of a token.
"""

from __future__ import annotations

import getpass
import os
import socket
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from attrs import define, field

from masc_core.agents import is_zombie, match_agent, new_meta, release, still, unfinished_tasks
from masc_core.context import Caller, Context
from masc_core.credentials import ProcessToken
from masc_core.frozen import evolve, frozen
from masc_core.modes import Selection
from masc_core.records import MESSAGES, Agent, Presence
from masc_core.store.collections import LogView
from masc_core.tools import CallerUse, Role
from masc_core.values import AgentName, agent_name

__all__ = ["Bindings", "Client", "Joined", "is_protected", "join", "local_client", "process_binding", "resolve"]

_HOST = socket.gethostname()
_START = 19
"""Place of the start time in ``/proc/<pid>/stat``, counted behind the command's name; see proc(5)."""
_UNKNOWN = "unknown"


@define
class Client:
    """What is known of the client behind a call before its arguments are read."""

    transport: str
    """``stdio``, ``http`` or ``local``."""
    source: str
    """Where the connection comes from: a peer address, ``stdio`` or ``local``."""
    agent: str | None = None
    """The endpoint's agent name."""
    bindings: tuple[str, ...] = ()
    selection: Selection | None = None
    """The mode the endpoint fixes."""
    person: str | None = None
    """``human:<os user>`` of a local command."""
    program: str | None = None
    """Name and version the client gave itself."""
    pid: int | None = None
    token: str | None = field(default=None, repr=False)
    """The credential it presents, unchecked."""
    remote: bool = False
    """It is on another machine than the server."""
    exposed: str | None = None
    """The address its server listens on, where other machines reach it."""
    room_secret: str | None = field(default=None, repr=False)
    """The room's secret for masc_join, from the environment of a stdio process."""
    authenticated: str | None = None
    """The agent of its credential in the server's start room, once that was checked."""
    adopt: Callable[[str], None] | None = field(default=None, repr=False)
    """Lets a stdio process go on with a token that it was issued."""

    @property
    def caller_known(self) -> bool:
        """The caller needs no argument."""
        return self.agent is not None or self.authenticated is not None

    @property
    def actor(self) -> str:
        """Who makes a room, before anybody is known in it."""
        return self.agent or self.person or "anonymous"


@define
class Bindings:
    """What this process remembers of its clients: chosen rooms, and the names they joined under."""

    rooms: dict[str, Path] = field(factory=dict)
    names: dict[tuple[str, str], dict[str, str]] = field(factory=dict)
    last: dict[tuple[str, str], str] = field(factory=dict)
    sessions: set[str] = field(factory=set)
    """Open MCP sessions of this process, as binding strings."""

    def room(self, client: Client) -> Path | None:
        """The directory this client chose with masc_set_room."""
        return next((self.rooms[b] for b in client.bindings if b in self.rooms), None) if self.rooms else None

    def agent(self, client: Client, room: str, name: str) -> str | None:
        """The agent this client joined as when it asked for ``name``."""
        for binding in client.bindings:
            if (found := self.names.get((binding, room), {}).get(name.lower())) is not None:
                return found
        return None

    def agents(self, client: Client, room: str) -> set[str]:
        """Every agent this client joined as."""
        return {agent for binding in client.bindings for agent in self.names.get((binding, room), {}).values()}

    def last_joined(self, client: Client, room: str) -> str | None:
        """The name this stdio process last joined with."""
        return next((self.last[(b, room)] for b in client.bindings if (b, room) in self.last), None)

    def joined(self, client: Client, room: str, requested: str, agent: str) -> None:
        """Remember a join."""
        for binding in client.bindings:
            names = self.names.setdefault((binding, room), {})
            names[requested.lower()] = names[agent.lower()] = agent
            if client.transport == "stdio":
                self.last[(binding, room)] = agent

    def close_session(self, binding: str) -> None:
        """Forget an MCP session that ended."""
        self.sessions.discard(binding)
        self.rooms.pop(binding, None)
        for key in [key for key in self.names if key[0] == binding]:
            del self.names[key]

    def ended(self, binding: str) -> bool:
        """The binding's client is gone for certain: its process exited or its session closed."""
        kind, _, rest = binding.partition(":")
        if kind == "session":
            process = f"process:{rest.partition('@')[2]}"
            if process == process_binding():
                return binding not in self.sessions
            return self.ended(process)
        if kind == "ended":
            return True
        if kind != "process":
            return False
        host, pid, start = rest.rsplit(":", 2)
        if host != _HOST:
            return False
        return _started(int(pid)) not in (start, _UNKNOWN)


def process_binding() -> str:
    """The binding of this very process."""
    return f"process:{_HOST}:{os.getpid()}:{_started(os.getpid())}"


def _started(pid: int) -> str | None:
    """What tells a process from an earlier one of the same number; ``None`` when there is no such process."""
    if sys.platform == "linux":
        try:
            # Ticks since the boot: unlike a time of day they stay the same when somebody sets the clock.
            stat = Path(f"/proc/{pid}/stat").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return f"{stat.rpartition(b')')[2].split()[_START].decode()}@{_boot()}"
    import psutil

    try:
        return f"{psutil.Process(pid).create_time():.2f}"
    except psutil.NoSuchProcess:
        return None
    except psutil.AccessDenied:
        return _UNKNOWN


@cache
def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]


def local_client(agent: str | None = None) -> Client:
    """The client of a local command: the person at the machine, an agent the person names, or, where auth is on, the
    agent of the token in the environment. Raises :class:`StartError` when that cannot be read."""
    return Client(
        transport="local",
        source="local",
        agent=agent,
        bindings=(*([f"agent:{agent.lower()}"] if agent else []), process_binding()),
        person=None if agent else f"human:{getpass.getuser()}",
        token=ProcessToken.of_environment().value,
    )


async def resolve(ctx: Context, client: Client, bindings: Bindings, arguments: Mapping[str, Any]) -> Caller:
    """The caller of ``ctx.call``. Raises :class:`InvalidAgentName` and :class:`AmbiguousAgent`."""
    tool = ctx.call.tool
    given = arguments.get(tool.caller_field) if tool.caller is not CallerUse.NONE else None
    if isinstance(given, str):
        agent_name(tool.caller_field, given)
    else:
        given = None
    if client.agent is not None:
        caller = await _matched(ctx, client, bindings, client.agent, "endpoint")
        if given is not None and given.lower() not in {client.agent.lower(), caller.name.lower()}:
            ctx.call.other_named = given
            ctx.warn("agent_name_ignored", f"this endpoint acts for {caller.name}; the argument {given} was ignored")
        return caller
    if given is not None:
        caller = await _matched(ctx, client, bindings, given, "argument")
        return caller if client.person is None else evolve(caller, by=client.person)
    if client.transport == "stdio" and (last := bindings.last_joined(client, str(ctx.base))) is not None:
        return Caller(last, Role.WORKER, "process", requested=last)
    if client.person is not None:
        return Caller(client.person, Role.ADMIN, "local")
    return Caller()


async def _matched(ctx: Context, client: Client, bindings: Bindings, name: str, auth: str) -> Caller:
    if ctx.room is None or ctx.call.tool.name == "masc_join":
        return Caller(name, Role.WORKER, auth, requested=name)
    if (bound := bindings.agent(client, str(ctx.base), name)) is not None:
        return Caller(bound, Role.WORKER, auth, requested=name)
    found = await _own(ctx, name) or await match_agent(ctx, name)
    return Caller(found.name if found else name, Role.WORKER, auth, requested=name)


async def _own(ctx: Context, name: str, session_id: str | None = None) -> Agent | None:
    """The present agent of that name or requested name that this client joined as, or whose session id it gives."""
    mine = set(ctx.call.client.bindings)
    if not mine and session_id is None:
        return None
    exact = await ctx.agents.find(name.lower())
    for agent in [*([exact] if exact else []), *await ctx.agents.scan("requested", name.lower())]:
        if not agent.left_at and (mine & set(agent.bindings) or session_id == agent.meta.session_id):
            return agent
    return None


@frozen
class Joined:
    """The outcome of a join."""

    agent: Agent
    renamed: bool
    rejoined: bool
    taken_over: bool


async def join(
    ctx: Context,
    requested: AgentName,
    *,
    capabilities: list[str] | None = None,
    agent_type: str | None = None,
    session_id: str | None = None,
) -> Joined:
    """Make ``requested``, or the name the rules give instead, a live agent, in the present unit of work.

    First fitting rule: free name; the caller's own or an abandoned membership; a zombie's; the lowest free ``-2``, ``-3``, ….
    A token's name is its caller's in any case; one that a credential protects from this caller is never given.
    """
    kind = agent_type or requested.split("-")[0] or requested
    by_token = ctx.caller.auth == "token"
    if (own := await _returning(ctx, requested, session_id)) is not None:
        return await _rejoin(ctx, own, requested, capabilities)
    existing = await ctx.agents.find(requested.lower())
    if await is_protected(ctx, requested):
        name = await _free_name(ctx, requested)
    elif existing is not None and not existing.left_at:
        presence = await ctx.presence.find(requested.lower())
        zombie = is_zombie(existing, presence, ctx.now, ctx.settings.health.zombie_seconds)
        if not zombie and (by_token or _abandoned(ctx, existing)):
            return await _rejoin(ctx, existing, requested, capabilities)
        if zombie:
            await release(ctx, existing, "zombie")
            fresh = await _enter(ctx, existing.name, requested, kind, capabilities)
            return Joined(fresh, renamed=False, rejoined=False, taken_over=True)
        name = await _free_name(ctx, requested)
    else:
        name = existing.name if existing else requested
    # Once more, now that the names have been looked at: one of those that were taken may be this client's since then.
    if name.lower() != requested.lower() and (own := await _returning(ctx, requested, session_id)) is not None:
        return await _rejoin(ctx, own, requested, capabilities)
    agent = await _enter(ctx, name, requested, kind, capabilities)
    ctx.call.joined_as = (requested, agent.name)
    return Joined(agent, renamed=agent.name.lower() != requested.lower(), rejoined=False, taken_over=False)


async def _returning(ctx: Context, requested: str, session_id: str | None) -> Agent | None:
    """The membership that whoever joins has already, under this or the name it was given instead."""
    own = None if ctx.caller.auth == "token" else await _own(ctx, requested, session_id)
    if own is None or await is_protected(ctx, own.name):
        return None
    return await ctx.agents.find(own.name.lower())


async def is_protected(ctx: Context, name: str) -> bool:
    """A credential keeps the name from this caller."""
    return any(a.get("protected") for a in await ctx.ask("masc_name_protected", ctx=ctx, name=name))


def _bindings(ctx: Context) -> tuple[str, ...]:
    """What ties the joining agent to its client; an admin who acts for it is not tied."""
    return () if ctx.caller.auth == "token" and ctx.caller.by else ctx.call.client.bindings


def _abandoned(ctx: Context, agent: Agent) -> bool:
    """Everything that was bound to the agent has ended."""
    mortal = [b for b in agent.bindings if not b.startswith("agent:")]
    return bool(mortal) and all(ctx.call.bindings.ended(b) for b in mortal)


async def _rejoin(ctx: Context, agent: Agent, requested: str, capabilities: list[str] | None) -> Joined:
    client = ctx.call.client
    alive = [b for b in agent.bindings if b not in client.bindings and not ctx.call.bindings.ended(b)]
    kept = evolve(
        agent,
        bindings=[*alive, *_bindings(ctx)],
        capabilities=agent.capabilities if capabilities is None else capabilities,
        meta=evolve(agent.meta, pid=client.pid, client=client.program),
    )
    if kept != agent:
        kept = ctx.agents.put(kept)
    await _seen(ctx, agent.name)
    ctx.call.joined_as = (agent.requested_name, agent.name)
    renamed = agent.name.lower() != requested.lower()
    return Joined(kept, renamed=renamed, rejoined=True, taken_over=False)


async def _enter(ctx: Context, name: str, requested: str, kind: str, capabilities: list[str] | None) -> Agent:
    client = ctx.call.client
    known = await ctx.agents.find(name.lower())
    held = await unfinished_tasks(ctx, name) if known else []
    agent = ctx.agents.put(
        Agent(
            name=name,
            requested_name=requested,
            agent_type=kind,
            joined_at=ctx.now,
            meta=new_meta(client.program, client.pid, _HOST if client.pid else None, known),
            capabilities=capabilities or [],
            current_task=await still(ctx, held[0].id) if held else None,
            bindings=list(_bindings(ctx)),
        )
    )
    await _seen(ctx, name)
    ctx.event("agent_join", name, requested_name=requested, agent_type=kind)
    ctx.system_message(f"{name} joined")
    ctx.call.joined_as = (requested, name)
    return agent


async def _seen(ctx: Context, name: str) -> None:
    """Refresh the presence of a joining agent; a new one starts reading at the end of the room's messages."""
    presence = await ctx.presence.find(name.lower())
    if presence is None:
        _, last = await LogView(MESSAGES, ctx.tx).ends()
        presence = Presence(name, ctx.now, last)
    ctx.presence.put(evolve(presence, last_seen=ctx.now, alive_until=None, listening={}))


async def _free_name(ctx: Context, requested: str) -> str:
    number = 2
    while True:
        suffix = f"-{number}"
        candidate = requested[: 64 - len(suffix)] + suffix
        taken = await ctx.agents.find(candidate.lower())
        if (taken is None or taken.left_at) and not await is_protected(ctx, candidate):
            return taken.name if taken else candidate
        number += 1
