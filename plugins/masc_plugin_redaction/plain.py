"""A quick yes for texts that hold no secret; the engine has the last word on all others.

Most texts hold nothing that any secret has: neither a word that names one, nor a word as long as a credential.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from masc_plugin_redaction.contexts import CONTEXTS
from masc_plugin_redaction.engine import hex_words, long_words, lowered
from masc_plugin_redaction.labels import SIGNS
from masc_plugin_redaction.services import SERVICES
from masc_plugin_redaction.shapes import Shape
from masc_plugin_redaction.walk import strings

__all__ = ["all_plain", "is_plain"]

_IN_ANY = (*SIGNS, *(h for s in CONTEXTS for h in s.hints if not any(sign in h for sign in SIGNS)))
"""One of these is in every text, in lower case, in which a label or a context is looked for."""


def _by_sign() -> dict[str, list[tuple[str, Shape]]]:
    """The services' hints by a character that few words have, so that those are passed over together."""
    grouped: dict[str, list[tuple[str, Shape]]] = {}
    for shape in SERVICES:
        for hint in shape.hints:
            grouped.setdefault(next((sign for sign in "_-." if sign in hint), ""), []).append((hint, shape))
    return grouped


_BY_SIGN = _by_sign()


def all_plain(arguments: Mapping[str, Any], texts: Mapping[str, Any]) -> bool:
    """Whether the arguments named in ``texts`` certainly hold no secret, patterns of the settings aside."""
    found: list[str] = []
    keys = list(texts)
    for name, where in texts.items():
        if type(value := arguments[name]) is str:
            found.append(value)
            continue
        for key, text in strings(value, where):
            found.append(text)
            keys.append(key)
    # All at once: what is looked for is a part that every secret has, and no such part goes over the end of a line.
    return is_plain("\n".join(found), "\n".join(keys))


def is_plain(text: str, key: str = "") -> bool:
    """Whether a text certainly holds no secret, where it is the value of ``key``; a no is none."""
    lower = lowered(text)
    for hint in _IN_ANY:
        if hint in lower:
            return False
    name = key.lower()
    for sign in SIGNS:
        if sign in name:
            return False
    words = long_words(text)
    return not words or not _has_credential(words)


def _has_credential(words: str) -> bool:
    """Whether a service's credential or the room's own secret may be among the long words of a text."""
    for sign, hinted in _BY_SIGN.items():
        if sign in words:
            for hint, shape in hinted:
                if hint in words and any(shape.find(words)):
                    return True
    return any(hex_words(words))
