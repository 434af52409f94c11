"""Which calls leave an entry, and the entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, field

from masc_core import ADMIN, READ, CallerUse, Context, MascError
from masc_core.clock import timestamp
from masc_core.context import ANONYMOUS
from masc_core.identity import Client
from masc_core.records import ROOM_ID, ROOMS, Event
from masc_core.rooms import OpenRoom
from masc_core.store.driver import IndexEntry
from masc_core.store.transaction import LogPosition, Transaction, transact
from masc_plugin_audit.chain import chained
from masc_plugin_audit.describe import described, described_events, fitting, plain_id
from masc_plugin_audit.keys import make_key
from masc_plugin_audit.records import AUDIT, AuditSettings

__all__ = ["OWN", "append", "new_key", "note_failure", "note_stranger", "recorded"]

UNRECORDED = frozenset({"masc_heartbeat", "masc_portal_status"})
"""Writing tools that only keep books."""
ALWAYS = frozenset({"unauthorized", "invalid_token", "token_expired", "invalid_room_secret", "forbidden"})
"""What is recorded whatever was called."""
OWN = frozenset({"masc_audit_export", "masc_audit_key", "masc_audit_prune"})
"""Our own commands, which write their entries themselves."""
WINDOW_SECONDS = 60.0
MOST_WINDOWS = 4096
_SUBJECTS = ("checkpoint_id", "vote_id", "task_id", "portal_task_id")
_TARGETS = ("agent_name", "agent", "target_agent", "to", "peer")
_MEMORY = "audit"


@define
class _Memory:
    """What this process knows of the room."""

    loaded: LogPosition | None = None
    """The entry that names this process's plugins."""
    limited: dict[tuple[str, ...], float] = field(factory=dict)
    """When the window of each refusal by the rate limit is over, by key."""


async def note_failure(ctx: Context, error: MascError) -> None:
    """Write the entry of a refused or failed call in a unit of work of its own."""
    if error.code == "rate_limited":
        if not _first_in_window(ctx, error):
            return
    elif error.code not in ALWAYS and not recorded(ctx):
        return

    async def note(work: Context) -> None:
        # A call that would have made the room and was refused leaves none behind, nor a log.
        if await work.collection(ROOMS).find(ROOM_ID) is not None:
            append(work, error.code, await new_key(work), error=error)

    await ctx.transact(note)


async def note_stranger(room: OpenRoom, client: Client, asked: str, error: MascError) -> None:
    """Write the entry of a request without a call; ``tool`` is what was asked for."""

    async def note(tx: Transaction) -> None:
        entry = {
            "at": timestamp(room.driver.clock.now()),
            "actor": ANONYMOUS,
            "role": "none",
            "auth": "none",
            "tool": asked,
            "outcome": error.code,
            "source": client.source,
            "details": {},
        }
        tx.append(AUDIT.name, chained(entry))

    await transact(room.driver, note)


def recorded(ctx: Context) -> bool:
    """Whether calls like this one leave an entry when they succeed."""
    tool = ctx.call.tool
    if tool.effect is READ:
        if ctx.caller.auth == "local" and tool.role is ADMIN:
            return True
        settings = ctx.settings.sections.get(AuditSettings)  # not of(): most rooms have no section, and all calls ask
        return settings is not None and settings.reads
    return tool.name not in UNRECORDED


def _memory(ctx: Context) -> _Memory:
    found: _Memory | None = ctx.memory.get(_MEMORY)
    if found is None:
        found = ctx.memory[_MEMORY] = _Memory()
    return found


