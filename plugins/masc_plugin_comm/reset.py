"""masc_reset: empty the room, after an export."""

from __future__ import annotations

from typing import Annotated

from masc_core.context import Context
from masc_core.errors import ConfirmInvalid, ConfirmRequired
from masc_core.frozen import frozen
from masc_core.tools import ADMIN, DESTRUCTIVE, CallerUse, tool
from masc_core.values import Bound
from masc_plugin_comm.lock_rules import locks_of

__all__ = ["WasReset", "masc_reset"]

ConfirmCode = Annotated[str, Bound(minLength=8, maxLength=8, pattern="^[0-9a-fA-F]{8}$")]


@frozen
class WasReset:
    """What went, and where a copy of it is."""

    removed: dict[str, int]
    export_path: str


@tool(
    effect=DESTRUCTIVE,
    role=ADMIN,
    caller=CallerUse.NONE,
    creates_room="never",
    transactional=False,
    errors=(ConfirmRequired, ConfirmInvalid),
    examples=({}, {"confirm": True}),
    keywords=(
        "wipe remove everything start data room contents; reset clear finish zero scratch fresh factory board destroy "
        "whole entire throw away task message confirm restart empty blank slate gone reinitialise reinitialize flush "
        "discard every irreversible nothing ashes history backup copy export burn forget"
    ),
)
async def masc_reset(ctx: Context, confirm: bool = False, confirm_code: ConfirmCode | None = None) -> WasReset:
    """Export, then remove all tasks, messages, agents and locks; asks for confirmation."""
    if not confirm:
        raise ConfirmRequired(action="masc_reset", effect=await ctx.transact(_effect))
    removed, export_path = await ctx.transact(_empty, concludes=True)
    return WasReset(removed, export_path)


async def _empty(work: Context) -> tuple[dict[str, int], str]:
    return await work.reset_room()


async def _effect(work: Context) -> str:
    """What would go, in words."""
    agents = sum((await work.agents.count("state")).values())
    tasks = sum((await work.tasks.count("status")).values())
    messages = sum((await work.messages.count("from")).values())
    locks = sum((await locks_of(work).count("holder")).values())
    return (
        f"it removes {agents} agents, {tasks} tasks, {messages} messages, {locks} locks and every other record but "
        "settings and credentials, after writing an export under .masc/trash"
    )
