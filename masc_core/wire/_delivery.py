"""What a handler leaves in the ASGI scope: what is to be done once its answer has left, and that the answer is no."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

__all__ = ["DELIVERED", "REFUSAL", "unbreakable"]

logger = logging.getLogger(__name__)

DELIVERED: Final = "masc.delivered"
"""Key in the ASGI scope of a list of asynchronous callables."""
REFUSAL: Final = "masc.refusal"
"""Key of a MascError that HTTP itself answers, in place of whatever the handler gives: no credential, or a bad one."""


def unbreakable(callback: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    """What is to follow an answer, which has left: whatever it raises goes to the log, and the connection stays."""

    async def follow() -> None:
        try:
            await callback()
        except (asyncio.CancelledError, KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException:
            logger.exception("what was to follow an answer failed")

    return follow
