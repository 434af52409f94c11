"""Contracts: what goes into a tool and what comes out, as JSON Schema 2020-12.

They are derived from a handler's signature, reviewed as files under ``schemas/`` and checked at run time. The listed form
keeps what steers a model (types, enums, ranges, required) and leaves out what only the server needs; validation always
uses the whole contract.
"""

from __future__ import annotations

import difflib
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

import attrs
from attrs import field, frozen

from masc_core._quick import quick_check
from masc_core._texts import Texts, texts_of
from masc_core.convert import unstructure
from masc_core.errors import InvalidArgument, MascError, StartError, in_words
from masc_core.frozen import is_record
from masc_core.store.transaction import LogPosition
from masc_core.tools import CallerUse, Tool
from masc_core.values import AgentName, Bound, Parsed, check_text, shown, trimmed

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

__all__ = ["Contract", "contract_of", "schema_of"]

_SERVER_ONLY = frozenset(
    {"minLength", "maxLength", "pattern", "minItems", "maxItems", "additionalProperties", "default"}
)
_NOT_LISTED_RANGE = 2**40
_MAX_ITEMS = 100
_ALIKE = 0.5
_MAX_DEPTH = 64
"""Objects and lists in each other; deeper ones would exhaust whoever walks them."""
_SCALARS: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    Decimal: {"type": "number"},
    bool: {"type": "boolean"},
    Any: {},
    object: {},
    LogPosition: {"type": "integer"},
}

Schema = dict[str, Any]


def schema_of(annotation: Any) -> Schema:
    """The JSON Schema of a type annotation: scalars, ``Literal``, lists, string-keyed dicts, optionals, attrs classes.

    Raises ``TypeError`` for anything else.
    """
    if annotation in _SCALARS:
        return dict(_SCALARS[annotation])
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        schema = schema_of(args[0])
        for extra in args[1:]:
            if isinstance(extra, Bound):
                schema.update(extra.keywords)
        return schema
    if origin is Literal:
        return {"type": "string", "enum": list(args)}
    if origin in (list, tuple):
        return {"type": "array", "items": schema_of(args[0])}
    if origin in (dict, Mapping) or (origin is not None and origin is typing.get_origin(Mapping[str, int])):
        values = schema_of(args[1])
        return {"type": "object", "additionalProperties": values} if values else {"type": "object"}
    if origin in (Union, types.UnionType):
        return _union(args)
    if isinstance(annotation, type) and attrs.has(annotation):
        return _record(annotation)
    raise TypeError(f"no JSON Schema for {annotation!r}")


def _union(args: tuple[Any, ...]) -> Schema:
    """Absent and null are one thing, so an optional has the schema of its value."""
    some = [a for a in args if a is not type(None)]
    return schema_of(some[0]) if len(some) == 1 else {"anyOf": [schema_of(a) for a in some]}


def _record(cls: type) -> Schema:
    hints = typing.get_type_hints(cls, include_extras=True)
    shown = [a for a in attrs.fields(cls) if not a.name.startswith("_")]
    names = {a.name: a.alias if a.name.endswith("_") else a.name for a in shown}
    return {
        "type": "object",
        "properties": {names[a.name].rstrip("_"): schema_of(hints[a.name]) for a in shown},
        "required": [names[a.name].rstrip("_") for a in shown if a.default is not None],
        "additionalProperties": getattr(cls, "masc_open", False),
    }


