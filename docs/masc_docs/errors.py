"""The reference of error codes, from the tree of errors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from masc_core.errors import MascError
from masc_core.schema_files import described
from masc_docs.markdown import code, fence, prose, registry

__all__ = ["errors", "known"]


def known() -> dict[str, type[MascError]]:
    """Every error that MASC as it comes can give, by code."""
    registry()
    found = {
        cls.code: cls for cls in _below(MascError) if "code" in vars(cls) and not cls.__module__.startswith("tests")
    }
    return {code: found[code] for code in sorted(found)}


def _below(cls: type[MascError]) -> Iterator[type[MascError]]:
    for child in cls.__subclasses__():
        yield child
        yield from _below(child)


def errors() -> str:
    """A section for each code."""
    tools = defaultdict(list)
    for name, contract in described(registry()).items():
        for error in contract.tool.errors:
            tools[error.code].append(f"[{name}](tools/{contract.tool.category}.md#{name})")
    return "\n\n".join(_section(cls, tools[cls.code]) for cls in known().values())


def _section(cls: type[MascError], tools: list[str]) -> str:
    details = [name for name in cls._fields if name not in cls.unlisted]
    facts = [
        f"HTTP status {cls.http}",
        "can succeed later unchanged" if cls.retryable else "does not succeed unchanged",
    ]
    if details:
        facts.append(f"details: {', '.join(map(code, details))}")
    parts = [f"### {cls.code}", prose(cls.__doc__) if "__doc__" in vars(cls) and cls.__doc__ else ""]
    if cls.text and cls.text != "{message}":
        parts.append(fence("text", cls.text))
    parts += [f"{'; '.join(facts)}.", f"From {', '.join(tools)}." if tools else ""]
    return "\n\n".join(filter(None, parts))
