"""Which hooks a call fires, with what they are given and what they give, in order."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from time import perf_counter
from typing import Any

import attrs
from attrs import define, field

from masc_core.context import Context
from masc_core.errors import MascError
from masc_core.faults import Faults
from masc_core.frozen import frozen, is_record
from masc_core.hookspecs import MascHooks
from masc_core.identity import Client
from masc_core.plugins import Registry

__all__ = ["HookCall", "Tracer"]

MASK = "…"
_TEXTS = frozenset({"arguments", "words"})
"""Arguments that hold a call's texts before redaction has seen them."""
_SECRET_NAME = re.compile(r"(^|_)(token|secret|password|passphrase|credential|api_?key|private_?key)s?$", re.IGNORECASE)
_SECRET = re.compile(r"(?<![0-9a-fA-F])[0-9a-fA-F]{64}(?![0-9a-fA-F])")
_MACHINERY = frozenset({"masc_core.rooms", "masc_core.settings"})
"""Modules whose records are no news to a hook."""
_LONGEST = 200
_DEEPEST = 4


@frozen
class HookCall:
    """One implementation of a hook that was called. Arguments and result are plain data without secrets."""

    hook: str
    plugin: str
    """The category, or ``guard:`` and the guard's name."""
    arguments: dict[str, Any]
    result: Any
    error: str | None
    """What it raised, by code or class, or how it broke."""
    ms: float


@define
class Tracer:
    """Notes each call of a registry's hooks, in the order in which they end, until the registry is gone."""

    calls: list[HookCall] = field(factory=list)
    _faults: Faults | None = None

    def watch(self, registry: Registry) -> None:
        """Begin with a registry that no kernel has used yet."""
        self._faults = registry.faults
        for name in (name for name in vars(MascHooks) if name.startswith("masc_")):
            for found in getattr(registry.manager.hook, name).get_hookimpls():
                found.function = self._noting(name, found.plugin_name, tuple(found.argnames), found.function)

    def faults(self, plugin: str) -> int:
        """How many times a plugin of others broke so far; then it counts as one that gave nothing."""
        return self._faults.count.get(_label(plugin), 0) if self._faults else 0

    def last_fault(self, plugin: str) -> str:
        """What broke last in a plugin that broke."""
        return self._faults.last[_label(plugin)] if self._faults else ""

    def _noting(
        self, hook: str, plugin: str, names: tuple[str, ...], function: Callable[..., Any]
    ) -> Callable[..., Any]:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*values: Any) -> Any:
                with _Noted(self, hook, plugin, dict(zip(names, values, strict=True))) as noted:
                    noted.result = await function(*values)
                    return noted.result

            return awaited

        @functools.wraps(function)
        def called(*values: Any) -> Any:
            with _Noted(self, hook, plugin, dict(zip(names, values, strict=True))) as noted:
                noted.result = function(*values)
                return noted.result

        return called


def _label(plugin: str) -> str:
    return plugin.replace("guard:", "guard ", 1)


@define
class _Noted:
    """One call while it lasts."""

    tracer: Tracer
    hook: str
    plugin: str
    given: Mapping[str, Any]
    result: Any = None
    _began: float = field(factory=perf_counter)
    _faults: int = 0

    def __enter__(self) -> _Noted:
        self._faults = self.tracer.faults(self.plugin)
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        ms = round(1000 * (perf_counter() - self._began), 3)
        raised = None if error is None else error.code if isinstance(error, MascError) else type(error).__name__
        if self.tracer.faults(self.plugin) > self._faults:
            raised = str(plain(self.tracer.last_fault(self.plugin)))
        shown = {name: _untold(value) if name in _TEXTS else plain(value, name) for name, value in self.given.items()}
        self.tracer.calls.append(HookCall(self.hook, self.plugin, shown, plain(self.result), raised, ms))


def _untold(value: Any) -> Any:
    return dict.fromkeys(value, MASK) if isinstance(value, dict) else MASK


def plain(value: Any, name: str = "", depth: int = 0) -> Any:
    """A value as plain data that can be shown: records as objects, what is no data by its class, secrets masked."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, str):
        masked = MASK if _SECRET_NAME.search(name) else _SECRET.sub(MASK, value)
        return masked if len(masked) <= _LONGEST else masked[:_LONGEST] + MASK
    if isinstance(value, MascError):
        return value.code
    if isinstance(value, Context):
        return f"<{value.call.tool.name} by {value.actor}>"
    if isinstance(value, Client):
        return f"<client of {value.agent or value.person or 'nobody'} over {value.transport}>"
    if depth == _DEEPEST:
        return MASK
    if isinstance(value, Mapping):
        return {str(key): plain(item, str(key), depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item, name, depth + 1) for item in value]
    if isinstance(value, Path):
        return str(value)
    if is_record(type(value)) and type(value).__module__ not in _MACHINERY:
        fields = [a.name for a in attrs.fields(type(value)) if not a.name.startswith("_") and a.repr]
        return {name: plain(getattr(value, name), name, depth + 1) for name in fields}
    return f"<{type(value).__name__}>"
