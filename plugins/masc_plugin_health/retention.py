"""How long a room keeps what is over: the settings, deletion from the archive, and what servers do by themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from attrs import define, field
from attrs.validators import optional

from masc_core.context import Context
from masc_core.frozen import frozen
from masc_core.records import ARCHIVE
from masc_core.settings import between

__all__ = ["DAY", "LastRun", "RetentionSettings", "delete_archived", "overdue"]

DAY = 86_400
EVERY_SECONDS = 3600.0
"""Between two runs of a server that found nothing left to do."""
_MOST = 500
"""Records in one unit of work."""
_TALK = frozenset({"message", "event"})

_days = optional(between(1, 3650))


@frozen
class RetentionSettings:
    """``[retention]``: unset, nothing is archived unless masc_gc is called, and nothing is ever deleted."""

    archive_days: int | None = field(default=None, validator=_days)
    """Servers archive what ended more than so many days ago, as masc_gc does."""
    delete_days: int | None = field(default=None, validator=_days)
    """What has been in the archive for more than so many days is deleted, messages and events excepted."""
    delete_messages_days: int | None = field(default=None, validator=_days)
    """The same for messages and events."""

    def kept_days(self, kind: str) -> int | None:
        """How long the archive keeps records of a kind; ``None`` for ever."""
        return self.delete_messages_days if kind in _TALK else self.delete_days


@define
class LastRun:
    """What a process remembers of its own runs in a room."""

    at: float | None = None
    """Seconds of the monotonic clock."""


def overdue(ctx: Context) -> bool:
    """The settings ask for a run, and this process has not made one within the hour."""
    settings, last = ctx.settings.of(RetentionSettings), ctx.remember(LastRun)
    wanted = (settings.archive_days, settings.delete_days, settings.delete_messages_days) != (None, None, None)
    return wanted and (last.at is None or ctx.clock.monotonic() - last.at >= EVERY_SECONDS)


async def delete_archived(ctx: Context, dry_run: bool, rounds: int | None = None) -> tuple[dict[str, int], bool]:
    """Delete what has been in the archive for longer than the settings say, in at most so many units of work.

    Gives counts by kind and whether nothing is left to delete. With ``dry_run`` only count.
    """
    settings, deleted = ctx.settings.of(RetentionSettings), Counter[str]()

    async def batch(work: Context) -> Mapping[str, int]:
        return await _delete(work, settings, dry_run)

    while rounds is None or rounds > 0:
        found = await ctx.transact(batch, concludes=True)
        deleted.update(found)
        if dry_run or not found:
            return dict(sorted(deleted.items())), True
        rounds = rounds and rounds - 1
    return dict(sorted(deleted.items())), False


async def _delete(work: Context, settings: RetentionSettings, dry_run: bool) -> dict[str, int]:
    archive, room, deleted = work.collection(ARCHIVE), 1_000_000 if dry_run else _MOST, Counter[str]()
    for kind in await archive.count("kind"):
        days = settings.kept_days(kind)
        if days is None:
            continue
        for record in await archive.scan("kind", kind, high=work.after(-days * DAY), limit=room - deleted.total()):
            deleted[kind] += 1
            if not dry_run:
                archive.delete(record)
        if deleted.total() == room:
            break
    if deleted and not dry_run:
        work.event("archive_deleted", deleted=dict(deleted))
    return dict(deleted)
