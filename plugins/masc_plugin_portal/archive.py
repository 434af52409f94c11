"""The category's part of masc_gc: portals closed long ago and tasks ended long ago go to the archive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import define

from masc_core.context import Context
from masc_core.convert import unstructure
from masc_core.records import ARCHIVE, Archived
from masc_plugin_portal.line import portal_tasks, portals
from masc_plugin_portal.records import PORTALS, Portal, PortalTask, portal_key

__all__ = ["archive_old"]

MOST_RECORDS = 100
"""In one unit of work; each is two writes."""
MOST_CHARACTERS = 100_000
"""Of texts in one unit of work, leaving room for what other categories archive in it."""
_EVERYTHING = 10**9


@define
class _Old:
    """What may go, as far as it fits."""

    records: int
    characters: int
    portals: list[Portal]
    tasks: dict[str, PortalTask]

    def take(self, found: Sequence[PortalTask]) -> bool:
        """Add tasks while they fit; whether all did. The first one always fits."""
        for task in found:
            size = len(task.message) + len(task.result or "")
            if self.records <= 0 or (size > self.characters and self.tasks):
                self.records = 0
                return False
            self.records -= 1
            self.characters -= size
            self.tasks[task.id] = task
        return True


async def archive_old(ctx: Context, before: str, dry_run: bool) -> Mapping[str, int]:
    """Archive portals closed before ``before`` with their tasks, and ended tasks of others whose result was shown.

    As much as one unit of work holds; with ``dry_run`` only count all of it.
    """
    most = (_EVERYTHING, _EVERYTHING) if dry_run else (MOST_RECORDS, MOST_CHARACTERS)
    old = _Old(*most, [], {})
    rest: Portal | None = None
    for portal in await portals(ctx).scan("closed", high=before, limit=old.records):
        tasks = await portal_tasks(ctx).scan("pair", PORTALS.key(portal), limit=old.records + 1)
        if old.take(tasks) and old.records > 0:
            old.portals.append(portal)
            old.records -= 1
        else:
            rest = portal
            break
    if old.records > 0:
        old.take(await portal_tasks(ctx).scan("ended", high=before, limit=old.records))
    if not dry_run:
        await _archive(ctx, old, rest)
    return {"portal": len(old.portals), "portal_task": len(old.tasks)}


async def _archive(ctx: Context, old: _Old, rest: Portal | None) -> None:
    """Move what is old; ``rest`` is the portal of which tasks are left for the next unit of work."""
    archive = ctx.collection(ARCHIVE)
    for portal in old.portals:
        # A pair's next portal has the same key, so the opening is part of the id.
        identity = f"{PORTALS.key(portal)}:{portal.opened_at}"
        await archive.add(Archived("portal", identity, ctx.now, unstructure(portal)))
        portals(ctx).delete(portal)
    for task in old.tasks.values():
        await archive.add(Archived("portal_task", task.id, ctx.now, unstructure(task)))
        portal_tasks(ctx).delete(task)
    if rest is not None:
        counted = rest
        for task in old.tasks.values():
            if portal_key(task.from_, task.to) == PORTALS.key(rest):
                counted = counted.counting(task, None)
        portals(ctx).put(counted)
