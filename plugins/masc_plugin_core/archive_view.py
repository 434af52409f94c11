"""masc_archive_view: what gc took off the board."""

from __future__ import annotations

from typing import Annotated

from attrs import field

from masc_core import READ, READER, Bound, Context, tool
from masc_core.frozen import frozen
from masc_core.records import ARCHIVE
from masc_core.store.collections import View
from masc_core.values import Limit

__all__ = ["masc_archive_view"]


@frozen
class ArchivedTask:
    """One line of the archive."""

    id: str
    title: str
    status: str
    archived_at: str
    assignee: str | None = None


@frozen
class ArchiveView:
    """Result of masc_archive_view."""

    tasks: list[ArchivedTask] = field(factory=list)
    count: int = 0
    total: int = 0


@tool(
    effect=READ,
    role=READER,
    keywords=(
        "archive old finish close year search give_back complete back cleaned; history month week long ago browse "
        "went gone find ever retrieve recall dig older resolve remove vanished lost not board record last yesterday "
        "ages task happened solved"
    ),
)
async def masc_archive_view(
    ctx: Context, limit: Limit = 20, query: Annotated[str, Bound(minLength=1, maxLength=200)] | None = None
) -> ArchiveView:
    """List or search archived tasks, newest first."""
    archive = View(ARCHIVE, ctx.tx)
    if query is None:
        records = await archive.scan("kind", "task", limit=limit, reverse=True)
        total = (await archive.count("kind")).get("task", 0)
    else:
        wanted = query.casefold()
        records = [
            r
            for r in await archive.scan("kind", "task", reverse=True)
            if any(wanted in str(r.record.get(k, "")).casefold() for k in ("id", "title", "description", "notes"))
        ]
        total = len(records)
    shown = [
        ArchivedTask(r.id, r.record["title"], r.record["status"], r.archived_at, r.record.get("assignee"))
        for r in records[:limit]
    ]
    return ArchiveView(shown, len(shown), total)
