"""Which tool a question is for, told from questions whose tool is known.

It is the likelihood of the question's words among those asked of each tool, smoothed with those asked of all (Jelinek-Mercer):
C. Zhai, J. Lafferty, "A Study of Smoothing Methods for Language Models Applied to Ad Hoc Information Retrieval", SIGIR 2001.
Words are taken as they stand, with pairs of neighbours: "what", "of" and "do you" say much about what is wanted. Only articles
and their like say nothing.
"""

from __future__ import annotations

import logging
import math
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from itertools import chain, pairwise
from typing import Any

import orjson

from masc_core.tools import Tool

__all__ = ["FILE", "Questions", "place_of", "questions_for", "read_questions"]

logger = logging.getLogger(__name__)

FILE = "questions.json"
"""A file in the package of a tool's module: an object of tool names, each with a list of what people say who want that tool."""
_OF_ALL = 0.2
"""The weight of what is asked of all tools, against what is asked of one."""
_WORD = re.compile(r"[a-z][a-z0-9]*")
_PATH = re.compile(r"[^\s./]*[./]\w\S*")
_NUMBER = re.compile(r"\d+")
_NOT = re.compile(r"n't\b")
_AGENT = re.compile(r"\b(?:claude|codex|copilot|cursor|gemini|gpt)\b")
"""Which file, number or agent is meant, no tool can tell, but that one is."""
_IDLE = frozenset("a an the any some this that these those my your his her its our their".split())
_LEAST = 2
"""How often a pair of words is asked at least: most of those asked once say nothing, and take half of the memory."""


class Questions:
    """Tools by number, as far as it is known what is asked of them."""

    def __init__(self, questions: Mapping[int, Iterable[str]]) -> None:
        counts = {i: count for i, asked in questions.items() if (count := Counter(chain(*map(_parts, _plain(asked)))))}
        frequency: Counter[str] = Counter()
        for count in counts.values():
            frequency.update(count)
        known = {part: n for part, n in frequency.items() if n >= _LEAST or " " not in part}
        total = sum(known.values())
        self._tools = tuple(counts)
        self._gains: dict[str, dict[int, float]] = {}
        for i, count in counts.items():
            kept = {part: n for part, n in count.items() if part in known}
            of_one = (1 - _OF_ALL) / _OF_ALL / sum(kept.values())
            for part, n in kept.items():
                self._gains.setdefault(part, {})[i] = math.log1p(of_one * n * total / known[part])

    def shares(self, question: str) -> Mapping[int, float]:
        """How likely each tool is of which anything is known, together 1; empty if nothing of the question is."""
        (plain,) = _plain([question])
        parts = [gains for part in _parts(plain) if (gains := self._gains.get(part))]
        if not parts:
            return {}
        sums = dict.fromkeys(self._tools, 0.0)
        for gains in parts:
            for i, gain in gains.items():
                sums[i] += gain
        most = max(sums.values())
        likely = {i: math.exp(each - most) for i, each in sums.items()}
        total = sum(likely.values())
        return {i: each / total for i, each in likely.items()}


def questions_for(tools: Sequence[Tool]) -> dict[int, list[str]]:
    """What is known to be asked of each tool, by its place. A file that cannot be used counts as none and is logged."""
    known: dict[str, Mapping[str, list[str]]] = {}
    found: dict[int, list[str]] = {}
    for i, tool in enumerate(tools):
        package = place_of(tool)
        if package not in known:
            try:
                known[package] = read_questions(package)
            except ValueError as error:
                logger.warning("%s of %s cannot be used: %s", FILE, package, error)
                known[package] = {}
        found[i] = known[package].get(tool.name, [])
    return found


def place_of(tool: Tool) -> str:
    """The package in whose directory the questions of a tool are; empty for one that is in no package."""
    return getattr(sys.modules.get(tool.handler.__module__), "__package__", None) or ""


def read_questions(package: str) -> Mapping[str, list[str]]:
    """The questions in a package, by tool; none where it has no such file. Raises :class:`ValueError` saying what is wrong
    with it."""
    if not package:
        return {}
    try:
        file = files(package) / FILE
        content: Any = orjson.loads(file.read_bytes()) if file.is_file() else {}
    except (OSError, TypeError, AttributeError, ImportError) as error:
        raise ValueError(str(error)) from error
    lists = content.values() if isinstance(content, dict) else [None]
    if not all(isinstance(each, list) and all(isinstance(text, str) for text in each) for each in lists):
        raise ValueError("it must be an object of tool names, each with a list of questions")
    return dict(content)


def _plain(texts: Iterable[str]) -> list[str]:
    """Texts with one word for all files, one for all numbers, one for all agents and one for "not"."""
    lines = _PATH.sub("path", "\n".join(" ".join(text.split()) for text in texts).lower())
    return _NOT.sub(" not", _AGENT.sub("agent", _NUMBER.sub(" number ", lines))).split("\n")


def _parts(text: str) -> Iterable[str]:
    """The words of a text and the pairs of neighbouring ones, each once."""
    words = [word for word in _WORD.findall(text) if word not in _IDLE]
    # In order, so that what is added up for them does not depend on how strings hash in this process.
    return dict.fromkeys([*words, *map(" ".join, pairwise(words))])
