"""Finding a tool by words for what somebody wants.

Named tools come first, the others by how well their own words answer (:mod:`masc_core.search`), weighted by how likely they are
asked for so (:mod:`masc_core.questions`) and by whether somebody asks or orders.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from masc_core._thesaurus import ALIKE, ASKING, CHANGING, SAME
from masc_core.contracts import Contract
from masc_core.questions import Questions, questions_for
from masc_core.search import Index

if TYPE_CHECKING:
    from masc_core.modes import Modes

__all__ = ["Finder"]

_WEIGHTS = {
    "name": (6.0, 0.5),
    "core": (4.0, 0.3),
    "keywords": (1.5, 0.3),
    "description": (0.5, 0.5),
    "arguments": (0.2, 0.5),
}
_FAVOUR = 1.6
"""What a tool that only shows counts more for a question, and one that changes something for an order."""
_HARMLESS = 1.3
"""What a tool that only shows counts more where nothing tells, as in "encryption": to be shown too much costs little."""
_SWITCH = re.compile(r"\b(switch|turn)(?:ed|ing)?\b(.{1,40}?) (on|off)\b")
"""Who turns something on wants to turn on."""
_CLAUSE = re.compile(r"[;,.:!?]\s+|\b(?:and|so|but|then|please)\s+")
"""Where a sentence may come to its point."""
_TRUST = 0.2
"""The weight of what is known to be asked of the tools, against their own words: they are in no relation of probability."""
_UNASKED = 1e-4
"""The least share of a tool whose questions are known: they are never all."""
_UNKNOWN = 0.85
"""What a tool counts that nobody is known to ask for like this, where little is known of it."""
_MANY = 50
"""From how many questions on much is known of a tool, so that it tells against it not to be asked like this."""
_SURE = 0.9
"""The share from which a tool is what is wanted, though no word of the question is its own."""
_TOKEN = re.compile(r"\w+")
_FILE = re.compile(r"\S*[./]\w\S*")
"""A file may be called like a tool: each has one in ``schemas/``."""


class Finder:
    """Searches the installed tools."""

    def __init__(self, modes: Modes) -> None:
        self._contracts = modes.contracts(modes.installed)
        numbered = list(enumerate(self._contracts))
        self._shows = {i: _FAVOUR for i, contract in numbered if contract.tool.limit == "read"}
        self._harmless = {i: _HARMLESS for i, contract in numbered if contract.tool.reads}
        self._changes = {i: _FAVOUR for i, _ in numbered if i not in self._shows}
        self._index = Index([_text(contract) for contract in self._contracts], _WEIGHTS, ALIKE, SAME)
        self._names = [(contract.tool.name, _words(contract.tool.name)) for contract in self._contracts]
        asked = questions_for([contract.tool for contract in self._contracts])
        self._questions = Questions(asked)
        self._little_known = frozenset(i for i, questions in asked.items() if len(questions) < _MANY)

    def find(self, query: str) -> list[Contract]:
        """The tools for a query, best first; those that are named go before all others."""
        query = _SWITCH.sub(r"\1 \3\2", query.lower().replace("\u2019", "'"))
        shares = self._questions.shares(query)
        ranked = self._index.ranked(query, self._factors(query, shares))
        sure = [i for i, share in shares.items() if share >= _SURE]
        found = dict.fromkeys([*self._named(query), *(i for i in sure if i not in ranked), *ranked])
        return [self._contracts[i] for i in found]

    def _factors(self, query: str, shares: Mapping[int, float]) -> Mapping[int, float]:
        """What each tool counts more, or less, than its words alone say."""
        factors = dict(self._intent(query))
        for i in range(len(self._contracts)) if shares else ():
            asked = (shares.get(i, 0.0) + _UNASKED) ** _TRUST
            factors[i] = factors.get(i, 1.0) * (max(asked, _UNKNOWN) if i in self._little_known else asked)
        return factors

    def _named(self, query: str) -> list[int]:
        """The tools that are named: by all words of their names in any order, or as clients write them, wherever it is."""
        words = _words(query)
        if whole := [i for i, (_, own) in enumerate(self._names) if own == words]:
            return whole
        tokens = [token.strip("_") for token in _TOKEN.findall(_FILE.sub(" ", query)) if "_" in token]
        return [
            i for token in tokens for i, (name, _) in enumerate(self._names)
            if "_" in name and (token == name or token.endswith(f"_{name}"))
        ]  # fmt: skip

    def _intent(self, query: str) -> Mapping[int, float]:
        """What the first word that says it makes count more."""
        for clause in _CLAUSE.split(query):
            word = clause.lstrip().partition(" ")[0].partition("'")[0].strip(",")
            if word in ASKING:
                return self._shows
            if word in CHANGING:
                return self._changes
        return self._harmless


def _words(name: str) -> list[str]:
    """The words of a name, in the order of the alphabet."""
    return sorted(_TOKEN.findall(name.removeprefix("masc_").replace("_", " ")))


def _text(contract: Contract) -> Mapping[str, str]:
    tool = contract.tool
    properties = contract.input["properties"]
    core, _, others = tool.keywords.rpartition(";")
    choices = (str(choice) for schema in properties.values() for choice in schema.get("enum", ()))
    return {
        "name": tool.name.removeprefix("masc_"),
        "description": tool.description,
        "core": core,
        "keywords": others,
        "arguments": " ".join([*(name for name in properties if name != tool.caller_field), *choices]),
    }
