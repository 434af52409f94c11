"""Records and results to plain data and back, without nulls.

One converter per direction, shared by the store and the wire: absent optional values are left out, sequence numbers of a
unit of work become integers once it is committed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import attrs
import orjson
from cattrs import Converter
from cattrs.fns import identity
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from masc_core.remembered import all_shared, memo_of, remembered_together
from masc_core.store.transaction import LogPosition

__all__ = ["PlainData", "structure", "unstructure", "unstructure_once"]

T = TypeVar("T")

PlainData = Annotated[Any, "plain"]
"""Lists, dicts and scalars that are stored as they are, without a look inside: for large fields. Never change one in place."""

_LARGE = 16_384
"""Bytes of plain data that are not kept."""
_SCALARS = frozenset({str, int, float, bool, NoneType})
_converter = Converter(detailed_validation=False, forbid_extra_keys=False)
_Maker = tuple[Callable[[Any], dict[str, Any]], Callable[[Any], bytes]]
"""What makes plain data of a record and remembers nothing, and what gives the JSON of one that is shared (empty where none is
kept)."""
_makers: dict[type, _Maker] = {}
"""Of the record classes that have a hook, by class."""


def _renames(cls: type) -> dict[str, Any]:
    """``from_`` in Python is ``from`` in JSON; an absent optional is left out."""
    overrides: dict[str, Any] = {}
    for a in attrs.fields(cls):
        rename = a.name.rstrip("_") if a.name.endswith("_") else None
        absent = a.default is None
        if rename or absent:
            overrides[a.name] = override(rename=rename, omit_if_default=absent or None)
    return overrides


def _is_record_list(declared: Any) -> bool:
    return get_origin(declared) is list and attrs.has(get_args(declared)[0])


def _unstructure_factory(cls: type) -> Any:
    make: Any = make_dict_unstructure_fn(cls, _converter, **_renames(cls))

    def packed(record: Any) -> bytes:
        if (memo := memo_of(record)) is None:
            return b""
        # A result's declaration decides what is shown of a record, so that one record has several forms.
        kept: bytes | None = memo.get(cls)
        if kept is None:
            kept = memo[cls] = _packed(make(record))
        return kept

    def unstructured(record: Any) -> Any:
        # A copy each time: whoever gets a result may change it.
        return orjson.loads(kept) if (kept := packed(record)) else make(record)

    _makers[cls] = make, packed
    return unstructured


def _list_factory(declared: Any) -> Any:
    kind = get_args(declared)[0]

    def unstructured(records: Sequence[Any]) -> list[Any]:
        make, packed = _maker(kind)

        def together() -> bytes:
            pieces = [packed(record) for record in records]
            return b"[%b]" % b",".join(pieces) if all(pieces) else b""

        def kept_together() -> bytes:
            return whole if len(whole := together()) <= _LARGE else b""

        if records == []:
            return []
        if all_shared(records) and (whole := remembered_together(records, declared, kept_together) or together()):
            made: list[Any] = orjson.loads(whole)
            return made
        return [make(record) for record in records]

    return unstructured


def _maker(cls: type) -> _Maker:
    make = _to_plain(cls)
    return _makers.get(cls) or (make, lambda _: b"")


def _is_optional_scalar(declared: Any) -> bool:
    """What is plain data already, or left out: cattrs would ask again for each value."""
    if get_origin(declared) not in (Union, UnionType) or len(get_args(declared)) != 2:
        return False
    return NoneType in (kinds := _kinds(declared)) and kinds <= _SCALARS


def _kinds(declared: Any) -> set[Any]:
    """The types of a union."""
    return {get_args(arm)[0] if get_origin(arm) is Annotated else arm for arm in get_args(declared)}


def _optional_scalar_factory(declared: Any) -> Any:
    kind = next(arm for arm in _kinds(declared) if arm is not NoneType)
    return lambda value, _: value if value is None or value.__class__ is kind else kind(value)


def _is_scalar_list(declared: Any) -> bool:
    return get_origin(declared) is list and get_args(declared)[0] in _SCALARS


def _plain_dict(values: dict[str, Any]) -> dict[str, Any]:
    """A copy of a dict that mostly holds scalars."""
    if _SCALARS.issuperset(map(type, values.values())):
        return dict(values)
    return {key: unstructure(value) for key, value in values.items()}


def _packed(plain: Any) -> bytes:
    """Plain data as JSON, from which a copy is made faster than from itself; empty where JSON does not hold it as it is, or
    it is too much to keep."""
    try:
        packed = orjson.dumps(plain)
        return packed if len(packed) <= _LARGE and orjson.loads(packed) == plain else b""
    except TypeError:
        return b""


def _structure_factory(cls: type) -> Any:
    return make_dict_structure_fn(cls, _converter, _cattrs_detailed_validation=False, **_renames(cls))


_converter.register_unstructure_hook_factory(attrs.has, _unstructure_factory)
_converter.register_unstructure_hook_factory(_is_record_list, _list_factory)
_converter.register_structure_hook_factory(attrs.has, _structure_factory)
_converter.register_unstructure_hook_func(_is_optional_scalar, identity)
_converter.register_structure_hook_factory(_is_optional_scalar, _optional_scalar_factory)
_converter.register_structure_hook_factory(_is_scalar_list, lambda t: lambda values, _: [*map(get_args(t)[0], values)])
_converter.register_unstructure_hook_func(lambda t: t == dict[str, Any], _plain_dict)
_converter.register_unstructure_hook(LogPosition, lambda position: position.seq)
_converter.register_unstructure_hook(Decimal, str)
_converter.register_structure_hook(Decimal, lambda value, _: Decimal(value))
_converter.register_structure_hook_func(lambda t: t is Any or t is object, lambda value, _: value)
_converter.register_structure_hook_func(lambda t: t is PlainData, lambda value, _: value)
_converter.register_unstructure_hook_func(lambda t: t is PlainData, lambda value: value)


def structure(data: Any, cls: type[T]) -> T:
    """A record from plain data. Raises ``ValueError``, ``TypeError`` or ``KeyError`` when the data does not fit."""
    try:
        made: T = _from_plain(cls)(data, cls)  # type: ignore[arg-type]  # mypy takes no type variable for hashable
        return made
    except (ValueError, TypeError, KeyError):
        raise
    except Exception as error:  # for a value outside a Literal, one that is none of these
        raise ValueError(str(error)) from error


_from_plain = lru_cache(maxsize=1024)(_converter.get_structure_hook)
_to_plain = lru_cache(maxsize=1024)(_converter.get_unstructure_hook)


def unstructure_once(record: Any) -> dict[str, Any]:
    """As :func:`unstructure`, remembering nothing: for what is written, which is mostly new."""
    cls = record.__class__
    make, _ = _makers.get(cls) or _maker(cls)
    return make(record)


def unstructure(value: Any) -> Any:
    """Plain data (dicts, lists, scalars) from a record or result."""
    return _to_plain(value.__class__)(value)
