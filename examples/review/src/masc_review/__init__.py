"""Guard review: no task is done before somebody else has looked at it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from masc_core import Context, Refused, error, frozen, hookimpl

__all__ = ["ReviewMissing", "ReviewSettings"]

_REVIEWED = re.compile(r"^Reviewed-by:[ \t]*([A-Za-z0-9_-]+)[ \t]*$", re.MULTILINE)


@error
class ReviewMissing(Refused):
    """A task is to be done that nobody else has looked at."""

    code = "review_missing"
    text = "nobody has reviewed {task_id}; add a line to notes, Reviewed-by: NAME, of another agent than {agent}"
    task_id: str
    agent: str


@frozen
class ReviewSettings:
    """``[review]``"""

    own: bool = False
    """An agent may name itself."""


@hookimpl
def masc_settings(register: Callable[[str, type], None]) -> None:
    """The section ``[review]``."""
    register("review", ReviewSettings)


@hookimpl
async def masc_before_call(ctx: Context) -> None:
    """Refuse to finish a task without a review."""
    given = ctx.call.arguments
    finishes = ctx.call.tool.name == "masc_done" or (
        ctx.call.tool.name == "masc_transition" and given.get("action") == "done"
    )
    if not finishes:
        return
    names = {name.lower() for name in _REVIEWED.findall(str(given.get("notes") or ""))}
    if not ctx.settings.of(ReviewSettings).own:
        names.discard(ctx.actor.lower())
    if not names:
        raise ReviewMissing(task_id=str(given.get("task_id"))[:128], agent=ctx.actor)


@hookimpl
async def masc_health(ctx: Context) -> Mapping[str, Any]:
    """Whether there is anybody to review."""

    async def count(ctx: Context) -> int:
        return len(await ctx.agents.scan("state", "present", limit=2))

    present = await ctx.transact(count)
    ok = present != 1 or ctx.settings.of(ReviewSettings).own
    detail = "somebody can review" if ok else "one agent is alone, and nobody can review what it does"
    return {"name": "reviewers", "ok": ok, "detail": detail}
