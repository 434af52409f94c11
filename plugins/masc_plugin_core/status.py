"""masc_status: the room at a glance."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import orjson
from attrs import field

from masc_core import READ, READER, CallerUse, Context, tool
from masc_core.agents import agents_with_status
from masc_core.convert import unstructure
from masc_core.frozen import evolve, frozen
from masc_core.records import UNFINISHED, Agent, Task
from masc_core.remembered import remembered, share
from masc_plugin_core.board import DAY_SECONDS
from masc_plugin_core.endings import counted_since, newest_since

__all__ = ["masc_status"]

SHOWN = 20
"""Most items of a list, however short they are."""
TITLE = 60
REASON = 120
"""Characters of a text that are shown."""
SENDERS = 5
TOKENS = 600
"""What all of it may cost, also in a busy room."""
AGENTS, LOCKS, SPOKEN, HINTS = 170, 75, 60, 45
"""What agents, locks, senders and hints may take of that; what they leave is the tasks', and what those leave the locks'."""
WORDS = (
    "backend caller cluster current expires false inactive locked mentions messages paused pending portal "
    "priority progress reason status system title total votes"
)
"""Long words of which every status has many, each of one token."""
PIECE = re.compile(
    rf"(?<![A-Za-z0-9])(?:{'|'.join(WORDS.split())})(?![A-Za-z0-9])|"
    r"(?:(?<=[a-z]{5})|(?<=[0-9]))[a-z]{1,2}|[A-Za-z][a-z]{0,4}|[0-9]{1,3}|[!-/:-@\[-`{-~]{1,4}|[^\x00-\x7f]"
)
"""Takes a text apart in about as many pieces as a tokenizer does; in more, where letters are many or follow a digit: whether
they are a word, of one token, cannot be told without its tables."""
_RARE = 0xF0
"""From this first byte on, a character is of those which a tokenizer takes byte by byte, all four."""
SYSTEM = "system"
REMEMBERED = 64
"""Callers whose last status is remembered."""
L = TypeVar("L")


@frozen
class AgentLine:
    """One agent."""

    name: str
    status: str
    is_zombie: bool
    current_task: str | None = None


@frozen
class TaskLine:
    """One task."""

    id: str
    title: str
    status: str
    priority: int
    assignee: str | None = None


@frozen
class MessageCounts:
    """The room's messages in numbers."""

    total: int
    last_seq: int
    by_sender: dict[str, int]


@frozen
class LockLine:
    """One held lock; ``expires_soon`` within 300 s."""

    file_path: str
    locked_by: str
    expires_at: str
    expires_soon: bool


@frozen
class LockSummary:
    """The room's locks."""

    active: int = 0
    files: list[LockLine] = field(factory=list)


@frozen
class Unread:
    """What waits for the caller."""

    mentions: int
    portal_tasks: int


@frozen
class More:
    """How many of each are not shown, and which calls show them."""

    agents: int
    tasks: int
    locks: int | None = None
    senders: int | None = None
    ask: list[str] | None = None


@frozen
class Status:
    """Result of masc_status; only the first fields without a room."""

    initialised: bool
    path: str
    mode: str
    cluster: str | None = None
    room: str | None = None
    backend: str | None = None
    paused: bool | None = None
    pause_reason: str | None = None
    agents: list[AgentLine] | None = None
    agents_total: int | None = None
    tasks: list[TaskLine] | None = None
    tasks_by_status: dict[str, int] | None = None
    messages: MessageCounts | None = None
    locks: LockSummary | None = None
    interrupts_open: int | None = None
    votes_pending: int | None = None
    caller: str | None = None
    unread: Unread | None = None
    more: More | None = None


