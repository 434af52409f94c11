"""masc demo, as a newcomer runs it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import psutil
from cli_support import masc

from masc_core.demo.report import Report


def test_the_demo_keeps_its_promises_and_leaves_nothing(tmp_path: Path) -> None:
    ran = masc(tmp_path, "demo", env={"TMPDIR": str(tmp_path)})
    assert ran.status == 0, ran.out + ran.err
    assert ran.err == ""
    assert re.search(r"^(\d\d) of \1 promises kept$", ran.out, re.MULTILINE)
    assert "BROKEN" not in ran.out
    assert "\x1b" not in ran.out
    assert list(tmp_path.iterdir()) == []
    here = str(tmp_path)
    assert not [p for p in psutil.process_iter(["cmdline"]) if here in " ".join(p.info["cmdline"] or [])]


def test_the_demo_for_programs(tmp_path: Path) -> None:
    ran = masc(tmp_path, "demo", "--json", "--keep", env={"TMPDIR": str(tmp_path), "MASC_MODE": "solo"})
    assert ran.status == 0, ran.out + ran.err
    report = ran.json
    assert report["kept"] is True
    assert {row["name"] for row in report["calls"]} >= {"all over http", "all over stdio", "masc_claim"}
    assert {mode["mode"] for mode in report["modes"]} == {"minimal", "solo", "standard", "parallel", "full", "lean"}
    log = subprocess.run(["git", "log", "--oneline"], cwd=report["project"], capture_output=True, text=True, check=True)
    assert len(log.stdout.splitlines()) >= 3


def test_a_broken_promise_fails_the_demo() -> None:
    report = Report()
    assert not report.kept
    report.check("a task is claimed once", True, "task-001")
    assert report.kept
    report.check("no work is lost", False, "main lacks a change")
    assert not report.kept
