"""masc bench and Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Callable

import orjson
import pytest
from bench_support import ECHO
from click.testing import CliRunner, Result

from masc_core.cli import main


class Impatient:
    """In place of the progress bar: presses Ctrl-C in the part that is named, once so many calls of it are done."""

    def __init__(self, part: str, after: int) -> None:
        self._part, self._left = part, after

    def __enter__(self) -> Impatient:
        return self

    def __exit__(self, *_: object) -> None: ...

    def begin(self, what: str, total: int | None) -> Callable[[int], None]:
        def tick(calls: int) -> None:
            before = self._left
            self._left -= calls if what == self._part else 0
            if before > 0 >= self._left:
                signal.raise_signal(signal.SIGINT)

        return tick


def bench(monkeypatch: pytest.MonkeyPatch, impatient: Impatient) -> Result:
    monkeypatch.setattr("masc_core.bench.report.Bar", lambda: impatient)
    options = ("--stdio", ECHO, "--tool", "echo", "--arguments", '{"text": "hi"}', "--calls", "100000", "--json")
    return CliRunner().invoke(main, ["bench", *options])


def test_what_was_measured_until_ctrl_c_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = bench(monkeypatch, Impatient("1 client", 60))
    found = orjson.loads(ran.stdout)
    assert (ran.exit_code, found["stopped"]) == (1, "interrupted")
    assert 0 < sum(row["calls"] for row in found["levels"][0]["operations"][0]["servers"]) < 100_000


def test_ctrl_c_before_anything_was_measured_only_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = bench(monkeypatch, Impatient("connecting", 1))
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert "Aborted" in ran.stderr
