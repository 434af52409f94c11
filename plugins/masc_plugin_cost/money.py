"""Money without rounding errors: whole micro-dollars inside, JSON numbers at the edges.

A JSON number is read by its shortest decimal form (0.1 is one tenth), rounded half-even to 6 decimals and from then on an
integer of micro-dollars, so that sums are exact whatever their size. Going out, :func:`usd` gives the nearest float, which
prints exactly those 6 decimals up to 2^33 dollars; a float cannot tell single micro-dollars apart above that.
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Annotated

from masc_core import Bound, Parsed
from masc_core.errors import InvalidArgument

__all__ = ["MICRO", "MOST_USD", "Usd", "micro", "priced", "usd"]

MICRO = 1_000_000
"""Micro-dollars in a dollar."""
MOST_USD = 1_000_000
"""Dollars of one entry."""
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
"""Enough digits for 10^12 tokens at any price a float can hold to 6 decimals."""


def micro(dollars: Decimal) -> int:
    """Whole micro-dollars, rounded half-even. Raises ``decimal.InvalidOperation`` for what is no finite amount."""
    return int(_EXACT.to_integral_value(_EXACT.multiply(dollars, Decimal(MICRO))))


def priced(*bought: tuple[int, Decimal]) -> int:
    """Micro-dollars of tokens at dollars per million, rounded half-even once: a dollar per million is a micro-dollar each."""
    total = Decimal(0)
    for tokens, per_million in bought:
        total = _EXACT.fma(Decimal(tokens), per_million, total)
    return int(_EXACT.to_integral_value(total))


def usd(amount: int) -> float:
    """Dollars for a result; the division is correctly rounded."""
    return amount / MICRO


def _parse(field: str, value: float) -> Decimal:
    """A JSON number as the decimal that is written in it."""
    if isinstance(value, int):
        return Decimal(value)
    if not math.isfinite(value):
        raise InvalidArgument(field=field, reason="not_finite", expected="must be a finite number of US dollars")
    return Decimal(repr(value))


Usd = Annotated[Decimal, Bound(minimum=0, maximum=MOST_USD), Parsed(_parse)]
