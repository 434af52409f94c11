"""Taking finished tasks off the board into the archive; nothing is deleted."""

from __future__ import annotations

from collections.abc import Mapping

from masc_core import Context, hookimpl
from masc_core.convert import unstructure
from masc_core.records import ARCHIVE, Archived
from masc_plugin_core.endings import ENDINGS, ended_before

__all__ = ["masc_gc"]

_BATCH = 100


@hookimpl
async def masc_gc(ctx: Context, before: str, dry_run: bool) -> Mapping[str, object]:
    """Archive tasks that were done or cancelled before ``before``."""
    ended = await ended_before(ctx, before, 100_000 if dry_run else _BATCH)
    if not dry_run:
        archive = ctx.collection(ARCHIVE)
        for task in ended:
            await archive.add(Archived("task", task.id, ctx.now, unstructure(task)))
            ctx.tasks.delete(task)
            ctx.event("task_archived", task.id)
        endings = ctx.log(ENDINGS)
        endings.remove([ending.seq for ending in await endings.scan("at", high=before, limit=_BATCH)])
    return {"task": len(ended), "tasks": [task.id for task in ended]}
