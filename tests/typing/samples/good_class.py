"""A plugin as a class below MascHooks, whose hooks are checked too: nothing here may be complained about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from masc_core import READ, READER, Context, MascHooks, frozen, hookimpl, tool


@frozen
class Answer:
    answer: int


@tool(effect=READ, role=READER)
async def answer_get(ctx: Context) -> Answer:
    """Give the answer."""
    return Answer(len(await ctx.tasks.scan()))


class Answers(MascHooks):
    @hookimpl
    def masc_tools(self, register: Callable[[Callable[..., Any]], None]) -> None:
        register(answer_get)

    @hookimpl
    async def masc_gc(self, ctx: Context, before: str, dry_run: bool) -> Mapping[str, Any] | None:
        return {"answers": 1 if dry_run else 0}


plugin = Answers()