@frozen
class Contract:
    """What one tool takes and gives."""

    tool: Tool
    input: Schema
    """Whole input schema, with the caller parameter."""
    _result: type
    _names: dict[str, str] = field(repr=False)
    _parsers: dict[str, Parsed] = field(repr=False)

    @cached_property
    def output(self) -> Schema:
        """The schema of a result, derived when first asked for: a server that does not check results needs none.

        Raises :class:`masc_core.errors.StartError` naming plugin and tool when a field of the result has none.
        """
        try:
            return schema_of(self._result)
        except (TypeError, NameError) as error:
            raise _unusable(self.tool, error) from error

    @property
    def errors(self) -> tuple[type[MascError], ...]:
        """What a call can be refused with beyond what every tool can: for its arguments, then what the tool declares."""
        refused = [parser.raises for parser in self._parsers.values() if parser.raises is not None]
        return tuple(dict.fromkeys([*refused, *self.tool.errors]))

    @property
    def result(self) -> Schema:
        """As :attr:`output`, with what the pipeline may add to any result: what a client is told to expect."""
        return _with_common(self.output)

    @cached_property
    def texts(self) -> Mapping[str, Texts]:
        """Where the handler's arguments may hold free text, by parameter."""
        hints = typing.get_type_hints(self.tool.handler, include_extras=True)
        return {name: texts_of(hints[name]) for name in self._names.values()}

    @cached_property
    def _check_input(self) -> Validator:
        return validator(self.input)

    @cached_property
    def _certainly_valid(self) -> Callable[[Any], bool]:
        return quick_check(self.input)

    @cached_property
    def _trims(self) -> tuple[str, ...]:
        return tuple(name for name, parser in self._parsers.items() if parser.trims)

    @cached_property
    def _check_output(self) -> Validator:
        return validator(self.result)

    def validate(self, arguments: Mapping[str, Any], caller_known: bool = False) -> dict[str, Any]:
        """The handler's keyword arguments, in stored form; ``null`` counts as absent, and the caller is no argument.

        ``caller_known`` is for the words of a refusal alone: where the caller is known its parameter is not listed.

        Raises :class:`InvalidArgument`, or the error of the value's own rule, for the first violation.
        """
        given = {name: value for name, value in arguments.items() if value is not None}
        if not given.keys() <= self.input["properties"].keys():
            self.ensure_known_names(given, caller_known)
        for name, value in given.items():
            _check_strings(name, value)
        for name in self._trims:
            if name in given:
                given[name] = trimmed(given[name])
        if not self._certainly_valid(given) and not self._check_input.is_valid(given):
            raise self._violation(given)
        for name, value in given.items():
            if (parser := self._parsers.get(name)) is not None:
                given[name] = parser.parse(name, value)
        return {self._names[name]: value for name, value in given.items() if name in self._names}

    def ensure_known_names(self, arguments: Mapping[str, Any], caller_known: bool = False) -> None:
        """Raise :class:`InvalidArgument` for the first argument, ``null`` aside, that the tool does not know."""
        for name, value in arguments.items():
            if name not in self.input["properties"] and value is not None:
                raise self._unknown(name, caller_known)

    def ensure_result(self, result: object) -> None:
        """Raise ``TypeError`` for what is not of the declared result's type, ``jsonschema.ValidationError`` for one whose
        fields are not."""
        if not isinstance(result, self._result):
            kind = type(result).__name__
            raise TypeError(f"{self.tool.name} must give {self._result.__name__}, not {kind}")
        self.check_result(unstructure(result))

    def check_result(self, structured: Mapping[str, Any]) -> None:
        """Raise ``jsonschema.ValidationError`` when a result breaks the output contract."""
        self._check_output.validate(structured)

    def listed(self, caller_known: bool) -> Schema:
        """The input schema as tools/list shows it; without the caller parameter where the caller is known."""
        hidden = {self.tool.caller_field} if caller_known and self.tool.caller is not CallerUse.NONE else set()
        properties = {n: _steering(s) for n, s in self.input["properties"].items() if n not in hidden}
        schema: Schema = {"type": "object", "properties": properties}
        if required := [n for n in self.input.get("required", ()) if n not in hidden]:
            schema["required"] = required
        return schema

    def _unknown(self, name: str, caller_known: bool) -> InvalidArgument:
        caller = self.tool.caller_field if self.tool.caller is not CallerUse.NONE else None
        near = _nearest(name, self.input["properties"])
        listed = [n for n in self.input["properties"] if not (caller_known and n == caller)]
        known = near or ", ".join(listed) or "no arguments"
        expected = f"{self.tool.name} does not know it; it knows {known}"
        if near is not None and near == caller and caller_known:
            expected += ", which is best left out: the caller is known here"
        return InvalidArgument(field=shown(name, 80), reason="unknown", expected=expected)

    def _violation(self, given: Mapping[str, Any]) -> MascError:
        order = list(self.input["properties"])
        found: list[ValidationError] = sorted(
            self._check_input.iter_errors(given), key=lambda e: order.index(e.path[0]) if e.path else -1
        )
        first = found[0]
        well_typed = not any(e.validator == "type" for e in found)
        if first.path and well_typed and (parser := self._parsers.get(str(first.path[0]))) is not None:
            try:
                parser.parse(str(first.path[0]), given[str(first.path[0])])
            except MascError as error:
                return error
        return _explain(first)


def validator(schema: Schema) -> Validator:
    """The compiled validator of a schema. Imported on first use: a server that starts to list tools needs none."""
    from masc_core._validators import ContractValidator

    made: Validator = ContractValidator(schema)
    return made