def _first_in_window(ctx: Context, error: MascError) -> bool:
    windows, now = _memory(ctx).limited, ctx.clock.monotonic()
    key = (ctx.actor.lower(), ctx.call.client.source, str(error.details.get("category", "")))
    if windows.get(key, now) > now:
        return False
    if len(windows) >= MOST_WINDOWS:
        for old in [k for k, over in windows.items() if over <= now] or list(windows)[: MOST_WINDOWS // 2]:
            del windows[old]
    windows[key] = now + WINDOW_SECONDS
    return True


async def new_key(ctx: Context) -> dict[str, Any] | None:
    """The details of a call that makes the room: its signing key is made in the same unit of work."""
    if not ctx.call.room_created:
        return None
    key, made = await make_key(ctx)
    return {"signing_key": key.public} if made else None


def append(
    ctx: Context,
    outcome: str,
    details: Mapping[str, Any] | None = None,
    *,
    error: MascError | None = None,
    index: Sequence[IndexEntry] = (),
) -> LogPosition:
    """Add the entry of ``ctx.call`` to the present unit of work; ``details`` come on top of what the call itself tells."""
    _note_plugins(ctx)
    told, subject = _told(ctx, error)
    if details:
        told |= details
    caller = ctx.caller
    entry: dict[str, Any] = {
        "at": ctx.now,
        "actor": caller.by or caller.name,
        "role": caller.role.label,
        "auth": caller.auth,
        "tool": ctx.call.tool.name,
        "outcome": outcome,
        "source": ctx.call.client.source,
        "details": fitting(told),
    }
    if caller.by is not None:
        entry["on_behalf_of"] = caller.name
    if subject is not None:
        entry["subject"] = subject
    return ctx.tx.append(AUDIT.name, chained(entry), index)


def _note_plugins(ctx: Context) -> None:
    """Before the first entry of a process: which plugins it has loaded."""
    memory = _memory(ctx)
    if memory.loaded is not None and memory.loaded.known:
        return
    names = [f"{'guard ' if p.guard else ''}{p.name} {p.distribution} {p.version}" for p in ctx.plugins]
    entry = {
        "at": ctx.now,
        "actor": "system",
        "role": ADMIN.label,
        "auth": "local",
        "tool": "masc_plugins_loaded",
        "outcome": "ok",
        "source": "local",
        "details": fitting({"plugins": names}),
    }
    memory.loaded = ctx.tx.append(AUDIT.name, chained(entry))


def _told(ctx: Context, error: MascError | None) -> tuple[dict[str, Any], str | None]:
    call = ctx.call
    caller_field = call.tool.caller_field if call.tool.caller is not CallerUse.NONE else ""
    given = call.given
    if given is None:  # refused before they were validated
        given = {name: value for name, value in call.arguments.items() if name != caller_field}
    arguments, texts = described(call.tool.handler, given)
    subject = _subject(arguments, ctx.events)
    told: dict[str, Any] = {}
    if arguments:
        told["arguments"] = arguments
    if error is not None:
        if reasons := _reasons(ctx, error):
            told["error"] = reasons
        claimed = call.client.agent or call.arguments.get(caller_field)
        if not ctx.caller.known and plain_id(claimed):
            told["claimed"] = claimed
    elif ctx.events:
        told["events"] = described_events(ctx.events, subject, texts)
    if call.redacted:
        told["redacted"] = dict(call.redacted)
    return told, subject


def _reasons(ctx: Context, error: MascError) -> dict[str, Any]:
    """What of an error's details is ours and not the caller's: the reason, the field, numbers, roles."""
    known = ctx.call.contract.input["properties"]
    return {
        name: value
        for name, value in error.details.items()
        if (isinstance(value, int) and abs(value) <= 2**53)
        or (name in {"reason", "required_role", "role", "category", "mode"} and plain_id(value))
        or (name == "field" and value in known)
    }


def _subject(arguments: Mapping[str, Any], events: Sequence[Event]) -> str | None:
    """The task, vote, checkpoint or agent concerned, where an argument or what happened says so."""
    for name in _SUBJECTS:
        if name in arguments and isinstance(found := arguments[name], str):
            return found
    joined = None
    for event in events:
        if event.subject is not None and plain_id(event.subject):
            if event.type != "agent_join":
                return event.subject
            joined = event.subject
    for name in _TARGETS:
        if name in arguments and isinstance(found := arguments[name], str):
            return found
    return joined
