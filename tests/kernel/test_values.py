"""Names, ids and paths."""

from __future__ import annotations

import orjson
import pytest

from masc_core.errors import InvalidAgentName, InvalidArgument, InvalidFilePath, InvalidTaskId
from masc_core.values import agent_name, check_text, file_path, one_line, task_id


@pytest.mark.parametrize("name", ["a", "Claude", "gpt-5_codex", "x" * 64, "-", "0"])
def test_agent_names_are_taken_as_written(name: str) -> None:
    assert agent_name("agent_name", name) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "length"),
        ("x" * 65, "length"),
        ("a b", "characters"),
        ("é", "characters"),
        ("a\n", "characters"),
        ("a\0", "characters"),
        ("\ud800", "characters"),
        ("\ud800" * 65, "length"),
        ("System", "reserved"),
        ("ALL", "reserved"),
        ("human", "reserved"),
        ("anonymous", "reserved"),
    ],
)
def test_refused_agent_names_say_why_in_words_that_can_be_sent(name: str, reason: str) -> None:
    with pytest.raises(InvalidAgentName) as refused:
        agent_name("agent_name", name)
    assert refused.value.reason == reason
    orjson.dumps(refused.value.as_dict())


@pytest.mark.parametrize("value", ["task-001", "a:b_c-D", "x" * 128])
def test_task_ids_are_taken_as_written(value: str) -> None:
    assert task_id("task_id", value) == value


@pytest.mark.parametrize("value", ["", "x" * 129, "a b", "a/b", "ü", "a\n", "\ud800"])
def test_other_task_ids_are_refused(value: str) -> None:
    with pytest.raises(InvalidTaskId) as refused:
        task_id("task_id", value)
    orjson.dumps(refused.value.as_dict())


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("src/app.py", "src/app.py"),
        ("./a//b", "a/b"),
        ("a\\b\\c.txt", "a/b/c.txt"),
        ("src/", "src/"),
        ("src//", "src/"),
        ("src/.", "src/"),
        ("a b/ü.md", "a b/ü.md"),
        ("u\u0308.md", "ü.md"),
        ("..a/b..", "..a/b.."),
        ("a/...", "a/..."),
        ("日本/語.py", "日本/語.py"),
        ("x" * 500, "x" * 500),
    ],
)
def test_paths_have_one_normal_form(given: str, kept: str) -> None:
    assert file_path("file_path", given) == kept
    assert file_path("file_path", kept) == kept


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("", "length"),
        ("x" * 501, "length"),
        ("/etc/passwd", "absolute"),
        ("\\\\host\\share", "absolute"),
        ("C:/x", "drive"),
        ("c:x", "drive"),
        ("../x", "traversal"),
        ("a/../b", "traversal"),
        ("a\\..\\b", "traversal"),
        ("..", "traversal"),
        (".", "empty"),
        ("./", "empty"),
        ("a<b", "characters"),
        ("a>b", "characters"),
        ("a\0b", "characters"),
        ("a\nb", "characters"),
        ("a\x7fb", "characters"),
        ("\ud800", "characters"),
    ],
)
def test_other_paths_are_refused_with_the_reason(given: str, reason: str) -> None:
    with pytest.raises(InvalidFilePath) as refused:
        file_path("file_path", given)
    assert refused.value.reason == reason
    orjson.dumps(refused.value.as_dict())


@pytest.mark.parametrize("text", ["a\0", "\ud800", "x\udfff"])
def test_nul_and_surrogates_are_refused_everywhere(text: str) -> None:
    with pytest.raises(InvalidArgument):
        check_text("description", text)


def test_one_line_fields_lose_blanks_and_take_no_control_characters() -> None:
    assert one_line("title", "  Fix  login ") == "Fix  login"
    for bad in ("a\tb", "a\nb", "\x85", "   "):
        with pytest.raises(InvalidArgument):
            one_line("title", bad)


BREAKS = [chr(code) for code in range(0x3000) if len(f"a{chr(code)}b".splitlines()) > 1]


@pytest.mark.parametrize("place", ["a{}b", "{}a", "a{}"])
@pytest.mark.parametrize("character", BREAKS, ids=ascii)
def test_nothing_that_ends_a_line_gets_into_one(character: str, place: str) -> None:
    assert {"\n", "\r", "\x85", "\u2028", "\u2029"} <= set(BREAKS)
    with pytest.raises(InvalidArgument) as refused:
        one_line("title", place.format(character))
    assert refused.value.reason == "characters"
    with pytest.raises(InvalidFilePath) as path:
        file_path("file_path", place.format(character))
    assert path.value.reason == "characters"
