"""Tools that undo one another, told apart by what a query wants done.

They are about the same things and so have nearly the same words: without this the length of their texts decides which of
them comes first, and who wants a lock is shown how to give one up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from masc_core._thesaurus import OPPOSITES

__all__ = ["Opposites"]

_AGAINST = 0.65
"""What a tool counts where its opposite is asked for."""
_UNASKED = 0.85
"""What the tool that undoes counts where neither is asked for: a mistake costs less the other way round."""
_DETERMINERS = frozenset("a an the this that these those mine your his her it their our".split())
_REACH = 2
"""How many words before a word a "not" turns it round: "no longer need", "do not let"."""


class _Pair:
    """Two tools, by their numbers, and the words that ask for either."""

    def __init__(self, tools: tuple[int, int], sides: tuple[Sequence[str], Sequence[str]]) -> None:
        self.does, self.undoes = tools
        self._named = {sides[0][0], sides[1][0]}
        self._wanted, self._unwanted = map(frozenset, sides)

    def asked(self, words: Sequence[str]) -> bool | None:
        """Whether the first word that tells asks for what does, and not for what undoes; None if none tells."""
        for i, word in enumerate(words):
            # "The lock" names a thing, "a new worktree" still wants one.
            if word in self._named and i and words[i - 1] in _DETERMINERS:
                continue
            if word in self._wanted or word in self._unwanted:
                return (word in self._wanted) is not ("not" in words[max(0, i - _REACH) : i])
        # "No encryption here".
        return False if words[:1] == ["not"] else None


class Opposites:
    """Pairs of tools whose names are the same but for two opposite words, such as ``portal_open`` and ``portal_close``."""

    def __init__(self, names: Sequence[str], meanings: Callable[[str], list[str]]) -> None:
        self._meanings = meanings
        self._pairs: list[_Pair] = []
        parts = {tuple(name.split("_")): i for i, name in enumerate(names)}
        lines = [line.split() for line in OPPOSITES.strip().splitlines()]
        for first, second in zip(lines[::2], lines[1::2], strict=True):
            sides = meanings(" ".join(first)), meanings(" ".join(second))
            for name, i in parts.items():
                other = parts.get(tuple(second[0] if part == first[0] else part for part in name), i)
                if other != i:
                    self._pairs.append(_Pair((i, other), sides))

    def factors(self, query: str) -> Mapping[int, float]:
        """What the tools count less whose opposites are asked for."""
        words = self._meanings(query)
        least: dict[int, float] = {}
        for pair in self._pairs:
            asked = pair.asked(words)
            against = pair.does if asked is False else pair.undoes
            least[against] = min(least.get(against, 1.0), _UNASKED if asked is None else _AGAINST)
        return least
