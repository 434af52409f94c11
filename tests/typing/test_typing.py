"""Type checkers find the mistakes of plugin authors, where the samples say so and nowhere else."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

import pytest

from masc_core.plugins import load
from masc_core.testing import AppFactory

ROOT = Path(__file__).parents[2]
SAMPLES = Path(__file__).parent / "samples"
BAD = sorted(path.name for path in SAMPLES.glob("bad_*.py"))
Found = Counter[tuple[str, int, str]]
"""How often, by file, line and code."""


def expected(checker: str) -> Found:
    """What the samples say that a checker finds."""
    found: Found = Counter()
    for path in sorted(SAMPLES.glob("*.py")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if "# error: " in line:
                (codes,) = re.findall(rf"{checker}\[([\w,-]+)\]", line.partition("# error: ")[2])
                found.update((path.name, number, code) for code in codes.split(","))
    return found


def run(command: Iterable[str | Path]) -> str:
    """What a checker prints about the samples."""
    environment = {**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    done = subprocess.run(
        [str(word) for word in command], cwd=SAMPLES, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 1, f"the checker did not do its work:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.timeout(600)
def test_mypy_finds_the_mistakes_and_no_others() -> None:
    cache = ROOT / ".mypy_cache" / "samples"
    output = run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={cache}", "--no-error-summary", "."]
    )
    lines = re.findall(r"^([\w/.]+):(\d+): error: .*\[([\w-]+)\]$", output, re.MULTILINE)
    assert Counter((name, int(number), code) for name, number, code in lines) == expected("mypy"), output


@pytest.mark.timeout(600)
def test_pyright_finds_the_mistakes_and_no_others() -> None:
    if shutil.which("node") is None:
        reason = "pyright needs node, which is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    output = json.loads(run([sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", "."]))[
        "generalDiagnostics"
    ]
    found = Counter(
        (Path(d["file"]).name, d["range"]["start"]["line"] + 1, d["rule"]) for d in output if d["severity"] == "error"
    )
    assert found == expected("pyright"), json.dumps(output, indent=1)


def test_there_are_mistakes_of_every_kind() -> None:
    assert BAD == ["bad_handlers.py", "bad_hooks.py", "bad_records.py", "bad_tests.py"]
    assert {name for name, _, _ in expected("mypy")} == {name for name, _, _ in expected("pyright")} == set(BAD)


def test_the_packages_say_that_they_are_typed() -> None:
    packages = {point.partition(".")[0] for point in (plugin.module for plugin in load(enabled=()).plugins)}
    assert len(packages) == 14
    for package in {"masc_core", *packages}:
        assert (Path(str(files(package))) / "py.typed").is_file(), package


async def test_the_good_samples_work_as_they_are_typed(masc_app: AppFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SAMPLES)
    notes, answers = importlib.import_module("good_category"), importlib.import_module("good_class").plugin
    async with masc_app(("notes", notes), ("answers", answers)) as app:
        ada = await app.agent("ada")
        note = (await ada.call("note_add", title="Remember"))["note"]
        assert (await ada.call("note_get", note_id=note["id"]))["note"]["title"] == "Remember"
        task = (await ada.call("masc_add_task", title="Fix login"))["task"]["id"]
        await ada.call("masc_claim", task_id=task)
        assert await ada.call("answer_get") == {"answer": 1}
        collected = await ada.call("masc_gc", dry_run=True)
        assert collected["archived"]["answers"] == 1
