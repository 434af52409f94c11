"""The category's part of masc_gc."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from masc_core.context import Context
from masc_core.convert import unstructure
from masc_core.records import ARCHIVE, Archived
from masc_plugin_interrupt.records import CHECKPOINTS, Checkpoint

__all__ = ["archive_ended"]

MOST = 50
MOST_BYTES = 300_000
"""In one unit of work, which other categories share; a single checkpoint may be larger than that."""
_EVERYTHING = 10**9


async def archive_ended(ctx: Context, before: str, dry_run: bool) -> Mapping[str, int]:
    """Archive checkpoints that were resolved before ``before``; with ``dry_run`` only count all of them."""
    ended = await ctx.collection(CHECKPOINTS).scan("ended", high=before, limit=_EVERYTHING if dry_run else MOST)
    if dry_run:
        return {"checkpoint": len(ended)}
    going = _within_size(ended)
    archive = ctx.collection(ARCHIVE)
    for checkpoint in going:
        await archive.add(Archived("checkpoint", checkpoint.id, ctx.now, unstructure(checkpoint)))
        ctx.collection(CHECKPOINTS).delete(checkpoint)
    return {"checkpoint": len(going)}


def _within_size(ended: Sequence[Checkpoint]) -> list[Checkpoint]:
    """As many of the first as have a bearable size together, at least one."""
    total, fitting = 0, list[Checkpoint]()
    for checkpoint in ended:
        total += len(orjson.dumps([checkpoint.state, checkpoint.edited_state])) + 10_000
        if fitting and total > MOST_BYTES:
            break
        fitting.append(checkpoint)
    return fitting