@tool(
    effect=READ,
    role=READER,
    caller=CallerUse.OPTIONAL,
    needs_room=False,
    keywords=(
        "overview state room going now happening agent task unread mentions wait anything paused stand right report "
        "snapshot attention; situation whole current moment look project lock catch backend cluster storage pulse "
        "health check digest brief play who new quick news suspended halted run things here everyone left message "
        "everything important today busy short"
    ),
)
async def masc_status(ctx: Context) -> Status:
    """Show agents, tasks, locks and what waits for you."""
    mode = ctx.call.active.selection.mode
    if ctx.room is None:
        return Status(initialised=False, path=str(ctx.base), mode=mode)
    rows = await agents_with_status(ctx)
    parts: dict[str, Any] = {"interrupts_open": 0, "votes_pending": 0}
    for part in await ctx.ask("masc_status", ctx=ctx):
        parts.update(part)
    held = parts.pop("locks", {"active": 0, "files": []})
    counts = await ctx.tasks.count("status")
    found, total = await _shown_tasks(ctx, counts)
    _, last = await ctx.messages.ends()
    senders = await ctx.messages.count("from")
    known = ctx.caller.known and (await ctx.agents.peek([ctx.caller.name.lower()]))[0] is not None
    bare = Status(
        initialised=True,
        path=str(ctx.base),
        mode=mode,
        cluster=ctx.room.cluster,
        room=ctx.room.id,
        backend=ctx.backend,
        paused=ctx.room.paused,
        pause_reason=cut(ctx.room.pause_reason, REASON) if ctx.room.pause_reason else None,
        agents_total=len(rows),
        tasks_by_status=counts,
        messages=MessageCounts(sum(senders.values()), last, {}),
        locks=LockSummary(held["active"]),
        caller=ctx.caller.name if ctx.caller.known else None,
        unread=await _unread(ctx) if known else None,
        **parts,
    )
    lines = _Lines(
        [share(_agent_line(agent.name, status, agent.current_task)) for agent, _, status in rows[:SHOWN]],
        [_task_line(task) for task in found],
        [LockLine(**line) for line in held["files"]],
        await _spelled(ctx, [agent for agent, _, _ in rows], sorted(senders.items(), key=_most_first)[:SENDERS]),
    )
    enabled = ctx.call.active.categories or ctx.modes.installed
    facts = (vars(bare), vars(lines), total, len(senders), enabled)

    def fitted() -> Status:
        return _filled(bare, lines.fitting(TOKENS - HINTS - _cost(bare)), total, len(senders), enabled)

    return ctx.remember(_Shown).status(ctx.actor, facts, fitted)


class _Shown:
    """What was shown last to each caller. Of a room in which nothing has happened since it is not put together again, and from
    the second time on its text is kept with it."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[object, Status]] = {}

    def status(self, who: str, facts: object, make: Callable[[], Status]) -> Status:
        """What was made of the same facts, or what is made of them now."""
        before, status = self._last.pop(who, (None, None))
        if status is None or before != facts:
            status = make()
            if len(self._last) >= REMEMBERED:
                del self._last[next(iter(self._last))]
        else:
            share(status)
        self._last[who] = facts, status
        return status


def _most_first(sender: tuple[str, int]) -> tuple[int, str]:
    return -sender[1], sender[0]


async def _spelled(ctx: Context, here: Sequence[Agent], senders: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """The senders, which are counted by lower-case name, under the names they go by."""
    names = {agent.name.lower(): agent.name for agent in here}
    gone = [name for name, _ in senders if name not in names and name != SYSTEM]
    if gone:
        names |= {agent.name.lower(): agent.name for agent in await ctx.agents.peek(gone) if agent is not None}
    return [(names.get(name, name), count) for name, count in senders]


# The same lines are shown call after call.
@lru_cache(maxsize=512)
def _agent_line(name: str, status: str, current_task: str | None) -> AgentLine:
    return AgentLine(name, status, status == "zombie", current_task)


@remembered
def _task_line(task: Task) -> TaskLine:
    return TaskLine(task.id, cut(task.title, TITLE), task.status, task.priority, task.assignee)


@frozen
class _Lines:
    """The lines of each list."""

    agents: list[AgentLine]
    tasks: list[TaskLine]
    locks: list[LockLine]
    senders: list[tuple[str, int]]

    def fitting(self, most: int) -> _Lines:
        """The first of each that cost no more than ``most`` together."""
        agents, spent = _fitting(self.agents, min(AGENTS, most))
        senders, spoken = _fitting(self.senders, min(SPOKEN, most - spent))
        left = most - spent - spoken
        kept = min(sum(map(_line_cost, self.locks[:2])), LOCKS)
        tasks, spent = _fitting(self.tasks, left - kept)
        locks, _ = _fitting(self.locks, left - spent)
        return _Lines(agents, tasks, locks, senders)


def _filled(bare: Status, lines: _Lines, tasks: int, senders: int, enabled: Collection[str]) -> Status:
    """The status with what is shown of so many tasks and senders, and what is not."""
    messages, locks = bare.messages, bare.locks
    assert messages is not None and locks is not None and bare.agents_total is not None
    left = More(
        bare.agents_total - len(lines.agents),
        tasks - len(lines.tasks),
        locks.active - len(lines.locks) or None,
        senders - len(lines.senders) or None,
    )
    return evolve(
        bare,
        agents=lines.agents,
        tasks=lines.tasks,
        messages=evolve(messages, by_sender=dict(lines.senders)),
        locks=evolve(locks, files=lines.locks),
        more=evolve(left, ask=_to_ask(enabled, left) or None),
    )


def cut(text: str, most: int) -> str:
    """A text, or its beginning."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _cost(shown: Any) -> int:
    """About the tokens of what is shown, as JSON: the tokenizer itself is too much to load for this."""
    return _pieces(orjson.dumps(unstructure(shown))) + 1


