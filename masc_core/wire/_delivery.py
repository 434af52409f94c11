"""What a handler leaves in the ASGI scope: what is to be done once its answer has left, and that the answer is no."""

from __future__ import annotations

from typing import Final

__all__ = ["DELIVERED", "REFUSAL"]

DELIVERED: Final = "masc.delivered"
"""Key in the ASGI scope of a list of asynchronous callables."""
REFUSAL: Final = "masc.refusal"
"""Key of a MascError that HTTP itself answers, in place of whatever the handler gives: no credential, or a bad one."""
