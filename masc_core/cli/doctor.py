"""``masc doctor``: what is wrong, and how to mend it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from masc_core.cli._common import common, console, print_json, run
from masc_core.cli._group import MascCommand
from masc_core.render import printable

if TYPE_CHECKING:
    from masc_core.doctor.findings import Report

__all__ = ["doctor"]

_SHOWN = (
    "masc",
    "python",
    "git",
    "base",
    "store",
    "cluster",
    "schema",
    "round_trip_ms",
    "clock_difference_s",
    "audit_head",
)


@click.command(cls=MascCommand)
@click.option("--fix", is_flag=True, help="Mend what can be mended without a loss.")
@common
@click.pass_context
def doctor(ctx: click.Context, /, fix: bool, project: str | None, as_json: bool) -> None:
    """Look for what is wrong with the room, its store and this machine, and say how to mend it.

    It looks at Python, packages, plugins, git and settings, at the modes of files and the free space, at the store, its
    schema, speed and clock, at leases, worktrees and encryption that was left half done, and follows the audit log. Exits with
    status 0 when all is well, or is by now, and 1 when something is wrong.
    """
    report = run(_examine(project, fix))
    if as_json:
        from masc_core.convert import unstructure

        print_json({"ok": report.ok, "facts": report.facts, "findings": [unstructure(f) for f in report.findings]})
    else:
        _show(report)
    if not report.ok:
        ctx.exit(1)


async def _examine(project: str | None, fix: bool) -> Report:
    from masc_core.doctor.examination import examine
    from masc_core.rooms import find_base

    return await examine(find_base(project), fix=fix)


def _show(report: Report) -> None:
    out = console()
    for name in _SHOWN:
        if name in report.facts:
            out.print(f"{name.replace('_', ' ')}: {printable(str(report.facts[name]))}", markup=False)
    for found in report.findings:
        style = "green" if found.fixed else "red" if found.severity == "error" else "yellow"
        state = "mended" if found.fixed else found.severity
        out.print(f"{state} {found.code}: {printable(found.what)}", style=style, markup=False)
        if not found.fixed:
            out.print(f"  to mend it: {printable(found.mend)}", markup=False)
    if report.ok:
        out.print("all is well", style="green")
