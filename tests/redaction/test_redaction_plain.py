"""The quick yes for texts without a secret agrees with the engine."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ordinary_lines import english, ordinary
from redaction_corpus import cases, secrets

from masc_plugin_redaction.contexts import CONTEXTS
from masc_plugin_redaction.engine import Redactor, hex_words
from masc_plugin_redaction.labels import _HINTS, SIGNS
from masc_plugin_redaction.plain import all_plain, is_plain
from masc_plugin_redaction.services import SERVICES

REDACTOR = Redactor()
KEYS = ("", "message", "DB_PASSWORD", "clientSecret", "apiKey", "x_PASS", '"pass', "aws_secret_access_key", "token")
PIECES = [*KEYS, *_HINTS, "=", ":", " ", "\n", "'", "abcdef", "a1B2" * 9, "A" * 40, "0123456789abcdef" * 4]
PIECES += [hint for shape in (*SERVICES, *CONTEXTS) for hint in shape.hints]


def holds_nothing(text: str, key: str) -> bool:
    """What the engine says, which looks closely."""
    counts: Counter[str] = Counter()
    return REDACTOR.redact(text, counts, key) == text and not counts and not any(hex_words(text))


def test_no_text_with_a_secret_passes_as_plain() -> None:
    passed = [case for case in cases() if is_plain(case.text)]
    assert not passed, [(c.secret.variant, c.context) for c in passed]


def test_no_secret_alone_passes_as_plain_beside_a_word_that_names_it() -> None:
    for secret in secrets():
        for key in KEYS:
            assert holds_nothing(secret.value, key) or not is_plain(secret.value, key), (secret.variant, key)


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=8).map("".join), st.sampled_from(KEYS))
def test_what_passes_as_plain_holds_nothing(text: str, key: str) -> None:
    assert not is_plain(text, key) or holds_nothing(text, key)


@pytest.mark.parametrize("key", [key for key in KEYS if key not in ("", "message")])
def test_a_value_that_its_key_labels_does_not_pass(key: str) -> None:
    assert not is_plain("two words", key)


def test_every_hint_keeps_a_text_from_passing() -> None:
    assert all(any(sign in hint for sign in SIGNS) for hint in _HINTS)
    for hint in (hint for shape in CONTEXTS for hint in shape.hints):
        assert not is_plain(f"a {hint.upper()} b"), hint


def test_most_texts_pass() -> None:
    assert is_plain("@agent-4 see src/parser_of_uploads.py: it fails since yesterday", "message")
    passing = sum(map(is_plain, english()))
    assert passing > 0.9 * len(english())
    assert sum(is_plain(str(line)) for line in ordinary()) > 0


def test_what_is_declared_to_be_no_text_is_not_looked_at() -> None:
    where = {"labels": False, "notes": True}
    assert all_plain({"state": {"labels": ["token=abcdef"], "notes": ["fine"]}}, {"state": where})
    assert not all_plain({"state": {"labels": [], "notes": ["fine", "token=abcdef"]}}, {"state": where})
    assert not all_plain({"state": {"token": ["abcdef"]}}, {"state": True})
    assert not all_plain({"token": "abcdef"}, {"token": True})
    assert not all_plain({"token": ["abcdef"]}, {"token": True})


def test_a_text_does_not_hide_behind_the_one_before_it() -> None:
    hidden = [s.value for s in secrets() if not is_plain(s.value)]
    assert hidden
    for value in hidden:
        assert not all_plain({"title": "x", "text": value, "more": "x"}, dict.fromkeys(("title", "text", "more"), True))
