"""Ranked search over a few hundred short texts: no model, no network, no index on disk.

The score is BM25F: S. Robertson, H. Zaragoza, M. Taylor, "Simple BM25 Extension to Multiple Weighted Fields", CIKM 2004;
inverse document frequency with + 1 inside the logarithm, as Lucene has it, so that a common word never counts against a
text. Words are compared by their stems (Snowball English), after words and phrases that mean the same have become one.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

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
_SLIPPING = 5
"""How long a word is at least that may be a slip: one letter makes too many short words another one."""
_FIRST = 1.25
"""What the first word counts: of an order it is the verb."""
_WEAK = 0.08
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

        self._stem = stem = _Stems(stemmer("english").stemWord)
        self._stop = {stem(word) for word in _STOP}
        groups = [[_stems(word, stem) for word in group.split()] for group in same.splitlines()]
        self._one = {word: group[0] for group in groups for word in group}
        # The longest first: "no longer needed" before "no longer".
        phrases = sorted((words for words in self._one if " " in words), key=len, reverse=True)
        self._phrase = re.compile(rf"\b(?:{'|'.join(phrases) or '(?!)'})\b")
        fields = [{name: self.words(text.get(name, "")) for name in weights} for text in texts]
        mean = {name: max(1.0, sum(len(f[name]) for f in fields) / max(1, len(fields))) for name in weights}
        self._count = len(fields)
        weighted = [
            _sum(
                {
                    word: weight * n / (1 - norm + norm * len(field[name]) / mean[name])
                    for word, n in Counter(field[name]).items()
                }
                for name, (weight, norm) in weights.items()
            )
            for field in fields
        ]
        self._frequency = Counter(word for each in weighted for word in each)
        self._postings = self._posted(weighted)
        self._worths: dict[str, Mapping[int, float]] = {}
        self._alike: dict[str, set[str]] = {}
        for group in alike.splitlines():
            stems = {word for entry in group.split() for word in self.words(entry)}
            for word in stems:
                self._alike.setdefault(word, set()).update(stems - {word})
        stem.freeze()

    def _posted(self, weighted: Sequence[Mapping[str, float]]) -> dict[str, dict[int, float]]:
        """What each text that has a word gains by it."""
        postings: dict[str, dict[int, float]] = {}
        for i, words in enumerate(weighted):
            for word, weight in words.items():
                postings.setdefault(word, {})[i] = self._rarity(word) * weight / (_SATURATION + weight)
        return postings

    def ranked(self, query: str, factors: Mapping[int, float] | None = None) -> list[int]:
        """The numbers of the texts that answer a query, best first; ties in the order given. ``factors`` say which texts
        count more, or less."""
        much = dict.fromkeys(map(self._known, dict.fromkeys(self.words(query))), 1.0)
        much |= dict.fromkeys(list(much)[:1], _FIRST)
        shares = {word: self._rarity(word) for word in much}
        total = sum(shares.values()) or 1.0
        gained: dict[int, float] = {}
        met: dict[int, float] = {}
        for word, share in shares.items():
            for i, worth in self._worth(word).items():
                gained[i] = gained.get(i, 0.0) + worth * much[word]
                met[i] = met.get(i, 0.0) + share / total
        factors = factors or {}
        # Less the more of the question a text says nothing to.
        scored = [(gain * math.sqrt(met[i]) * factors.get(i, 1.0), -i) for i, gain in gained.items()]
        best = max(scored, default=(0.0, 0))[0]
        return [-i for score, i in sorted(scored, reverse=True) if score >= best * _WEAK]

    def words(self, text: str) -> list[str]:
        """What is compared of a text: stems, what means the same made one, without the words that say nothing."""
        stems = self._phrase.sub(lambda found: self._one[found[0]], _stems(text, self._stem))
        meant = (self._one.get(word, word) for word in stems.split())
        return [word for word in meant if word not in self._stop]

    def _worth(self, word: str) -> Mapping[int, float]:
        """What each text gains by having a word, or the best of those that mean much the same."""
        if word not in self._worths and (word in self._frequency or word in self._alike):
            worths = dict(self._postings.get(word, {}))
            for other in self._alike.get(word, ()):
                for i, worth in self._postings.get(other, {}).items():
                    worths[i] = max(worths.get(i, 0.0), _ALIKE * worth)
            self._worths[word] = worths
        return self._worths.get(word, {})

    def _rarity(self, word: str) -> float:
        n = self._frequency[word]
        return math.log(1 + (self._count - n + 0.5) / (n + 0.5))

    def _known(self, word: str) -> str:
        """The word, or the known one of which it is a slip of the pen."""
        if word in self._frequency or word in self._alike or len(word) < _SLIPPING:
            return word
        return next((other for other in self._frequency if _one_slip(word, other)), word)


class _Stems(dict[str, str]):
    """Stems of words, which take longer to find than all the rest. Once frozen it keeps no more: queries are anybody's
    words."""

    def __init__(self, stem: Callable[[str], str]) -> None:
        self._stem = stem
        self._frozen = False

    def freeze(self) -> None:
        self._frozen = True

    def __call__(self, word: str) -> str:
        return self[word]

    def __missing__(self, word: str) -> str:
        stem = self._stem(word)
        if not self._frozen:
            self[word] = stem
        return stem


def _stems(text: str, stem: Callable[[str], str]) -> str:
    text = _ENDING.sub("", _NOT.sub(" not", text.lower().replace("\u2019", "'")))
    return " ".join(map(stem, _WORD.findall(text.replace("_", " "))))


def _one_slip(one: str, other: str) -> bool:
    """Whether a letter was left out, doubled, mistaken or changed places, not the first one."""
    if one[0] != other[0] or abs(len(one) - len(other)) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    one, other = one[start:], other[start:]
    return one[1:] in (other, other[1:]) or one == other[1:] or (one[1::-1] + one[2:]) == other


def _sum(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for part in parts:
        for word, weight in part.items():
            total[word] = total.get(word, 0.0) + weight
    return total
