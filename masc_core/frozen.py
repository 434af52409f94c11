"""Frozen records and results: attrs classes that are cheap to define, to make and to change.

A server defines some 200 of them at its start and makes thousands a second. attrs compiles methods for each class; one for
equality and one for repr serve all of ours, and attrs itself sees a class when its fields or an instance are first asked
for, which most never are. Without slots a frozen instance is made in half the time, and changed in a fifth.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property
from threading import RLock
from typing import Any, TypeVar, dataclass_transform, overload

import attrs

__all__ = ["evolve", "frozen", "is_record"]

T = TypeVar("T")
_FIELDS = "__attrs_attrs__"
_making = RLock()
"""Threads may meet at the first instance of a class."""


@overload
def frozen(cls: type[T], /) -> type[T]: ...
@overload
def frozen(*, kw_only: bool = False) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field,))
def frozen(cls: type[T] | None = None, /, *, kw_only: bool = False) -> Any:
    """Make a frozen attrs class from annotated fields; equality, hash and repr are those of the fields."""

    def make(cls: type[T]) -> type[T]:
        for name, method in (("__eq__", _equal), ("__hash__", _hash), ("__repr__", _shown)):
            if name not in vars(cls) or vars(cls)[name] is None:
                setattr(cls, name, method)
        _Unmade(cls, kw_only)
        return cls

    return make if cls is None else make(cls)


def is_record(kind: object) -> bool:
    """Whether ``kind`` is an attrs class, one that attrs has not seen yet included."""
    return isinstance(kind, type) and any(_FIELDS in vars(base) for base in kind.__mro__)


class _Unmade:
    """Stands for the fields of a class until they are asked for, and lets attrs make the class then."""

    def __init__(self, cls: Any, kw_only: bool) -> None:
        self._cls, self._kw_only = cls, kw_only

        def __init__(made: Any, *args: Any, **kwargs: Any) -> None:
            self._make()
            cls.__init__(made, *args, **kwargs)

        cls.__init__ = __init__
        setattr(cls, _FIELDS, self)

    def __get__(self, instance: object, owner: type) -> Any:
        self._make()
        return getattr(self._cls, _FIELDS)

    def _make(self) -> None:
        with _making:
            if vars(self._cls)[_FIELDS] is self:
                attrs.frozen(init=True, eq=False, repr=False, slots=False, kw_only=self._kw_only)(self._cls)


def evolve(record: T, **changes: Any) -> T:
    """A copy with other values in the fields named. Raises ``TypeError`` for a name that is no field."""
    cls: Any = type(record)
    names = _plain_fields(cls)
    if names is None:
        changed: T = attrs.evolve(record, **changes)  # type: ignore[misc]
        return changed
    if not names.issuperset(changes):
        raise TypeError(f"{cls.__name__} has no field {min(changes.keys() - names)}")
    made: T = object.__new__(cls)
    values = made.__dict__
    values.update(record.__dict__)
    values.update(changes)
    return made


@cache
def _plain_fields(cls: Any) -> frozenset[str] | None:
    """The fields of a class whose instances are nothing but their fields; ``None`` for one that has to be made anew."""
    fields = attrs.fields(cls)
    plain = (
        vars(cls).get("__eq__") is _equal
        and not hasattr(cls, "__attrs_post_init__")
        and all(a.init and a.alias == a.name and a.validator is None and a.converter is None for a in fields)
        and not any(isinstance(value, cached_property) for base in cls.__mro__ for value in vars(base).values())
    )
    return frozenset(a.name for a in fields) if plain else None


@cache
def _fields(cls: Any) -> tuple[tuple[str, bool, bool], ...]:
    """Name, whether it counts for equality, whether it is shown; of each field."""
    return tuple((a.name, bool(a.eq), bool(a.repr)) for a in attrs.fields(cls))


def _values(made: Any) -> list[Any]:
    return [getattr(made, name) for name, counts, _ in _fields(made.__class__) if counts]


def _equal(self: object, other: object) -> bool:
    return _values(self) == _values(other) if type(self) is type(other) else NotImplemented


def _hash(self: object) -> int:
    return hash((type(self), *_values(self)))


def _shown(self: Any) -> str:
    shown = ", ".join(f"{name}={getattr(self, name)!r}" for name, _, seen in _fields(self.__class__) if seen)
    return f"{type(self).__name__}({shown})"
