"""Ranked search over a few hundred short texts: no model, no network, no index on disk.

The score is BM25F: S. Robertson, H. Zaragoza, M. Taylor, "Simple BM25 Extension to Multiple Weighted Fields", CIKM 2004;
inverse document frequency with + 1 inside the logarithm, as Lucene has it, so that a common word never counts against a
text. Words are compared by their stems (Snowball English), after words and phrases that mean the same have become one.
"""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache

__all__ = ["Index"]

_SATURATION = 2.0
_WORD = re.compile(r"[a-z][a-z0-9]*")
_NOT = re.compile(r"n't\b")
_ENDING = re.compile(r"'(?:s|m|re|d|ve)\b")
_STOP = frozenset(
    "a an the this that these those it its i me my we us our you your he she they them their to of in on at by for "
    "from with and or as is are was were be been being am do does did has have had will would shall should can "
    "could may might must so if then than there into onto out up over again also just any some all each "
    "other another too very which what when where how many much please want need give get got make use using "
    "via about after before while once s t ll".split()
)
_ALIKE = 0.2
"""What a word counts that only means much the same."""
_SLIP = 0.8
_FIRST = 1.25
"""What the first word counts: of an order it is the verb."""
_WEAK = 0.3
"""What scores less than this part of the best is no answer."""


class Index:
    """Texts with named fields, each field with a weight and a strength of length normalisation (0 to 1).

    ``same`` has groups of words that are one word, ``alike`` groups of words that stand for one another to a degree; one
    group a line, the words of a phrase joined by ``_``.
    """

    def __init__(
        self,
        texts: Sequence[Mapping[str, str]],
        weights: Mapping[str, tuple[float, float]],
        alike: str = "",
        same: str = "",
    ) -> None:
        # A stemmer for thirty languages takes 20 ms to import; most servers never search.
        from snowballstemmer import stemmer  # type: ignore[import-untyped]

        self._stem = stemmer("english").stemWord
        stem = cache(self._stem)  # not kept: queries are anybody's words
        self._stop = {stem(word) for word in _STOP}
        groups = [[_stems(word, stem) for word in group.split()] for group in same.splitlines()]
        self._one = {word: group[0] for group in groups for word in group}
        # The longest first: "no longer needed" before "no longer".
        phrases = sorted((words for words in self._one if " " in words), key=len, reverse=True)
        self._phrase = re.compile(rf"\b(?:{'|'.join(phrases) or '(?!)'})\b")
        fields = [{name: self._words(text.get(name, ""), stem) for name in weights} for text in texts]
        mean = {name: max(1.0, sum(len(f[name]) for f in fields) / max(1, len(fields))) for name in weights}
        self._weighted = [
            _sum(
                {
                    word: weight * n / (1 - norm + norm * len(field[name]) / mean[name])
                    for word, n in Counter(field[name]).items()
                }
                for name, (weight, norm) in weights.items()
            )
            for field in fields
        ]
        self._frequency = Counter(word for weighted in self._weighted for word in weighted)
        self._alike: dict[str, set[str]] = {}
        for group in alike.splitlines():
            stems = {word for entry in group.split() for word in self._words(entry, stem)}
            for word in stems:
                self._alike.setdefault(word, set()).update(stems - {word})

    def ranked(self, query: str, factors: Mapping[int, float] | None = None) -> list[int]:
        """The numbers of the texts that answer a query, best first; ties in the order given. ``factors`` say which texts
        count more, or less."""
        words = dict.fromkeys(map(self._known, self.words(query)))
        total = sum(map(self._rarity, words)) or 1.0
        shares = {word: self._rarity(word) / total for word in words}
        factors = factors or {}
        scored = [
            (self._score(weighted, shares) * factors.get(i, 1.0), -i) for i, weighted in enumerate(self._weighted)
        ]
        best = max(scored, default=(0.0, 0))[0]
        return [-i for score, i in sorted(scored, reverse=True) if score > 0 and score >= best * _WEAK]

    def words(self, text: str) -> list[str]:
        """What is compared of a text: stems, what means the same made one, without the words that say nothing."""
        return self._words(text, self._stem)

    def _score(self, weighted: Mapping[str, float], words: Mapping[str, float]) -> float:
        """The sum over the words, less the more of the question a text says nothing to."""
        first = next(iter(words), "")
        gains = {word: self._worth(word, weighted) * (_FIRST if word == first else 1) for word in words}
        met = sum(share for word, share in words.items() if gains[word])
        return sum(gains.values()) * math.sqrt(met)

    def _worth(self, word: str, weighted: Mapping[str, float]) -> float:
        """What a text gains by having a word or, where it has not, the best of those that mean much the same."""
        if word in weighted:
            return self._saturated(word, weighted)
        found = (self._saturated(other, weighted) for other in self._alike.get(word, ()) if other in weighted)
        return _ALIKE * max(found, default=0.0)

    def _saturated(self, word: str, weighted: Mapping[str, float]) -> float:
        return self._rarity(word) * weighted[word] / (_SATURATION + weighted[word])

    def _rarity(self, word: str) -> float:
        n = self._frequency[word]
        return math.log(1 + (len(self._weighted) - n + 0.5) / (n + 0.5))

    def _known(self, word: str) -> str:
        """The word, or the known one it is most likely a slip of."""
        if word in self._frequency or word in self._alike or len(word) < 4:
            return word
        return next(iter(difflib.get_close_matches(word, self._frequency, 1, _SLIP)), word)

    def _words(self, text: str, stem: Callable[[str], str]) -> list[str]:
        stems = self._phrase.sub(lambda found: self._one[found[0]], _stems(text, stem))
        words = [self._one.get(word, word) for word in stems.split()]
        return [word for word in words if word not in self._stop]


def _stems(text: str, stem: Callable[[str], str]) -> str:
    text = _ENDING.sub("", _NOT.sub(" not", text.lower().replace("\u2019", "'")))
    return " ".join(map(stem, _WORD.findall(text.replace("_", " "))))


def _sum(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for part in parts:
        for word, weight in part.items():
            total[word] = total.get(word, 0.0) + weight
    return total
