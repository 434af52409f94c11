"""The limits in force: what is stored, else what config.toml says, else the defaults."""

from __future__ import annotations

import math
from collections.abc import Mapping

from attrs import define, field

from masc_core import Collection, Context, Role
from masc_core.frozen import frozen
from masc_core.settings import between
from masc_core.store.collections import View
from masc_core.store.driver import Key
from masc_core.store.transaction import Transaction

__all__ = [
    "BURST",
    "CATEGORIES",
    "FACTORS",
    "LIMITS",
    "LIMITS_ID",
    "LIMITS_KEY",
    "NAMES",
    "NOTHING",
    "PRIORITY_FACTOR",
    "InForce",
    "RateLimitSettings",
    "StoredLimits",
    "base_of",
    "limit_of",
    "stored",
]

LIMITS_ID = "limits"
BURST = "burst_allowed"
CATEGORIES: Mapping[str, str] = {
    "general": "per_minute",
    "broadcast": "broadcast_per_minute",
    "task_ops": "task_ops_per_minute",
    "file_lock": "file_lock_per_minute",
    "read": "reads_per_minute",
}
"""Rate categories, and the setting that has each one's calls per minute."""
FACTORS: Mapping[Role, float] = {Role.READER: 0.5, Role.WORKER: 1.0, Role.ADMIN: 2.0}
PRIORITY_FACTOR = 1.5
_MOST = 100_000


@frozen
class RateLimitSettings:
    """``[ratelimit]``: calls per minute, and the agents that get half as many again."""

    per_minute: int = field(default=10, validator=between(1, _MOST))
    """Calls of every other kind."""
    burst_allowed: int = field(default=5, validator=between(0, 1000))
    """Further calls, shared by all kinds."""
    broadcast_per_minute: int = field(default=15, validator=between(1, _MOST))
    """Messages to all."""
    task_ops_per_minute: int = field(default=30, validator=between(1, _MOST))
    """Calls of the task board."""
    file_lock_per_minute: int = field(default=20, validator=between(1, _MOST))
    """Locking and unlocking."""
    reads_per_minute: int = field(default=120, validator=between(1, _MOST))
    """Calls that only look, heartbeats, listening."""
    priority_agents: list[str] = []
    """Agents that may make half as many calls again."""

    def favours(self, agent: str) -> bool:
        """The agent is one of the preferred ones."""
        return bool(self.priority_agents) and agent.lower() in {name.lower() for name in self.priority_agents}


NAMES = tuple(name for name in RateLimitSettings.__annotations__ if name != "priority_agents")
"""The numbers that can be set, in the order of the tool's parameters."""


@frozen
class StoredLimits:
    """What masc_rate_limit_config was given."""

    id: str = LIMITS_ID
    per_minute: int | None = None
    burst_allowed: int | None = None
    broadcast_per_minute: int | None = None
    task_ops_per_minute: int | None = None
    file_lock_per_minute: int | None = None
    reads_per_minute: int | None = None
    version: int = 0


LIMITS = Collection("rate_limits", StoredLimits, lambda limits: limits.id, survives_reset=True)
LIMITS_KEY = Key(LIMITS.name, LIMITS_ID)
NOTHING = StoredLimits()


async def stored(tx: Transaction) -> StoredLimits:
    """The stored values; a change by others while the call runs does not disturb it."""
    return (await View(LIMITS, tx).peek([LIMITS_ID]))[0] or NOTHING


@define
class InForce:
    """The limits per caller, worked out once for as long as nothing is stored anew."""

    _stored: StoredLimits | None = None
    _settings: RateLimitSettings | None = None
    _limits: dict[tuple[str, Role, bool], int] = field(factory=dict)
    burst: int = 0

    def of(self, given: StoredLimits, settings: RateLimitSettings, category: str, role: Role, favoured: bool) -> int:
        """Calls per minute in a category; ``burst`` goes with it."""
        if given is not self._stored or settings is not self._settings:
            self._stored, self._settings, self._limits = given, settings, {}
            self.burst = value_of(given, settings, BURST)
        key = (category, role, favoured)
        if (limit := self._limits.get(key)) is None:
            base = value_of(given, settings, CATEGORIES[category])
            limit = self._limits[key] = limit_of(base, role, favoured)
        return limit


def value_of(given: StoredLimits, settings: RateLimitSettings, name: str) -> int:
    """The value in force of one setting."""
    value: int | None = getattr(given, name)
    found: int = getattr(settings, name) if value is None else value
    return found


def base_of(ctx: Context, given: StoredLimits, name: str) -> int:
    """The value in force of one setting in a room."""
    return value_of(given, ctx.settings.of(RateLimitSettings), name)


def limit_of(base: int, role: Role, favoured: bool) -> int:
    """Calls per minute of one caller."""
    return max(1, math.floor(base * FACTORS[role] * (PRIORITY_FACTOR if favoured else 1.0)))
