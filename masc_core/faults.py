"""What goes wrong in other people's plugins while a server runs: noted by name, for the log and ``/health``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from attrs import define, field

from masc_core.interruption import stopped
from masc_core.render import printable

if TYPE_CHECKING:
    from masc_core.context import Context

__all__ = ["Faults", "follow", "told", "waiting"]

logger = logging.getLogger(__name__)
_LONGEST = 500


@define
class Faults:
    """Of each plugin the last fault, and how many there were. A guard goes by ``guard <name>``."""

    last: dict[str, str] = field(factory=dict)
    count: dict[str, int] = field(factory=dict)

    def note(self, plugin: str, what: str, error: BaseException | None = None) -> None:
        """Remember a fault and log it; with its traceback, unless that was logged just before."""
        seen = self.last.get(plugin) == what
        self.last[plugin] = what
        self.count[plugin] = self.count.get(plugin, 0) + 1
        named = plugin if plugin.startswith("guard ") else f"plugin {plugin}"
        logger.warning("%s: %s", named, what, exc_info=None if seen else error)


def told(error: BaseException) -> str:
    """An exception as text on one line, also where it cannot be shown or is endless."""
    try:
        text = repr(error)
    except BaseException:  # noqa: BLE001  # the exception is a plugin's, and so is its __repr__
        text = f"{type(error).__name__}, which cannot be shown"
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return printable(text.encode(errors="backslashreplace").decode())


Callback = Callable[[], Awaitable[None]]


def waiting(ctx: Context | None) -> tuple[int, int]:
    """How much there is to be done after the commit, and after the answer."""
    return (0, 0) if ctx is None else (len(ctx.committed), len(ctx.delivered))


def follow(
    ctx: Context | None, begun: tuple[int, int], plugin: str, seconds: float, faults: Faults, *, fails: bool
) -> None:
    """Watch what a plugin has left in ``ctx`` to be done after the commit, and after the answer, beyond the first ``begun``.

    What breaks after the commit breaks the call where it ``fails`` for that; what breaks after the answer breaks nothing.
    """
    if ctx is None:
        return
    for left, what, first, fatal in (
        (ctx.committed, "after a commit", begun[0], fails),
        (ctx.delivered, "after an answer", begun[1], False),
    ):
        for place in range(first, len(left)):
            left[place] = _watched(left[place], what, plugin, seconds, faults, fatal)


def _watched(callback: Callback, what: str, plugin: str, seconds: float, faults: Faults, fatal: bool) -> Callback:
    async def run() -> None:
        task = asyncio.current_task()
        try:
            async with asyncio.timeout(seconds):
                await callback()
        except BaseException as error:
            if stopped(error, task):
                raise
            faults.note(plugin, f"what it does {what} failed: {told(error)}", error)
            if fatal and isinstance(error, Exception):
                raise
            if fatal:
                raise RuntimeError(f"what plugin {plugin} does {what} raised {told(error)}") from error

    return run