@lru_cache(maxsize=64)
def _pieces(text: bytes) -> int:
    rare = 0 if text.isascii() else sum(byte >= _RARE for byte in text)
    return len(PIECE.findall(text.decode())) + 3 * rare


@lru_cache(maxsize=1024)
def _cost_of(kind: type, *fields: Any) -> int:
    return _cost(kind(*fields))


def _line_cost(line: Any) -> int:
    return _cost_of(line.__class__, *((line,) if isinstance(line, tuple) else vars(line).values()))


def _fitting(lines: list[L], most: int) -> tuple[list[L], int]:
    """The first of the lines that cost no more than so much, and what they cost."""
    spent = 0
    for n, line in enumerate(lines):
        if (following := spent + _line_cost(line)) > most:
            return lines[:n], spent
        spent = following
    return lines, spent


def _to_ask(enabled: Collection[str], left: More) -> list[str]:
    """How to ask for what was left out, where these categories exist."""
    ask = []
    if left.agents:
        ask += [name for name, category in (("masc_agents", "health"), ("masc_who", "comm")) if category in enabled][:1]
    if left.tasks:
        ask.append("masc_tasks limit=200")
    if "comm" in enabled:
        # No tool lists the locks; who wants to edit a file is told whose it is by asking for it.
        ask += ["masc_lock file_path=<the one to edit>"] if left.locks else []
        ask += ["masc_messages limit=100"] if left.senders else []
    return ask


async def _shown_tasks(ctx: Context, counts: dict[str, int]) -> tuple[list[Task], int]:
    """The tasks to show first, and how many there are to show."""
    shown: list[Task] = []
    for status in UNFINISHED:
        if counts.get(status) and len(shown) < SHOWN:
            shown += await ctx.tasks.scan("status", status, limit=SHOWN - len(shown))
    since = ctx.after(-DAY_SECONDS)
    ended = sum((await counted_since(ctx, since)).values())
    total = sum(counts.get(s, 0) for s in UNFINISHED) + ended
    if ended and len(shown) < SHOWN:
        shown += await newest_since(ctx, since, SHOWN - len(shown))
    return shown, max(total, len(shown))


async def _unread(ctx: Context) -> Unread:
    name = ctx.caller.name.lower()
    presence = (await ctx.presence.peek([name]))[0]
    read = presence.read_seq if presence else 0
    mentions = await ctx.messages.count_after("mentions", name, read)
    portal = sum(int(p.get("portal_tasks", 0)) for p in await ctx.ask("masc_unread", ctx=ctx, agent=ctx.caller.name))
    return Unread(mentions, portal)
