"""Writes the tables of modes in README.md and docs/modes.md from the registry; ``--check`` only compares.

No figure in a document is written by hand: run ``python docs/token_table.py`` after ``masc schemas --write``.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from masc_core.listing import Style
from masc_core.modes import DEFAULT_MODE, MODES, Modes
from masc_core.plugins import load

ROOT = Path(__file__).parent.parent
DOCUMENTS = (ROOT / "README.md", ROOT / "docs" / "modes.md")
_PLACE = re.compile(r"<!-- (modes|categories):begin -->\n.*?<!-- \1:end -->", re.DOTALL)
_SPECIAL = {
    "full": "every installed one, third-party ones included",
    "lean": "none: five tools that find and call all others",
}


def modes_table(modes: Modes, terse: Modes) -> str:
    """Tools and tokens of each mode: where the caller is known, where not, and with terse descriptions."""
    rows = ["| Mode | Categories | Tools | Tokens | Caller unknown | Terse |", "|---|---|---:|---:|---:|---:|"]
    for mode in MODES.values():
        shown = modes.resolve(modes.check(mode.name, (), "url")).categories
        name = f"`{mode.name}`{' (default)' if mode.name == DEFAULT_MODE else ''}"
        counts = (
            len(modes.contracts(shown)),
            *(modes.cost(shown, known).tokens for known in (True, False)),
            terse.cost(shown, caller_known=True).tokens,
        )
        rows.append(" | ".join(["| " + name, _SPECIAL.get(mode.name, ", ".join(shown)), *map(_figure, counts)]) + " |")
    rows += [
        "| `custom` | core and the categories you name | | | | |",
        "| `budget` | as many as fit the tokens you allow | | | | |",
    ]
    return "\n".join(rows)


def categories_table(modes: Modes) -> str:
    """Tools and tokens of each category."""
    rows = ["| Category | Tools | Tokens | Caller unknown |", "|---|---:|---:|---:|"]
    for category in modes.installed:
        counts = (len(modes.contracts([category])), *(modes.cost([category], known).tokens for known in (True, False)))
        rows.append(" | ".join([f"| {category}", *map(_figure, counts)]) + " |")
    return "\n".join(rows)


def _figure(number: int) -> str:
    return f"{number:,}"


def written(text: str) -> str:
    """A document with its tables made anew."""
    registry = load(enabled=())
    modes = Modes(registry)
    tables = {"modes": modes_table(modes, Modes(registry, Style(terse=True))), "categories": categories_table(modes)}
    return _PLACE.sub(lambda m: f"<!-- {m[1]}:begin -->\n{tables[m[1]]}\n<!-- {m[1]}:end -->", text)


def main() -> int:
    """Compare or write; 1 when a document is not up to date and only compared."""
    stale = [
        path for path in DOCUMENTS if path.read_text(encoding="utf-8") != written(path.read_text(encoding="utf-8"))
    ]
    for path in stale:
        if "--check" in sys.argv:
            sys.stderr.write(f"changed: {path.name}; run python docs/token_table.py\n")
        else:
            path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
