"""The category's part of masc_gc: votes that ended long ago go to the archive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from masc_core import Context
from masc_core.convert import unstructure
from masc_core.records import ARCHIVE, Archived
from masc_plugin_voting.records import Vote
from masc_plugin_voting.resolution import settle_overdue, votes_of

__all__ = ["archive_old"]

MOST_VOTES = 50
"""In one unit of work, leaving room for what other categories archive in it."""
MOST_CHARACTERS = 200_000
"""Of options and ballots in one unit of work: a store takes 4 MB at once, and a character may take up to four bytes."""


async def archive_old(ctx: Context, before: str, dry_run: bool) -> Mapping[str, int]:
    """Archive votes that ended before ``before``, as many as one unit of work holds; with ``dry_run`` only count them."""
    votes = votes_of(ctx)
    if dry_run:
        ended = await votes.scan("resolved", high=before)
        # A deadline nobody acted upon yet ended its vote all the same.
        return {"vote": len(ended) + len(await votes.scan("due", high=before))}
    await settle_overdue(ctx, ctx.now)
    ended = _within_size(await votes.scan("resolved", high=before, limit=MOST_VOTES))
    archive = ctx.collection(ARCHIVE)
    await archive.peek([f"vote:{vote.id}" for vote in ended])
    for vote in ended:
        archive.put(Archived("vote", vote.id, ctx.now, unstructure(vote)))
        votes.delete(vote)
    return {"vote": len(ended)}


def _within_size(votes: Sequence[Vote]) -> list[Vote]:
    """As many of the first votes as have a bearable size together, at least one."""
    total, fitting = 0, list[Vote]()
    for vote in votes:
        total += sum(map(len, vote.options)) + sum(len(name) + len(choice) for name, choice in vote.votes.items())
        if fitting and total > MOST_CHARACTERS:
            break
        fitting.append(vote)
    return fitting
