"""The reference of ``config.toml``, from the settings classes."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import Any

import attrs

from masc_core.settings import ENVIRONMENT, KERNEL_SECTIONS
from masc_docs.markdown import code, one_line, prose, registry, table

__all__ = ["Row", "meanings", "rows", "sections", "settings"]

Row = tuple[str, str, str, str]
_HEADING = re.compile(r"\A`\[\w+\]`(?: (?:of|in) `config.toml`)?[:.]?\s*")
_TYPES = {"bool": "true or false", "Decimal": "number", "int": "whole number", "str": "text", "Mapping": "table"}


def sections() -> dict[str, type]:
    """The settings class of each section: the kernel's, then the plugins' by name."""
    return {**KERNEL_SECTIONS, **dict(sorted(registry().sections.items()))}


def settings() -> str:
    """A section of the document for each section of the file."""
    return "\n\n".join(_section(name, cls) for name, cls in sections().items())


def _section(name: str, cls: type) -> str:
    intro = _HEADING.sub("", prose(cls.__doc__))
    keys = table(["Key", "Value", "Default", "Meaning"], rows(name, cls))
    return "\n\n".join(filter(None, [f"### [{name}]", intro[:1].upper() + intro[1:], keys]))


def rows(name: str, cls: type) -> Iterator[Row]:
    """Key, what it may be, default and meaning of each setting of a section."""
    variables = {place: variable for variable, place in ENVIRONMENT.items()}
    for attribute in attrs.fields(cls):
        meaning = one_line(meanings(cls).get(attribute.name))
        if (variable := variables.get((name, attribute.name))) is not None:
            meaning += f" `{variable}` says it too."
        yield code(attribute.name), _values(attribute), _default(getattr(cls(), attribute.name)), meaning


def _values(attribute: attrs.Attribute[Any]) -> str:
    """What is allowed: the validators of :mod:`masc_core.settings` hold their bounds, and nothing else does."""
    bound: Mapping[str, Any] = {}
    if inspect.isfunction(attribute.validator):
        bound = inspect.getclosurevars(attribute.validator).nonlocals
    if "values" in bound:
        return ", ".join(map(code, bound["values"]))
    if "low" in bound:
        return f"{bound['low']:,} to {bound['high']:,}"
    name = str(attribute.type).removesuffix(" | None").partition("[")[0]
    return _TYPES.get(name, name)


def _default(value: object) -> str:
    if isinstance(value, bool):
        return code(str(value).lower())
    return "" if value is None or value in ([], {}) else code(value)


@cache
def meanings(cls: type) -> Mapping[str, str]:
    """What is written below each setting in the class."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef))
    found = {}
    for above, below in pairwise(body):
        match above, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = text
    return found
