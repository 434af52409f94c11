"""``masc plugins check``: whether a plugin keeps to the rules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from masc_core.cli._common import console, json_option, print_json
from masc_core.cli._group import MascCommand
from masc_core.errors import StartError
from masc_core.render import printable

if TYPE_CHECKING:
    from masc_core.authoring.check import Report
    from masc_core.authoring.package import Package

__all__ = ["check_plugin"]


@click.command("check", cls=MascCommand)
@click.argument("subject", metavar="PATH|DIST")
@click.option("--write", is_flag=True, help="Make the contract files in schemas/ say what the code says.")
@json_option
@click.pass_context
def check_plugin(ctx: click.Context, /, subject: str, write: bool, as_json: bool) -> None:
    """Examine the plugin whose sources are in the directory PATH, or the installed distribution DIST.

    It looks at the package, contracts, examples, effects, descriptions, token cost, taken names and documents; tools that
    reach nothing outside are called with their examples in a room of their own. Sources are not installed: they run in
    another process, which may break. Exits with status 0 without findings, 1 with some, 2 when there is nothing to
    examine.
    """
    from masc_core.authoring.check import check

    package = _subject(subject)
    if write and package.root is None:
        raise click.UsageError(f"--write needs the directory of the sources; {subject} is an installed distribution")
    report = check(package, write=write)
    if as_json:
        from masc_core.convert import unstructure

        print_json(unstructure(report))
    else:
        _show(report)
    if report.findings:
        ctx.exit(1)


def _subject(subject: str) -> Package:
    from masc_core.authoring.package import installed, sources

    try:
        return sources(Path(subject)) if Path(subject).is_dir() else installed(subject)
    except StartError as error:
        raise click.BadParameter(str(error), param_hint="PATH|DIST") from error


def _show(report: Report) -> None:
    out = console()
    for file in report.written:
        out.print(printable(f"wrote schemas/{file}"), markup=False)
    for finding in report.findings:
        text = printable(f"{finding.rule} {finding.where}: {finding.what}")
        out.print(text, style="red", markup=False, soft_wrap=True)
        out.print(printable(f"  to mend it: {finding.mend}"), markup=False, soft_wrap=True)
    added = [f"{plugin['kind']} {plugin['name']}" for plugin in report.plugins]
    tokens = sum(tool["tokens"] for tool in report.tools)
    sums = f"{_count(len(report.tools), 'tool')}, about {tokens} tokens" if report.tools else "no tools"
    verdict = _count(len(report.findings), "finding") if report.findings else "no findings"
    style = "red" if report.findings else "green"
    out.print(
        printable(f"{report.name} {report.version}: {', '.join(added) or 'nothing loaded'}, {sums}, {verdict}"),
        style=style,
        markup=False,
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
