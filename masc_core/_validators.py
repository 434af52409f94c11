"""The reference validator for JSON Schema 2020-12, stricter in two places."""

from __future__ import annotations

import re
from collections.abc import Iterator

from jsonschema import Draft202012Validator, ValidationError, validators

__all__ = ["ContractValidator"]


def _is_integer(_: object, value: object) -> bool:
    """JSON integers only: the reference validator also takes 3.0, which no handler expects."""
    return isinstance(value, int) and not isinstance(value, bool)


def _pattern(_: object, pattern: str, value: object, __: object) -> Iterator[ValidationError]:
    """As JSON Schema means it: ``$`` is the end, not the place before a last line break."""
    if isinstance(value, str) and not re.search(re.sub(r"\$\Z", r"\\Z", pattern), value):
        yield ValidationError(f"does not match {pattern}")


ContractValidator = validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {"pattern": _pattern},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)
