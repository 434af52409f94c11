"""What a listed tool costs a conversation, in tokens.

A model is given a tool's name, description and input schema; annotations stay with its client. The figures are counted with
a real tokenizer when the contracts are written (``masc schemas --write``) and shipped beside them, so a server needs none.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from masc_core.contracts import Contract
from masc_core.errors import StartError
from masc_core.frozen import frozen
from masc_core.listing import PLAIN, Style, entry

__all__ = ["FILE", "TOKENIZER", "Cost", "Figures", "counted", "digest", "figures_file", "tokenizer"]

FILE = "tokens.json"
"""In ``schemas/``."""
TOKENIZER = "o200k_base"
_STYLES = {"full": PLAIN, "terse": Style(terse=True)}


@frozen
class Cost:
    """Tokens, and whether some of them were estimated as bytes / 4."""

    tokens: int
    estimated: bool = False


class Figures:
    """The shipped figures. A tool without one, or whose contract is no longer the counted one, is estimated."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory

    @cached_property
    def _shipped(self) -> Mapping[str, Any]:
        from masc_core.schema_files import default_directory

        try:
            path = (self._directory or default_directory()) / FILE
            shipped: Mapping[str, Any] = orjson.loads(path.read_bytes())["tools"]
        except (StartError, OSError):
            return {}
        return shipped

    def cost(self, contract: Contract, caller_known: bool, style: Style = PLAIN) -> Cost:
        """What one listed tool costs where the caller is known, or not."""
        known = self._shipped.get(contract.tool.name)
        if style.outputs or known is None or known["digest"] != digest(contract):
            return Cost(math.ceil(len(counted(entry(contract, caller_known, style)).encode()) / 4), estimated=True)
        return Cost(known["terse" if style.terse else "full"][caller_known])


def counted(listed: Mapping[str, Any]) -> str:
    """The part of a tools/list entry that a model is given, as compact JSON."""
    return orjson.dumps({name: value for name, value in listed.items() if name != "annotations"}).decode()


def digest(contract: Contract) -> str:
    """Tells whether a figure is of this very contract: every counted form follows from these two texts."""
    texts = counted(entry(contract, caller_known=False)), contract.tool.terse
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def tokenizer() -> Callable[[str], int]:
    """Counts the tokens of a text; what looks like a control token counts as text.

    Raises :class:`StartError` where the tokenizer is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # how it opens its own tables
        try:
            from bpe_openai import get_encoding
        except ImportError:
            raise StartError(message="counting tokens needs bpe-openai: pip install 'masc[bench]'") from None
        encode = get_encoding(TOKENIZER).encode_ordinary
    return lambda text: len(encode(text))


def figures_file(contracts: Iterable[Contract]) -> str:
    """The text of the figures' file: for each tool its tokens where the caller is not known, and where it is."""
    count = tokenizer()
    tools = {
        contract.tool.name: {
            "digest": digest(contract),
            **{
                name: [count(counted(entry(contract, known, style))) for known in (False, True)]
                for name, style in _STYLES.items()
            },
        }
        for contract in contracts
    }
    lines = [f"    {orjson.dumps(name).decode()}: {orjson.dumps(row).decode()}" for name, row in sorted(tools.items())]
    return f'{{\n  "tokenizer": "{TOKENIZER}",\n  "tools": {{\n' + ",\n".join(lines) + "\n  }\n}\n"
