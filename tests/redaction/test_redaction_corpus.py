"""What is found and what is left alone, measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import orjson
from hard_lines import WRITTEN, hard
from ordinary_lines import ROOT, english, ordinary
from redaction_corpus import Case, cases, secrets
from redaction_makers import Secret

from masc_plugin_redaction.engine import Redactor
from masc_plugin_redaction.kinds import ORDER

REDACTOR = Redactor()
KNOWN = frozenset(s.value for s in secrets() if s.kind == "masc_token")


def redacted(text: str) -> tuple[str, Counter[str]]:
    """The text as it is kept, and what was found."""
    counts: Counter[str] = Counter()
    return REDACTOR.redact(text, counts, known=KNOWN), counts


def left(secret: Secret, text: str) -> bool:
    """Whether a line of the secret is still there."""
    return any(line in text for line in secret.value.split("\n"))


def test_the_corpus_is_large_enough() -> None:
    assert len(secrets()) >= 200 and len(cases()) >= 1_000
    assert {s.kind for s in secrets()} == set(ORDER), "every kind that is known, and no other"
    assert len(ORDER) >= 25 and len(ordinary()) >= 2_000 and len(english()) == 10_000


def test_no_secret_of_any_listed_kind_is_left(record_property: Callable[[str, object], None]) -> None:
    """Acceptance 1: at start, middle and end of text and across lines."""
    missed = [case for case in cases() if left(case.secret, redacted(case.text)[0])]
    found = 1 - len(missed) / len(cases())
    record_property(
        "redaction recall", f"{found:.2%} of {len(cases())} texts: {len(secrets())} secrets of {len(ORDER)} kinds"
    )
    assert found >= 0.99 and not missed, [(c.secret.variant, c.context) for c in missed]


def test_no_secret_is_left_in_json_values() -> None:
    """Acceptance 1: a document whose strings hold them stays the document it was."""
    for case in cases():
        document = orjson.dumps({"text": case.text, "n": 1}).decode()
        text, _ = redacted(document)
        lines = [orjson.dumps(line).decode().strip('"') for line in case.secret.value.split("\n")]
        assert not any(line in text for line in lines), (case.secret.variant, case.context)


def test_each_secret_is_counted_under_its_kind() -> None:
    def right(case: Case) -> bool:
        return redacted(case.text)[1] == {case.secret.kind: 1}

    assert [(c.secret.variant, c.context, redacted(c.text)[1]) for c in cases() if not right(c)] == []


def test_redacting_twice_changes_nothing_more() -> None:
    for case in cases():
        once, _ = redacted(case.text)
        assert redacted(once) == (once, Counter()), case.secret.variant


def test_ordinary_lines_are_left_alone(record_property: Callable[[str, object], None]) -> None:
    lines = ordinary()
    changed = [line for line in lines if redacted(line)[0] != line]
    record_property("redaction false positives", f"{len(changed) / len(lines):.3%} of {len(lines)} ordinary lines")
    assert len(changed) / len(lines) <= 0.005, changed[:20]


def test_lines_that_look_like_secrets_are_left_alone(record_property: Callable[[str, object], None]) -> None:
    """Code that handles secrets, hashes, ids, documentation, placeholders."""
    lines = hard()
    changed = [line for line in lines if redacted(line)[0] != line]
    written = sum(line in set(WRITTEN) for line in changed)
    found = (
        f"{written} of {len(WRITTEN)} written and {len(changed) - written} of {len(lines) - len(WRITTEN)} made lines"
    )
    record_property("redaction false positives", f"{found} that look like secrets")
    assert written / len(WRITTEN) <= 0.02 and len(changed) == written, changed[:20]


def test_at_most_one_percent_of_english_and_comments_is_changed(record_property: Callable[[str, object], None]) -> None:
    """Acceptance 2."""
    lines = english()
    changed = [line for line in lines if redacted(line)[0] != line]
    record_property("redaction false positives", f"{len(changed) / len(lines):.3%} of {len(lines)} English lines")
    assert len(changed) / len(lines) <= 0.01, changed[:20]


def test_the_documentation_names_every_kind() -> None:
    page = (ROOT / "docs" / "redaction.md").read_text(encoding="utf-8")
    assert [kind for kind in ORDER if f"`{kind}`" not in page] == []