def _nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like ``name``, if any is; of equals the first."""
    likeness = difflib.SequenceMatcher(b=name[:80])

    def ratio(candidate: str) -> float:
        likeness.set_seq1(candidate)
        return likeness.ratio()

    best = max(known, key=ratio, default=None)
    return best if best is not None and ratio(best) >= _ALIKE else None


def _explain(error: ValidationError) -> InvalidArgument:
    rule: str = str(error.validator)
    wanted: Any = error.validator_value
    place = ".".join(str(p) for p in error.path)
    if rule == "required":
        instance: Any = error.instance
        missing = next(n for n in wanted if n not in instance)
        return InvalidArgument(field=f"{place}.{missing}".lstrip("."), reason="missing", expected="is required")
    if isinstance(wanted, list):
        wanted = in_words(wanted)
    words = {
        "type": f"must be {wanted}",
        "enum": f"must be one of {wanted}",
        "minimum": f"must be at least {wanted}",
        "maximum": f"must be at most {wanted}",
        "minLength": f"must have at least {wanted} characters",
        "maxLength": f"must have at most {wanted} characters",
        "minItems": f"must have at least {wanted} items",
        "maxItems": f"must have at most {wanted} items",
        "pattern": f"must match {wanted}",
    }
    return InvalidArgument(field=place, reason=rule, expected=words.get(rule, f"breaks rule {rule}"))


def _check_strings(place: str, value: Any, depth: int = 0) -> None:
    if isinstance(value, str):
        check_text(place, value)
    elif isinstance(value, (list, dict)) and depth == _MAX_DEPTH:  # a union would be made anew each time
        raise InvalidArgument(
            field=place.split(".", 1)[0], reason="depth", expected=f"must be nested at most {_MAX_DEPTH} deep"
        )
    elif isinstance(value, list):
        for i, item in enumerate(value):
            _check_strings(f"{place}.{i}", item, depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            check_text(place, key)
            _check_strings(f"{place}.{shown(key, 80)}", item, depth + 1)


def _steering(schema: Schema) -> Schema:
    kept = {
        key: _steering(value) if key == "items" else value
        for key, value in schema.items()
        if key not in _SERVER_ONLY and not (key == "maximum" and value >= _NOT_LISTED_RANGE)
    }
    return kept


def contract_of(tool: Tool) -> Contract:
    """Derive a tool's contract from its handler's signature.

    Raises :class:`masc_core.errors.StartError` naming plugin and tool when the signature cannot be one.
    """
    try:
        return _derive(tool)
    except (TypeError, NameError) as error:
        raise _unusable(tool, error) from error


def _unusable(tool: Tool, error: Exception) -> StartError:
    return StartError(message=f"plugin {tool.plugin}: tool {tool.name} has no usable contract: {error}")


def _derive(tool: Tool) -> Contract:
    hints = typing.get_type_hints(tool.handler, include_extras=True)
    properties: Schema = {}
    names: dict[str, str] = {}
    parsers: dict[str, Parsed] = {}
    required: list[str] = []
    if tool.caller is not CallerUse.NONE:
        properties[tool.caller_field] = schema_of(AgentName)
    for parameter in list(inspect.signature(tool.handler).parameters.values())[1:]:
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"parameter {parameter.name} must be named")
        if (annotation := hints.get(parameter.name)) is None:
            raise TypeError(f"parameter {parameter.name} has no annotation")
        name = parameter.name.rstrip("_")
        names[name] = parameter.name
        properties[name] = schema_of(annotation)
        if properties[name].get("type") == "array":
            properties[name].setdefault("maxItems", _MAX_ITEMS)
        if parameter.default is parameter.empty:
            required.append(name)
        elif parameter.default is not None:
            properties[name]["default"] = parameter.default if parameter.default != () else []
        for extra in _metadata(annotation):
            if isinstance(extra, Parsed):
                parsers[name] = extra
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        schema["required"] = required
    result = hints.get("return")
    if not isinstance(result, type) or not is_record(result):
        raise TypeError("the return annotation must be an attrs class")
    return Contract(tool, schema, result, names, parsers)


def _metadata(annotation: Any) -> tuple[Any, ...]:
    """The ``Annotated`` extras of a parameter, also inside an optional."""
    if typing.get_origin(annotation) is Annotated:
        return typing.get_args(annotation)[1:]
    if typing.get_origin(annotation) in (Union, types.UnionType):
        return tuple(extra for a in typing.get_args(annotation) for extra in _metadata(a))
    return ()


def _with_common(output: Schema) -> Schema:
    """Any result may carry what the pipeline adds."""
    warning = {"type": "object", "properties": {"code": {"type": "string"}, "message": {"type": "string"}}}
    counts = {"type": "object", "additionalProperties": {"type": "integer"}}
    common = {
        "warnings": {"type": "array", "items": warning},
        "joined": {"type": "boolean"},
        "redacted": counts,
    }
    return {**output, "properties": {**common, **output.get("properties", {})}}
