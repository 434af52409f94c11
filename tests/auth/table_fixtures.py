"""Tells at the end of a run what the table of tools, roles and credentials came to."""

from __future__ import annotations

from collections import Counter

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for all cells, wherever they were tried."""
    reports = [r for outcome in ("passed", "failed") for r in terminalreporter.getreports(outcome)]
    found = [value for report in reports for name, value in report.user_properties if name == "credential table"]
    if not found:
        return
    cells: Counter[str] = Counter()
    for part in found:
        cells[part["over"]] += part["cells"]
    wrong = sum(part["wrong"] for part in found)
    result = f"{wrong} NOT as specified" if wrong else "all as specified"
    over = ", ".join(f"{name} {count}" for name, count in sorted(cells.items()))
    terminalreporter.write_line(f"credential table: {cells.total()} cells over {over}: {result}")
