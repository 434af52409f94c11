"""What an entry tells of a call, by the declared types of its parameters.

Ids, names, paths, numbers and choices are told as they are; of free text the length, of objects the size. What is named
like a credential is not told at all.
"""

from __future__ import annotations

import math
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal, Union

import orjson

from masc_core import Bound, Parsed
from masc_core.records import Event
from masc_core.values import file_path

__all__ = ["DETAILS_LENGTH", "described", "described_events", "fitting", "plain_id"]

DETAILS_LENGTH = 2000
"""Most characters of an entry's details as JSON."""
MOST_ITEMS = 20
_SECRET = re.compile(r"token|secret|passw|passphrase|key|code|credential", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z0-9_.:@/#+-]{1,200}\Z")
_PATH = re.compile("[^\\s\0-\x1f\x7f-\x9f\ud800-\udfff<>]{1,500}\\Z")
_CREDENTIAL = re.compile(
    r"(?<![A-Za-z0-9])(?:gh[pousr]_|github_pat_|sk-|[sr]k_(?:live|test)_|whsec_|xox[abprs]-|xapp-|AKIA|ASIA|AIza|eyJ|npm_|pypi-)"
    r"|[0-9a-fA-F]{32}|=|://[^/]*@"
)
"""How well-known credentials begin; what else is told of a path is as it was given."""
_CREDENTIAL_LENGTH = 12
"""What is shorter is none: nearly every id and status is, and searching takes its time."""
_RANDOM_LENGTH = 20
_RANDOM = re.compile(r"(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{20,}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z", re.ASCII)
"""As stored: no credential, and known without a search for one."""
_SETTINGS = frozenset({"mode_switched", "auth_changed", "rate_limits_changed", "encryption_changed"})
_SPOKEN = 8
"""From this length on, a word that also occurs in a free text is taken for a piece of it."""

Describer = Callable[[Any], Any]


def plain_id(value: object) -> bool:
    """A word that reads like an id or name, and not like a credential put in its place."""
    if not isinstance(value, str) or not _WORD.match(value):
        return False
    if len(value) < _CREDENTIAL_LENGTH or _TIME.match(value):
        return True
    return not ((len(value) >= _RANDOM_LENGTH and _RANDOM.search(value)) or _CREDENTIAL.search(value))


def _plain_path(value: object) -> bool:
    """A path without blanks, in which nothing looks like a credential."""
    return isinstance(value, str) and bool(_PATH.match(value)) and not _CREDENTIAL.search(value)


def described(handler: Callable[..., Any], arguments: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """What to tell of the arguments, validated or not, and the free texts among them."""
    describers = _describers(handler)
    told: dict[str, Any] = {}
    texts: list[str] = []
    for name, value in arguments.items():
        if value is None:
            continue
        told_as = name.rstrip("_")
        if (describer := describers.get(told_as)) is None:
            continue
        if (said := describer(value)) is not None:
            told[told_as] = said
        if said != value:
            texts += _strings(value)
    return told, texts


def described_events(events: Sequence[Event], subject: str | None, texts: Sequence[str]) -> list[dict[str, Any]]:
    """What to tell of the events of a change: type, old and new values, and the subject where it is not ``subject``."""
    return [_event(event, subject, texts) for event in events[:MOST_ITEMS]]


def fitting(details: dict[str, Any]) -> dict[str, Any]:
    """The details, cut to their limit: events become counts by type, then long values their lengths."""
    if _length(details) <= DETAILS_LENGTH:
        return details
    cut = dict(details)
    if events := cut.pop("events", None):
        kinds = [event["type"] for event in events]
        cut["events"] = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
    if _length(cut) > DETAILS_LENGTH and (arguments := cut.get("arguments")):
        cut["arguments"] = {name: _short(value) for name, value in arguments.items()}
    if _length(cut) > DETAILS_LENGTH:
        return {name: _size(value) for name, value in list(cut.items())[:MOST_ITEMS]}
    return cut


def _length(details: object) -> int:
    encoded = orjson.dumps(details)
    return len(encoded) if len(encoded) <= DETAILS_LENGTH else len(encoded.decode())


def _short(value: Any) -> Any:
    return _size(value) if isinstance(value, (str, list)) and len(orjson.dumps(value)) > 40 else value


def _strings(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        return (value,)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else ()


@lru_cache(maxsize=512)
def _describers(handler: Callable[..., Any]) -> Mapping[str, Describer]:
    hints = typing.get_type_hints(handler, include_extras=True)
    return {name.rstrip("_"): _of(hint, name) for name, hint in hints.items() if name != "return"}


def _of(annotation: Any, name: str, extras: Sequence[Any] = ()) -> Describer:
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return _of(args[0], name, (*extras, *args[1:]))
    if origin in (Union, types.UnionType):
        some = [a for a in args if a is not types.NoneType]
        return _of(some[0], name, extras) if len(some) == 1 else _size
    if origin is Literal:
        return lambda value: value if value in args else _size(value)
    if annotation in (int, float, bool):
        return _number
    if origin in (list, tuple):
        return _items(_of(args[0], name))
    if annotation is str:
        return _string(name, extras)
    return _size


def _string(name: str, extras: Sequence[Any]) -> Describer:
    if _SECRET.search(name):
        return lambda value: None
    if any(isinstance(e, Parsed) and e.parse is file_path for e in extras):
        return lambda value: value if _plain_path(value) else _size(value)
    keywords = {k: v for e in extras if isinstance(e, Bound) for k, v in e.keywords.items()}
    if (allowed := keywords.get("enum")) is not None:
        return lambda value: value if value in allowed else _size(value)
    if "pattern" in keywords:
        matches = re.compile(keywords["pattern"]).search
        return lambda value: value if plain_id(value) and matches(value) else _size(value)
    return _size


def _items(item: Describer) -> Describer:
    def describe(value: Any) -> Any:
        if not isinstance(value, (list, tuple)) or len(value) > MOST_ITEMS:
            return _size(value)
        told = [item(one) for one in value]
        return told if told == list(value) else _size(value)

    return describe


def _number(value: Any) -> Any:
    if isinstance(value, bool) or (isinstance(value, int) and abs(value) <= 2**53):
        return value
    # Only where every writer of JSON agrees on the digits: the hash covers them.
    if isinstance(value, float) and math.isfinite(value):
        return value if value == 0 or 1e-4 <= abs(value) < 1e15 else repr(value)
    return _size(value)


def _size(value: Any) -> Any:
    if isinstance(value, str):
        return {"chars": len(value)}
    if isinstance(value, (list, tuple)):
        return {"items": len(value)}
    if isinstance(value, dict):
        return {"fields": len(value)}
    return {}


def _event(event: Event, subject: str | None, texts: Sequence[str]) -> dict[str, Any]:
    told: dict[str, Any] = {"type": event.type}
    if event.subject is not None and event.subject != subject and plain_id(event.subject):
        told["subject"] = event.subject
    spoken = () if event.type in _SETTINGS else texts
    if data := {name: _value(name, value, spoken) for name, value in event.data.items()}:
        told["data"] = data
    return told


def _value(name: str, value: Any, texts: Sequence[str]) -> Any:
    if isinstance(value, str):
        plain = plain_id(value) or (name.endswith("path") and _plain_path(value))
        return value if not value or (plain and not _said(value, texts)) else _size(value)
    if isinstance(value, (list, tuple)):
        told = [_value(name, one, texts) for one in value[:MOST_ITEMS]]
        return told if told == list(value) else _size(value)
    if isinstance(value, dict):
        flat = {str(k): v for k, v in value.items() if plain_id(k)}
        return {k: _value(k, v, texts) for k, v in list(flat.items())[:MOST_ITEMS] if not isinstance(v, dict)}
    return None if value is None else _number(value)


def _said(value: str, texts: Sequence[str]) -> bool:
    for text in texts:  # noqa: SIM110  # asked of each value of each event
        if value == text or (len(value) >= _SPOKEN and value in text):
            return True
    return False
