"""What stands where a value would and is none: placeholders, variables, code, types, the next word of a sentence."""

from __future__ import annotations

import re

__all__ = ["end_of_code", "is_filled_up", "is_placeholder", "is_word"]

_PLACEHOLDER = re.compile(
    r"<[^<>]*>|\$\{[^}]*\}+|\*{3,}|changeme|example"
    # The same in other hands: xxxx-xxxx, your-api-key, …, [REDACTED], {token}, {{ token }}, $TOKEN, $(…), %TOKEN%, :token
    r"|[x-]*x{4}[x-]*|your[_ -][a-z _-]{1,40}|\.{3,}|…|[\[(]?(?:redacted|hidden|omitted|masked)[\])]?"
    r"|\{{1,2}[ \w.$|-]{0,100}\}{1,2}|\$[a-z_]+|\$\([^)]*\)?|%[a-z_]+%|:[a-z_]+",
    re.IGNORECASE,
)
_OPENING = re.compile(r"\$?[A-Za-z_][\w$]*+(?:(?:\??\.|::|->)[A-Za-z_]\w*+)*+!?[(\[<]|\{[\"'\s{]|<%|\$\(")
_CLOSING = {"(": ")", "[": "]", "<": ">", "%": "%>"}
_CHAIN = re.compile(r"\$?[A-Za-z_]+(?:(?:\??\.|::|->)[A-Za-z_]+)+[?!]?\Z")
_ALIKE = re.compile(
    r"(?:[A-Za-z]+_)*(?:password|passwd|secret|token|key)\Z|[a-z]+(?:[A-Z][a-z]+)*(?:Password|Token|Secret|Key)\Z"
)
_TYPE = re.compile(r"[A-Z][A-Za-z]*[a-z][A-Za-z]*\Z")
_AFTER_TYPE = re.compile(r"[;,)|]|[ \t]+[=|{]")
_MORE_WORDS = re.compile(r"[,;]?[ \t]+[A-Za-z']++(?![\w.-]*[:=])|[ \t]+['(]")
_ODD = re.compile(r"(?:unexpected|invalid|illegal|missing|bad|next)[ \t]{1,4}\Z", re.IGNORECASE)
_NEAR = 200


def is_placeholder(value: str) -> bool:
    """The value stands for another: ``<…>``, ``${…}``, ``***``, ``changeme``, ``example`` and their like."""
    return _PLACEHOLDER.fullmatch(value) is not None


def is_filled_up(value: str) -> bool:
    """A sample of a credential: it ends in x, ten times."""
    return value[-10:].lower() == "xxxxxxxxxx"


def end_of_code(text: str, at: int) -> int | None:
    """Where to read on if what stands at ``at``, unquoted, is a call, an index, a generic type or a structure: within it."""
    opening = _OPENING.match(text, at)
    if opening is None:
        return None
    rest = text[opening.end() : opening.end() + _NEAR].partition("\n")[0]
    closing = _CLOSING.get(opening[0][-1])
    return opening.end() if closing is None or closing in rest else None


def is_word(text: str, kind: str, label: int, start: int, end: int) -> bool:
    """The unquoted value is a name in code, a type or a word of a sentence; ``label`` is where its label begins."""
    value = text[start:end]
    if text[label : label + 3].isupper():
        return False  # an environment's, where nothing is code
    if _CHAIN.match(value) or _ALIKE.match(value):
        return True
    if not value.isalpha():
        return False
    if _ODD.search(text, max(0, label - 20), label):
        return True
    if text[max(0, start - 1)] != " " or text[max(0, start - 3) : start].rstrip()[-1:] != ":":
        return False
    if value.islower():
        return kind in ("token", "secret") and _MORE_WORDS.match(text, end) is not None
    return _TYPE.match(value) is not None and _AFTER_TYPE.match(text, end) is not None
