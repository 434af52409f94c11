"""The reference of tools, a page a category: from the contracts, and from the recorded examples."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from masc_core.contracts import Contract
from masc_core.schema_files import described
from masc_core.tokens import Figures
from masc_docs.examples import DIRECTORY, Step, steps_of
from masc_docs.markdown import code, fence, registry, table

__all__ = ["example", "kind", "tools"]

Schema = Mapping[str, Any]
_FACTS = ("Role", "Effect", "Counted as", "Tokens", "Contract")
_MOST = 6
"""Fields of an object that are named in a table's cell; the contract's file has all of them."""


def tools(category: str) -> str:
    """A section for each tool of a category, in the order in which they are listed."""
    contracts = [c for c in described(registry()).values() if c.tool.category == category]
    steps = [step for step in steps_of(DIRECTORY / f"{category}.json") if not step.get("setup")]
    return "\n\n".join(_section(c, [step for step in steps if step["tool"] == c.tool.name]) for c in contracts)


def _section(contract: Contract, steps: list[Step]) -> str:
    parts = [
        f"## {contract.tool.name}",
        contract.tool.description,
        _facts(contract),
        table(["Argument", "", "Type"], _arguments(contract)),
        table(["Field of the result", "", "Type"], _fields(contract.output)),
        _errors(contract),
        *map(example, steps),
    ]
    return "\n\n".join(filter(None, parts))


def _facts(contract: Contract) -> str:
    tool = contract.tool
    file = f"{{download}}`{tool.name}.json <../../schemas/{tool.category}/{tool.name}.json>`"
    effect = f"{tool.effect.value}, idempotent" if tool.idempotent and not tool.reads else tool.effect.value
    tokens = str(Figures().cost(contract, caller_known=True).tokens)
    return table(_FACTS, [(tool.role.label, effect, tool.limit, tokens, file)])


def _errors(contract: Contract) -> str:
    links = ", ".join(f"[{error.code}](../errors.md#{error.code})" for error in contract.tool.errors)
    return f"Errors of its own: {links}." if links else ""


def _arguments(contract: Contract) -> Iterator[tuple[str, str, str]]:
    needed = contract.input.get("required", ())
    for name, schema in contract.input["properties"].items():
        if name == "agent_name" and name not in needed:
            yield code(name), "", "who calls, where the server does not know"
        else:
            yield code(name), "needed" if name in needed else "", kind(schema)


def _fields(output: Schema) -> Iterator[tuple[str, str, str]]:
    always = output.get("required", ())
    for name, schema in output.get("properties", {}).items():
        yield code(name), "always" if name in always else "", kind(schema)


def kind(schema: Schema) -> str:
    """A schema in a few words, such as "integer, 1 to 5" or "list of string"."""
    if "enum" in schema:
        return " or ".join(code(json.dumps(value)) for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(map(kind, schema["anyOf"]))
    name: str = schema.get("type", "any JSON")
    if name == "array":
        return f"list of {kind(schema.get('items', {}))}"
    if name == "object":
        return _object(schema)
    return f"{name}{_bounds(schema)}"


def _object(schema: Schema) -> str:
    names = list(schema.get("properties", ()))
    if not names:
        return "object"
    shown = ", ".join(map(code, names[:_MOST]))
    return f"object: {shown}{f' and {len(names) - _MOST} more' if len(names) > _MOST else ''}"


def _bounds(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f", {low:,} to {high:,}"
    if low is not None:
        return f", at least {low:,}"
    if (longest := schema.get("maxLength")) is not None:
        return f", up to {longest:,} characters"
    return ""


def example(step: Step) -> str:
    """One recorded call with its answer, as text and as structured content."""
    caller = step.get("agent") or "The person at the machine"
    parts = [
        f"**Example.** {step.get('about', '')}".rstrip(),
        f"{caller} calls it with",
        fence("json", json.dumps(step["arguments"], ensure_ascii=False)),
        "and is told",
        fence("text", step["text"]),
        "<details><summary>The same as <code>structuredContent</code></summary>",
        fence("json", json.dumps(step["result"], indent=2, ensure_ascii=False)),
        "</details>",
    ]
    return "\n\n".join(parts)
