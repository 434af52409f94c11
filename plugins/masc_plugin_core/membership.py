"""Choosing, creating, joining and leaving a room."""

from __future__ import annotations

import random
import re
from typing import Annotated, Any, Literal

from attrs import field

from masc_core import ADMIN, READER, WORKER, WRITE, Bound, CallerUse, Context, Title, Verbatim, tool
from masc_core.agents import release, unfinished_tasks
from masc_core.errors import (
    AgentNameRequired,
    BindingRequired,
    BudgetExceeded,
    InvalidRoomSecret,
    PathNotAllowed,
    StorageBusy,
)
from masc_core.frozen import frozen
from masc_core.identity import is_protected, join
from masc_core.records import Agent, Task
from masc_core.values import AgentType, Capabilities, agent_name
from masc_plugin_core.board import ensure_work_may_start, transition
from masc_plugin_core.errors import RoomPaused
from masc_plugin_core.nicknames import ADJECTIVES, ANIMALS
from masc_plugin_core.tasks import masc_add_task

__all__ = ["masc_init", "masc_join", "masc_leave", "masc_set_room", "masc_start"]

RoomPath = Annotated[str, Bound(minLength=1, maxLength=500), Verbatim()]


@frozen
class RoomChosen:
    """Result of masc_set_room."""

    path: str
    room: str
    initialised: bool


@tool(
    effect=WRITE,
    role=ADMIN,
    idempotent=True,
    caller=CallerUse.NONE,
    needs_room=False,
    creates_room="never",
    room_argument="path",
    errors=(BindingRequired, PathNotAllowed),
    examples=({"path": "."},),
    keywords=(
        "switch change point wrong repository directory instead coordinate connect work; choose select pick move "
        "enter different workspace path cd session hop jump relocate bind attach target root location cwd worktree "
        "elsewhere sister home base server right not open board room subsequent service retarget monorepo"
    ),
)
async def masc_set_room(ctx: Context, path: RoomPath) -> RoomChosen:
    """Work in another project's room from now on."""
    return RoomChosen(str(ctx.base), ctx.room.id if ctx.room else "default", ctx.room is not None)


@frozen
class Membership:
    """An agent's place in the room."""

    agent: str
    requested_name: str
    renamed: bool
    rejoined: bool
    taken_over: bool
    agent_type: str
    session_id: str
    room: str
    guide: str


@frozen
class Initialised:
    """Result of masc_init."""

    created: bool
    room: str
    path: str
    agent: Membership | None = None


@tool(
    effect=WRITE,
    role=ADMIN,
    idempotent=True,
    caller=CallerUse.OPTIONAL,
    auto_join=False,
    creates_room="always",
    keywords=(
        "initialise coordinate directory room not set none; prepare time shared space workspace repository exist "
        "missing yet create fresh store gitignore scaffold setup install begin brand empty database configuration "
        "ready first run establish lay foundations area collaboration scratch kickoff"
    ),
)
async def masc_init(ctx: Context) -> Initialised:
    """Create the room here if it is missing, and join it."""
    assert ctx.room is not None
    membership = None
    if ctx.caller.known and ctx.caller.auth != "local":
        membership = await _member(ctx, ctx.caller.requested or ctx.agent)
    return Initialised(ctx.call.room_created, ctx.room.id, ctx.room.path, membership)


async def _member(
    ctx: Context,
    name: str,
    capabilities: list[str] | None = None,
    agent_type: str | None = None,
    session_id: str | None = None,
) -> Membership:
    joined = await join(ctx, name, capabilities=capabilities, agent_type=agent_type, session_id=session_id)
    agent: Agent = joined.agent
    guide = (
        "look with masc_status, take work with masc_claim_next, tell others with masc_broadcast, finish with masc_done"
    )
    if joined.renamed:
        guide = f"you are {agent.name}: use that name. Then " + guide
    assert ctx.room is not None
    return Membership(
        agent=agent.name,
        requested_name=agent.requested_name,
        renamed=joined.renamed,
        rejoined=joined.rejoined,
        taken_over=joined.taken_over,
        agent_type=agent.agent_type,
        session_id=agent.meta.session_id,
        room=ctx.room.id,
        guide=guide,
    )


@frozen
class Admitted(Membership):
    """Result of masc_join; with a token where the room's secret was given."""

    token: str | None = field(default=None, repr=False)
    token_path: str | None = None
    token_expires_at: str | None = None


@tool(
    effect=WRITE,
    role=READER,
    idempotent=True,
    auto_join=False,
    caller=CallerUse.OPTIONAL,
    errors=(AgentNameRequired, InvalidRoomSecret),
    keywords=(
        "register enter connect agent new name mine enrol participate arrived part let show get login secret; "
        "reconnect rejoin introduce become team hello hi nickname alias identity known under session id password sign "
        "give_back crash log add present hop aboard hey call nick know put room presence membership admit seat come"
    ),
)
async def masc_join(
    ctx: Context,
    capabilities: Capabilities | None = None,
    nickname: bool = False,
    agent_type: AgentType | None = None,
    session_id: Annotated[str, Bound(pattern="^[0-9a-f]{8}$")] | None = None,
    room_secret: Annotated[str, Bound(pattern="^[0-9a-f]{64}$"), Verbatim()] | None = None,
    deliver: Literal["file", "result"] | None = None,
) -> Admitted:
    """Join the room; the result tells your name."""
    known = ctx.caller.known and ctx.caller.auth != "local"
    if not known and not nickname:
        raise AgentNameRequired(tool="masc_join")
    named = known and (ctx.caller.auth != "process" or not nickname)
    name = (ctx.caller.requested or ctx.caller.name) if named else "agent"
    if nickname and ctx.caller.auth == "token":
        ctx.warn("nickname_ignored", f"your token makes you {name}")
    elif nickname:
        agent_type = agent_type or name.split("-")[0] or name
        name = await _nickname(ctx, name)
    member = await _member(ctx, name, capabilities, agent_type, session_id)
    issued: dict[str, Any] = {}
    for part in await ctx.ask("masc_joined", ctx=ctx, agent=member.agent, deliver=deliver):
        issued.update(part)
    if room_secret is not None and not issued and ctx.caller.auth != "token":
        ctx.warn("room_secret_ignored", "auth is off in this room, so the room secret was ignored")
    return Admitted(**{name: getattr(member, name) for name in Membership.__annotations__}, **issued)


