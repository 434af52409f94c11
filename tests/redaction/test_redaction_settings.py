"""Patterns of one's own: which are taken, and how a refused one is named."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from masc_core.errors import StartError
from masc_core.kernel import Kernel
from masc_core.plugins import Registry
from masc_core.rooms import Base
from masc_core.settings import load_settings
from masc_plugin_redaction.regexes import compile_linear, spans, why_not
from masc_plugin_redaction.settings import RedactionSettings


def load(path: Path, text: str) -> RedactionSettings:
    """The section as read from a config.toml with this text."""
    (path / ".masc").mkdir()
    (path / ".masc" / "config.toml").write_text(text)
    return load_settings(path, {}, {"redaction": RedactionSettings}).of(RedactionSettings)


def test_redaction_is_on_without_a_section(tmp_path: Path) -> None:
    assert load(tmp_path, "") == RedactionSettings(True, [], [])


def test_a_section_is_read(tmp_path: Path) -> None:
    text = 'redaction.allow = ["^x"]\n[[redaction.patterns]]\nname = "ticket"\nregex = "T-[0-9]+"\n'
    settings = load(tmp_path, text)
    assert (settings.named, settings.allow) == ((("ticket", "T-[0-9]+"),), ["^x"])


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[redaction]\nenabled = 1", "redaction.enabled must be of type bool"),
        ("[redaction]\npattern = []", "did you mean patterns?"),
        ("[redaction]\npatterns = 3", "redaction.patterns must be of type list"),
        ("[redaction]\npatterns = ['x']", "patterns[0]"),
        ("[redaction]\npatterns = [{name = 'ab'}]", "patterns[0]"),
        ("[redaction]\npatterns = [{name = 'ab', regex = 'x', flags = 'i'}]", "patterns[0]"),
        ("[redaction]\npatterns = [{name = 'ab', regex = 3}]", "patterns[0] ab"),
        ("[redaction]\npatterns = [{name = 'ab', regex = ''}]", "1 to 500"),
        (f"[redaction]\npatterns = [{{name = 'ab', regex = '{'x' * 501}'}}]", "1 to 500"),
        ("[redaction]\npatterns = [" + "{name = 'ab', regex = 'x'}," * 101 + "]", "patterns must be at most 100"),
        ("[redaction]\nallow = [" + "'x'," * 101 + "]", "allow must be at most 100"),
        ("[redaction]\nallow = [3]", "allow[0]"),
        ("[redaction]\nallow = ['x', '(']", "allow[1]"),
        ("[redaction]\nallow = ['(?!x)']", "allow[0]"),
    ],
)
def test_a_wrong_section_is_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(StartError) as refused:
        load(tmp_path, text)
    assert named in str(refused.value) and "config.toml" in str(refused.value)


@pytest.mark.parametrize("name", ["a", "A1", "1a", "a-b", "a" * 33, "ab\n", "é2"])
def test_a_name_is_checked(name: str) -> None:
    with pytest.raises(ValueError, match="is named"):
        RedactionSettings(patterns=[{"name": name, "regex": "x"}])


def test_the_largest_section_is_taken() -> None:
    patterns = [{"name": "a" * 32, "regex": "x" * 500}, {"name": "a_1", "regex": "y"}] * 50
    assert len(RedactionSettings(patterns=patterns, allow=["x"] * 100).named) == 100


@pytest.mark.parametrize(
    "regex",
    [
        *(
            r"(a+)+$",
            r"(a*)*",
            r"(?:a+b)*",
            r"((a+))+",
            r"(a{1,})+",
            r"(a+){2,}",
            r"(a+|b)+",
            r"(a+)+?",
            r"(x(a*)y){3,}",
        ),
        *(r"(?P<n>\d+)*", r"([^)]+)+", r"(\)+)+", r"(a+)?(b+)*"),
    ],
)
def test_nested_unbounded_repeats_are_refused(regex: str) -> None:
    assert "nested unbounded repeats" in (why_not(regex) or "")


@pytest.mark.parametrize(
    "regex",
    [
        *(r"a+b+", r"(a+)b+", r"(ab)+", r"(a+)?", r"(a+){2,5}", r"(a{1,5})+", r"([a+*(]+)", r"[)(]+(a)+", r"\(a+\)+"),
        *(r"(\+)+", r"[]+]+", r"([[:alpha:]+])+", r"\Q(a+)+\E", r"(a{,})+", r"(?i)acme-[0-9]{4,}", r"(a+)(b)+"),
    ],
)
def test_other_repeats_are_taken(regex: str) -> None:
    assert why_not(regex) is None


@pytest.mark.parametrize(
    "regex", [r"(a)\1", r"(?P<x>a)(?P=x)", "(?=a)b", "(?!a)b", "(?<=a)b", "(?<!a)b", "(", "[a", "a{2000}"]
)
def test_what_cannot_run_in_linear_time_or_does_not_compile_is_refused(regex: str) -> None:
    assert "does not compile" in (why_not(regex) or "")


def test_a_custom_pattern_that_cannot_be_linear_stops_the_start_by_name(tmp_path: Path, registry: Registry) -> None:
    """Acceptance 6."""
    (tmp_path / ".masc").mkdir()
    (tmp_path / ".masc" / "config.toml").write_text(
        "[[redaction.patterns]]\nname = 'fine'\nregex = 'x'\n[[redaction.patterns]]\nname = 'slow'\nregex = '(a+)+$'\n"
    )
    with pytest.raises(StartError) as refused:
        Kernel(Base(tmp_path, may_create=True), registry)
    assert "slow" in str(refused.value) and "(a+)+$" in str(refused.value)


def test_the_settings_in_the_documents_are_taken(tmp_path: Path) -> None:
    text = (Path(__file__).parent.parent.parent / "docs" / "redaction.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    settings = load(tmp_path, example)
    assert settings.named == (("acme_ticket", "ACME-[0-9]{6}"),) and settings.allow == ["^sk_test_", "hunter2x$"]


def test_a_missing_re2_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "re2", None)
    compile_linear.cache_clear()
    assert "google-re2" in (why_not("never-seen-before") or "")


def test_places_are_those_of_characters() -> None:
    assert list(spans("b+", "éébbéb")) == [(2, 4), (5, 6)]
