"""``[costs]`` in config.toml."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from attrs import Attribute, field, fields_dict, frozen

from masc_plugin_cost.money import MICRO, micro

__all__ = ["MOST_LIMIT", "CostSettings", "Price", "limit_of"]

MOST_LIMIT = 1_000_000_000
"""Dollars of a limit."""


@frozen
class Price:
    """What a model costs, in US dollars per million tokens."""

    input_per_million: Decimal
    output_per_million: Decimal


def limit_of(name: str, dollars: Decimal) -> int:
    """A limit in micro-dollars. Raises ``ValueError`` naming it when it is out of bounds."""
    amount = micro(dollars) if dollars.is_finite() and abs(dollars) <= MOST_LIMIT else 0
    if amount < 1:
        raise ValueError(f"{name} must be 0.000001 to {MOST_LIMIT} US dollars, not {dollars}")
    return amount


def _check_limit(_: object, attribute: Attribute[Any], value: Decimal | None) -> None:
    if value is not None:
        limit_of(attribute.name, value)


def _prices(given: Mapping[str, Any]) -> Mapping[str, Price]:
    return {model: _price(f'prices."{model}"', price) for model, price in given.items()}


def _price(name: str, given: object) -> Price:
    if isinstance(given, Price):
        return given
    known = fields_dict(Price)
    if not isinstance(given, Mapping):
        raise ValueError(f"{name} must be a section with {' and '.join(known)}, not {given!r}")
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise ValueError(f"{name}.{key} is an unknown setting; {hint}")
    for key in known:
        if key not in given:
            raise ValueError(f"{name}.{key} is missing; 0 says that these tokens are free")
    return Price(**{key: _amount(f"{name}.{key}", given[key]) for key in known})


def _amount(name: str, value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError(f"{name} must be a number of US dollars, not {value!r}")
    dollars = Decimal(str(value))
    if not (dollars.is_finite() and 0 <= dollars <= MICRO):
        raise ValueError(f"{name} must be 0 to {MICRO} US dollars, not {value!r}")
    return dollars


@frozen
class CostSettings:
    """``[costs]``: budgets of the last 86,400 s in US dollars, and ``[costs.prices."<model>"]``."""

    budget_agent_day_usd: Decimal | None = field(default=None, validator=_check_limit)
    """What one agent may spend."""
    budget_room_day_usd: Decimal | None = field(default=None, validator=_check_limit)
    """What all agents together may spend."""
    hard: bool = False
    """An agent over budget may not begin new work."""
    prices: Mapping[str, Any] = field(factory=dict, converter=_prices)
    """What models cost: tables with ``input_per_million`` and ``output_per_million`` by the model's name."""