async def _nickname(ctx: Context, name: str) -> str:
    """``<name>-<adjective>-<animal>`` that nobody has; the one this client has already."""
    mine = set(ctx.call.client.bindings)
    await ctx.last_number("nickname")  # two joins of one client at once must not give it two
    for agent in await ctx.agents.scan("state", "present"):
        if mine & set(agent.bindings) and _is_nickname(agent.name.lower(), name.lower(), ctx.caller.auth == "process"):
            return agent.name
    pairs = [(adjective, animal) for adjective in ADJECTIVES for animal in ANIMALS]
    random.shuffle(pairs)
    for adjective, animal in pairs:
        suffix = f"-{adjective}-{animal}"
        candidate = name[: 64 - len(suffix)] + suffix
        if (await ctx.agents.peek([candidate.lower()]))[0] is None and not await is_protected(ctx, candidate):
            await ctx.next_number("nickname")
            return agent_name("agent_name", candidate)
    await ctx.next_number("nickname")
    adjective, animal = pairs[0]
    suffix = f"-{adjective}-{animal}-{random.randrange(16**4):04x}"
    return agent_name("agent_name", name[: 64 - len(suffix)] + suffix)


_NICKNAME = re.compile(rf"(.+)-(?:{'|'.join(ADJECTIVES)})-(?:{'|'.join(ANIMALS)})(?:-[0-9a-f]{{4}})?\Z")


def _is_nickname(agent: str, name: str, any_name: bool) -> bool:
    """``agent`` is a nickname made from ``name``, or from whatever name."""
    found = _NICKNAME.match(agent)
    if found is None or any_name:
        return found is not None
    head = found[1]
    return name == head or (len(agent) == 64 and name.startswith(head))


@frozen
class Started:
    """Result of masc_start."""

    room: str
    path: str
    agent: Membership
    next: str
    task: Task | None = None


@tool(
    effect=WRITE,
    role=WORKER,
    limit="task_ops",
    room_argument="path",
    errors=(BindingRequired, PathNotAllowed, StorageBusy, BudgetExceeded),
    examples=({"task_title": "Fix login"},),
    keywords=(
        "quick start onboard session begin one call arrived new work fix register task; going kick single step "
        "everything piece straight away join create claim title hello bring along shortcut ready hit run fastest jump "
        "right fresh immediately combined whole docs set first command commence day"
    ),
)
async def masc_start(
    ctx: Context,
    path: RoomPath | None = None,
    task_title: Title | None = None,
    capabilities: Capabilities | None = None,
) -> Started:
    """Begin here: join, and with task_title add and claim that task."""
    assert ctx.room is not None
    live = await _live_self(ctx)
    member = await _member(ctx, live or ctx.caller.requested or ctx.agent, capabilities)
    ctx.act_as(member.agent)
    task = None
    if task_title is not None:
        task = await _own_task(ctx, task_title)
    step = f"work on {task.id}, then masc_done" if task and task.assignee else "call masc_claim_next"
    return Started(ctx.room.id, ctx.room.path, member, step, task)


async def _live_self(ctx: Context) -> str | None:
    """The name under which this very client has joined already."""
    agent = await ctx.agents.find(ctx.agent.lower())
    mine = agent is not None and set(agent.bindings) & set(ctx.call.client.bindings)
    return agent.name if agent is not None and mine else None


async def _own_task(ctx: Context, title: str) -> Task:
    """The caller's unfinished task of that title, else a new one, claimed unless the room is paused."""
    for held in await unfinished_tasks(ctx, ctx.agent):
        if held.title == title:
            return held
    added = (await masc_add_task(ctx, title)).task
    try:
        await ensure_work_may_start(ctx, added)
    except RoomPaused as paused:
        ctx.warn("room_paused", str(paused))
        return added
    return (await transition(ctx, added.id, "claim")).task


@frozen
class Left:
    """Result of masc_leave."""

    agent: str
    tasks_released: list[str] = field(factory=list)
    tasks_kept: list[str] = field(factory=list)
    locks_released: list[str] = field(factory=list)
    portals_closed: list[str] = field(factory=list)
    worktrees: list[str] = field(factory=list)


@tool(
    effect=WRITE,
    role=READER,
    idempotent=True,
    auto_join=False,
    keywords=(
        "sign off leave room finish shut everything end mine going remove go; exit today disconnect team goodbye bye "
        "day down release hold hand claim keep good agent session resign retire detach part shift stop participate "
        "log away pull pool return work free stuff weekend whatever goodnight offline walk later hang"
    ),
)
async def masc_leave(ctx: Context, keep_tasks: bool = False) -> Left:
    """Leave the room and give back tasks and locks."""
    agent = await ctx.agents.find(ctx.agent.lower())
    if agent is None or agent.left_at:
        ctx.warn("not_joined", f"{ctx.agent} has not joined this room")
        return Left(ctx.agent)
    gone = await release(ctx, agent, "leave", keep_tasks)
    return Left(
        agent.name,
        gone.tasks_released,
        gone.tasks_kept,
        gone.locks_released,
        gone.portals_closed,
        gone.worktrees,
    )
