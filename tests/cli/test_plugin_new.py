"""masc plugins new: a package that is right from the start, or nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cli_support import ENVIRONMENT
from click.testing import CliRunner

from masc_core.authoring.check import check
from masc_core.authoring.package import sources
from masc_core.cli import main


def new(*arguments: str) -> tuple[int, str, str]:
    """Run ``masc plugins new`` in this process."""
    ran = CliRunner().invoke(main, ["plugins", "new", *arguments])
    return ran.exit_code, ran.stdout, ran.stderr


def test_a_new_package_is_typed_tidy_and_keeps_to_the_rules(tmp_path: Path) -> None:
    """That its tests pass once it is installed is the tutorial's to show."""
    package = tmp_path / "masc-my-notes"
    status, out, _ = new("my_notes", "--directory", str(package))
    assert status == 0
    assert out.endswith(f"next:\n  cd {package}\n  pip install -e '.[test]'\n  pytest\n  masc plugins check .\n")
    for tool in (["ruff", "check", "-n"], ["ruff", "format", "--check", "-n"], ["mypy", "--cache-dir", "/dev/null"]):
        ran = subprocess.run(
            [sys.executable, "-m", *tool], cwd=package, env={**ENVIRONMENT, "MYPYPATH": "src"}, capture_output=True,
            text=True,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout + ran.stderr
    report = check(sources(package))
    assert report.findings == []
    assert [(tool["name"]) for tool in report.tools] == ["my_notes_note"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("My_Notes", "no category name"),
        ("n", "no category name"),
        ("1notes", "no category name"),
        ("no-tes", "no category name"),
        ("../notes", "no category name"),
        ("n" * 33, "no category name"),
        ("voting", "category voting is taken by masc"),
        ("audit", "guard audit is taken by masc"),
        ("lean", "a name of MASC's own"),
        ("plugin_core", "a name of MASC's own"),
        ("core_", "no name to end with _"),
    ],
)
def test_a_bad_or_taken_name_writes_nothing(name: str, words: str, tmp_path: Path) -> None:
    status, out, err = new(name, "--directory", str(tmp_path / "made"))
    assert (status, out) == (1, "")
    assert words in err
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_exists_or_cannot_be_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("kept")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for place, words in (("full", "exists"), ("dangling", "exists"), ("none/made", "is no directory")):
        status, _, err = new("notes", "--directory", str(tmp_path / place))
        assert status == 1
        assert words in err
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["dangling", "full", "mine"]
