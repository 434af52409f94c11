"""Category voting: decisions that the agents of a room take together.

Read :mod:`.rules` for the state machine, :mod:`.resolution` for how a vote ends and its deadline is met, :mod:`.create`,
:mod:`.cast` and :mod:`.reading` for the tools.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from masc_core import Collection, Context, Log, hookimpl
from masc_plugin_voting.archive import archive_old
from masc_plugin_voting.cast import masc_vote_cast
from masc_plugin_voting.create import masc_vote_create
from masc_plugin_voting.reading import masc_vote_status, masc_votes
from masc_plugin_voting.records import VOTES
from masc_plugin_voting.resolution import overdue, settle_overdue, votes_of

__all__: list[str] = []


@hookimpl
def masc_tools(register: Callable[[Callable[..., Any]], None]) -> None:
    """The category's tools, in listing order."""
    for function in (masc_vote_create, masc_vote_cast, masc_vote_status, masc_votes):
        register(function)


@hookimpl
def masc_records(register: Callable[[Collection[Any] | Log[Any]], None]) -> None:
    """The votes."""
    register(VOTES)


@hookimpl
async def masc_status(ctx: Context) -> Mapping[str, Any]:
    """How many votes are pending. Those past their deadline are few, as the timer ends them within seconds."""
    stored = (await votes_of(ctx).count("status")).get("pending", 0)
    return {"votes_pending": max(0, stored - len(await overdue(ctx, ctx.now))) if stored else 0}


@hookimpl
async def masc_gc(ctx: Context, before: str, dry_run: bool) -> Mapping[str, Any]:
    """Archive votes that ended long ago."""
    return await archive_old(ctx, before, dry_run)


@hookimpl
async def masc_due(ctx: Context) -> None:
    """End the votes whose deadline has come."""
    await settle_overdue(ctx)
