"""How the things are doing that plugins depend on, as they say by the hook ``masc_health``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from masc_core.frozen import frozen
from masc_core.sweep import system_context

if TYPE_CHECKING:
    from masc_core.kernel import Kernel

__all__ = ["Check", "run_checks"]

logger = logging.getLogger(__name__)


@frozen
class Check:
    """What one plugin said of one thing."""

    plugin: str
    name: str
    ok: bool
    detail: str


async def run_checks(kernel: Kernel) -> list[Check]:
    """Ask every plugin, all at once; an empty list where none has a check or there is no room.

    A guard goes by its own name. Raises what keeps the room's store from being read.
    """
    asking = kernel.registry.each("masc_health")
    if not asking or (ctx := await system_context(kernel, kernel.start_room)) is None:
        return []
    return list(
        await asyncio.gather(*(_check(plugin.removeprefix("guard:"), ask, {"ctx": ctx}) for plugin, ask in asking))
    )


async def _check(plugin: str, ask: Callable[[Mapping[str, Any]], Any], arguments: Mapping[str, Any]) -> Check:
    try:
        answer = await ask(arguments)
        if answer is not None:
            return Check(plugin, str(answer["name"]), answer["ok"] is True, str(answer["detail"]))
    except Exception:
        logger.exception("the health check of %s failed", plugin)
    return Check(plugin, plugin, False, "the check gave no answer; the log may say why")
