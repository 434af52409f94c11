"""Where a handler leaves what is to be done once its answer has left."""

from __future__ import annotations

from typing import Final

__all__ = ["DELIVERED"]

DELIVERED: Final = "masc.delivered"
"""Key in the ASGI scope of a list of asynchronous callables."""
