"""Break things under load, and check afterwards that nothing was lost, doubled or decided twice.

``python benchmarks/faults.py [--store sqlite] [--sealed] [--only kill] [--cycles 20] [--seconds 60] [--seed 1] [--json]``

For every fault, on every store asked for, a new room is served by real servers to real MCP clients, which claim and
finish tasks, lock, talk and vote as fast as they are answered, while the fault strikes again and again. Each client keeps
a history: what it asked, when, and what it was told or that it was told nothing. Then a process that knows nothing of
this reads the room, and the histories are checked against it and against each other. The seed decides what clients do and
when faults strike; how the processes interleave is up to the machine. Exit status 1 says that a rule was broken.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click
from attrs import asdict
from chaos.kinds import FAULTS
from chaos.run import Order, Report, carry_out
from chaos.stores import STORES, NotHere
from common import json_option, show

SHOWN = ("store", "fault", "cycles", "operations", "ok", "refused", "unknown", "seconds")


def run(order: Order) -> Report:
    """One fault on one store, or why not."""
    store = f"{order.store}{' sealed' if order.sealed else ''}"
    if order.store not in order.fault.stores:
        return Report(store, order.fault.name, skipped=f"{order.store} has no server of its own")
    try:
        return asyncio.run(carry_out(order))
    except NotHere as error:
        return Report(store, order.fault.name, skipped=str(error))


def print_report(reports: list[Report]) -> None:
    """A table, what was broken, and what was not run."""
    done = [report for report in reports if report.skipped is None]
    if done:
        show([{**{n: getattr(r, n) for n in SHOWN}, "violations": len(r.violations)} for r in done], as_json=False)
    for report in reports:
        for violation in report.violations:
            click.echo(f"VIOLATION {report.store} {report.fault}: {violation.rule}: {violation.text}")
        if report.skipped is not None:
            click.echo(f"skipped {report.store} {report.fault}: {report.skipped}")


@click.command(help=__doc__)
@click.option("--store", "stores", multiple=True, default=["sqlite"], show_default=True, type=click.Choice([*STORES]))
@click.option("--sealed", is_flag=True, help="Seal the rooms with AES-256-GCM.")
@click.option(
    "--only", "faults", multiple=True, type=click.Choice([*FAULTS]), default=[*FAULTS], help="Faults; without it, all."
)
@click.option("--cycles", default=20, show_default=True, type=click.IntRange(1, 10_000), help="At most, of each fault.")
@click.option("--seconds", default=60.0, show_default=True, type=click.FloatRange(0.1, 86_400), help="For each fault.")
@click.option("--seed", default=1, show_default=True, help="Of all that is left to chance.")
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="Keep histories and logs here.")
@json_option
def main(stores: tuple[str, ...], faults: tuple[str, ...], as_json: bool, keep: Path | None, **given: Any) -> None:
    """Break, check, print, and fail when a rule was broken."""
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
    reports = []
    for store in dict.fromkeys(stores):
        for fault in dict.fromkeys(faults):
            reports.append(run(Order(fault=FAULTS[fault](), store=store, keep=keep, **given)))
            if not as_json:
                print_report(reports[-1:])
    if as_json:
        click.echo(show_json(reports))
    if any(report.violations for report in reports):
        raise SystemExit(1)


def show_json(reports: list[Report]) -> str:
    """All of it."""
    import json

    return json.dumps([asdict(report) for report in reports])


if __name__ == "__main__":
    main()
