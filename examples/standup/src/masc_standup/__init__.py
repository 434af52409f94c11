"""Category standup: what everybody did, and what is in the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from masc_core import Collection, Context, Log, hookimpl
from masc_standup.notes import NOTES, StandupSettings, forget, standup_note, standup_today

__all__: list[str] = []


@hookimpl
def masc_tools(register: Callable[[Callable[..., Any]], None]) -> None:
    """The category's tools, in the order of the list."""
    register(standup_note)
    register(standup_today)


@hookimpl
def masc_records(register: Callable[[Collection[Any] | Log[Any]], None]) -> None:
    """What the category keeps."""
    register(NOTES)


@hookimpl
def masc_settings(register: Callable[[str, type], None]) -> None:
    """The section ``[standup]``."""
    register("standup", StandupSettings)


@hookimpl
def masc_modes(register: Callable[[str, Sequence[str], str], None]) -> None:
    """A mode for teams that meet in the morning."""
    register("standup", ["comm", "standup"], "board, messages and what everybody did")


@hookimpl
async def masc_gc(ctx: Context, before: str, dry_run: bool) -> Mapping[str, Any] | None:
    """Notes go with everything else that is old."""
    return {"standup_notes": await forget(ctx, before, dry_run)}
