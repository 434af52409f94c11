"""What every error of MASC is: a code, a status and typed details."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypeVar, dataclass_transform

__all__ = ["MascError", "error", "in_words"]

T = TypeVar("T")
_REQUIRED = object()


@dataclass_transform(kw_only_default=True)
def error(cls: type[T]) -> type[T]:
    """Make an error class from its annotated details, all keyword arguments."""
    # A table and one constructor for all: attrs would compile one for each of a hundred classes, which the start would feel.
    own = {name: vars(cls).get(name, _REQUIRED) for name in vars(cls).get("__annotations__", ())}
    cls._fields = {**getattr(cls, "_fields", {}), **own}  # type: ignore[attr-defined]
    return cls


class MascError(Exception):
    """Something MASC refuses or cannot do, with a stable code.

    ``str(error)`` is one lower-case sentence that names the thing and says what to do next.
    """

    code: ClassVar[str] = "internal_error"
    """Stable name; part of the contract with users."""
    retryable: ClassVar[bool] = False
    """The same call can succeed later, unchanged."""
    http: ClassVar[int] = 409
    """HTTP status where the error travels outside MCP."""
    text: ClassVar[str] = ""
    """The message, a format string over the details; lists are given in words."""

    unlisted: ClassVar[frozenset[str]] = frozenset()
    """Fields that are no details: words for the message."""
    _fields: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, **details: Any) -> None:
        super().__init__()
        self.__dict__.update({name: details.pop(name, default) for name, default in self._fields.items()})
        if details or _REQUIRED in self.__dict__.values():
            wrong = [*details, *(name for name, value in vars(self).items() if value is _REQUIRED)]
            raise TypeError(
                f"{type(self).__name__} takes {', '.join(self._fields) or 'nothing'}; see {', '.join(wrong)}"
            )

    def __reduce__(self) -> Any:
        return _rebuilt, (type(self), vars(self))

    @property
    def details(self) -> dict[str, Any]:
        """The details as JSON values; absent ones are left out."""
        shown = ((name, getattr(self, name)) for name in self._fields if name not in self.unlisted)
        return {name: value for name, value in shown if value is not None}

    def __str__(self) -> str:
        words = {
            name: in_words(value) if isinstance(value, list | tuple) else value for name, value in vars(self).items()
        }
        return self.text.format_map(words)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.details.items())})"

    def as_dict(self) -> dict[str, Any]:
        """``{code, message, retryable, details}``, the shape of every error on the wire."""
        return {"code": self.code, "message": str(self), "retryable": self.retryable, "details": self.details}


def in_words(items: Iterable[object]) -> str:
    """A list as a message names it: ``a, b, "c, d"``, or ``none``."""
    return ", ".join(json.dumps(i, ensure_ascii=False) if "," in (i := str(item)) else i for item in items) or "none"


def _rebuilt(cls: type[MascError], details: Mapping[str, Any]) -> MascError:
    return cls(**details)
