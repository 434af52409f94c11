"""The benchmarks run; their figures are for people and machines that are quiet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def run(script: str, *options: str) -> str:
    """What a benchmark prints."""
    command = [sys.executable, str(BENCHMARKS / script), *options]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=100).stdout


@pytest.mark.parametrize(
    "script",
    [
        "latency.py",
        "startup.py",
        "claims.py",
        "wakeup.py",
        "scale.py",
        "budgets.py",
        "scale_claims.py",
        "guards.py",
        "faults.py",
        "token_costs.py",
        "split.py",
    ],
)
def test_a_benchmark_says_what_it_measures(script: str) -> None:
    assert "--json" in run(script, "--help")


def test_two_servers_claim_every_task_once() -> None:
    (race,) = json.loads(run("claims.py", "--servers", "2", "--tasks", "6", "--races", "1", "--json"))
    assert (race["claimed"], race["twice"]) == (6, 0)


def test_processes_on_every_store_claim_every_task_once() -> None:
    rows = json.loads(run("scale_claims.py", "--processes", "4", "--tasks", "4", "--json"))
    assert all((row["claimed"], row["twice"], row["gaps"]) == (4, 0, "none") for row in rows)


def test_the_start_is_measured_beside_the_bare_sdk() -> None:
    rows = json.loads(run("startup.py", "--runs", "1", "--json"))
    assert [row["first"] for row in rows] == ["initialize", "call"]
    assert all(row["ms_ratio"] > 0 and row["rss_ratio"] > 0 for row in rows)


def test_every_listener_is_woken() -> None:
    rows = json.loads(run("wakeup.py", "--tries", "1", "--json"))
    assert [row["tries"] for row in rows] == [1, 1, 1]


def test_calls_are_measured_at_each_size() -> None:
    rows = json.loads(run("scale.py", "--sizes", "100,200", "--calls", "1", "--json"))
    assert all(row["100_us"] > 0 and row["200_us"] > 0 for row in rows)
    measured = {row["call"].partition(" ")[0].rstrip(",") for row in rows}
    categories = ("portal", "voting", "discovery", "interrupt", "cost")
    schemas = Path(__file__).parent.parent / "schemas"
    missing = {file.stem for category in categories for file in (schemas / category).glob("*.json")} - measured
    assert not missing


def test_calls_in_a_row_are_measured_beside_a_bare_commit() -> None:
    rows = json.loads(run("budgets.py", "--size", "100", "--calls", "1", "--json"))
    assert all(row["p50_us"] > 0 for row in rows)
    assert rows[-1]["call"] == "commit of one row"
    assert {row["budget"] for row in rows[:-1]} <= {"kept", "over"}


def test_what_guards_cost_is_measured_beside_none() -> None:
    rows = json.loads(run("guards.py", "--calls", "1", "--json"))
    assert all(row["guards_on_us"] > 0 and row["off_us"] > 0 for row in rows)


def test_the_time_of_a_call_is_split(tmp_path: Path) -> None:
    rows = json.loads(run("split.py", "--calls", "3", "--json", "--plot", str(tmp_path / "split.png")))
    assert [(row["over"], row["call"]) for row in rows][::2] == [
        ("stdio 2026-07-28", "read"), ("stdio 2025-11-25", "read"), ("http 2026-07-28", "read"), ("http 2025-11-25", "read")
    ]  # fmt: skip
    for row in rows:
        assert all(row[part] > 0 for part in ("total", "store: read", "guards", "handler", "kernel", "SDK"))
        assert (row["store: write"] > 0) is (row["call"] == "write")
    assert (tmp_path / "split.png").read_bytes().startswith(b"\x89PNG")


def test_killed_servers_lose_nothing_that_clients_were_told() -> None:
    (report,) = json.loads(run("faults.py", "--only", "kill", "--cycles", "2", "--seconds", "5", "--json"))
    assert (report["violations"], report["skipped"]) == ([], None)
    assert report["cycles"] >= 1
    assert report["ok"] > 0


def test_servers_that_are_not_up_in_time_are_reported() -> None:
    command = [sys.executable, str(BENCHMARKS / "faults.py"), "--only", "kill", "--cycles", "1", "--json"]
    impatient = {**os.environ, "FAULTS_PATIENCE": "0.0001"}
    ended = subprocess.run(command, env=impatient, capture_output=True, text=True, check=False, timeout=100)
    (report,) = json.loads(ended.stdout)
    assert (ended.returncode, report["cycles"]) == (1, 0)
    assert [found["rule"] for found in report["violations"]] == ["the fault passes and all are served again"]


def test_a_fault_that_a_store_cannot_have_is_named() -> None:
    (report,) = json.loads(run("faults.py", "--only", "database", "--json"))
    assert report["skipped"] == "sqlite has no server of its own"


def test_lists_and_results_are_priced() -> None:
    rows = {row["mode"]: row for row in json.loads(run("token_costs.py", "--runs", "1", "--json"))}
    assert rows["lean"]["tokens"] < rows["minimal"]["tokens"] < rows["standard"]["tokens"] < rows["full"]["tokens"]
    results = json.loads(run("token_costs.py", "--results", "--json"))
    assert all(0 < row["text"] <= row["structured"] for row in results)
