"""The reference of hooks, from their specifications."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from masc_core import hookspecs
from masc_core.hookspecs import MascHooks
from masc_docs.markdown import code, fence, one_line, prose, registry, table

__all__ = ["Hook", "hooks", "specified"]

_NEW = re.compile(r"\s*New in ([\d.]+\d)\.")
Hook = Callable[..., Any]


def specified() -> dict[str, Hook]:
    """The hooks by name, in the order of the specification."""
    return {name: function for name, function in vars(MascHooks).items() if hasattr(function, "masc_spec")}


def hooks() -> str:
    """What holds for all hooks, a table of them, and a section for each: how it is called, when it fires and who calls it,
    since when, and who implements it."""
    common = prose(hookspecs.__doc__).partition("\n\n")[2]
    summaries = ((f"[{name}](#{name})", _summary(function)) for name, function in specified().items())
    parts = [common, table(["Hook", "What it is for"], summaries)]
    return "\n\n".join([*parts, *(_section(name, function) for name, function in specified().items())])


def _summary(function: Hook) -> str:
    """The first paragraph, up to the end of its first sentence."""
    return re.split(r"(?<=[a-z`)])[.:] ", one_line((function.__doc__ or "").partition("\n\n")[0]), maxsplit=1)[
        0
    ].rstrip(".")


def _section(name: str, function: Hook) -> str:
    text = prose(function.__doc__)
    since = _NEW.search(text)
    facts = [f"New in {since[1]}."] if since else []
    if deprecated := function.masc_spec["warn_on_impl_args"]:  # type: ignore[attr-defined]
        facts += [f"Deprecated argument {code(argument)}: {warning}." for argument, warning in deprecated.items()]
    if users := sorted({i.plugin_name for i in getattr(registry().manager.hook, name).get_hookimpls()}):
        facts.append(f"Implemented by {', '.join(users).replace('guard:', 'guard ')}.")
    return "\n\n".join(
        [f"### {name}", fence("python", _signature(name, function)), _NEW.sub("", text), " ".join(facts)]
    )


def _signature(name: str, function: Hook) -> str:
    signature = inspect.signature(function)
    parameters = [f"{p.name}: {p.annotation}" for p in signature.parameters.values() if p.name != "self"]
    answer = signature.return_annotation
    declared = f"async def {name}" if answer == "Answer" else f"def {name}"
    answer = "Mapping[str, Any] | None" if answer == "Answer" else answer
    line = f"{declared}({', '.join(parameters)}) -> {answer}: ..."
    if len(line) > 100:
        line = "\n".join([f"{declared}(", *(f"    {p}," for p in parameters), f") -> {answer}: ..."])
    return f"@hookimpl\n{line}"
