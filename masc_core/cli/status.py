"""``masc status``: the room at a glance."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from masc_core.cli._common import agent_option, checked_agent, common, console, open_kernel, print_json, run, succeed
from masc_core.cli._group import MascCommand
from masc_core.render import printable

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["status"]

Status = Mapping[str, Any]


@click.command(cls=MascCommand)
@agent_option("Also show what waits for this agent.")
@common
def status(agent: str | None, project: str | None, as_json: bool) -> None:
    """Show who is in the room, who does what, which files are locked.

    It is what masc_status tells an agent. Looking changes nothing; without a room it says so and exits with status 0.
    """
    found = run(_status(project, checked_agent(agent)))
    if as_json:
        print_json(found)
    else:
        _show(found)


async def _status(project: str | None, agent: str | None) -> Status:
    from masc_core.kernel import local_client

    async with open_kernel(project) as kernel:
        found = succeed(await kernel.call("masc_status", {}, local_client(agent))).structured
        if not found["initialised"]:
            return found
        started = time.perf_counter()
        await kernel.room_record()
        return {**found, "round_trip_ms": round((time.perf_counter() - started) * 1000, 3)}


def _show(found: Status) -> None:
    out = console()
    if not found["initialised"]:
        out.print(
            f"No room at {printable(found['path'])} yet; the first writing call or masc_init makes it.", markup=False
        )
        return
    store = f"{found['backend']} ({found['round_trip_ms']:.2f} ms)"
    out.print(f"{printable(found['path'])}  {store}  mode {found['mode']}", style="bold", markup=False)
    if found.get("paused"):
        reason = printable(found.get("pause_reason") or "no reason given")
        out.print(f"paused: {reason}", style="yellow", markup=False)
    for table in (_agents(found), _tasks(found), _locks(found)):
        if table.row_count:
            out.print(table)
    out.print(_footer(found), markup=False)


def _table(*columns: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column)
    return table


def _row(table: Table, *values: object) -> None:
    from rich.text import Text

    table.add_row(*(Text(printable(str(value))) for value in values))


def _agents(found: Status) -> Table:
    table = _table("agent", "status", "task")
    for agent in found["agents"]:
        _row(table, agent["name"], agent["status"], agent.get("current_task", ""))
    return table


def _tasks(found: Status) -> Table:
    table = _table("task", "status", "p", "assignee", "title")
    for task in found["tasks"]:
        _row(table, task["id"], task["status"], task["priority"], task.get("assignee", ""), task["title"])
    return table


def _locks(found: Status) -> Table:
    table = _table("locked file", "by", "until")
    for lock in found["locks"]["files"]:
        _row(table, lock["file_path"], lock["locked_by"], lock["expires_at"])
    return table


def _footer(found: Status) -> str:
    counts = ", ".join(f"{n} {state}" for state, n in sorted(found["tasks_by_status"].items())) or "none"
    parts = [f"agents: {found['agents_total']}", f"tasks: {counts}", f"messages: {found['messages']['total']}"]
    if unread := found.get("unread"):
        parts.append(f"unread mentions of {found['caller']}: {unread['mentions']}")
    if left_out := [f"{n} {what}" for what, n in found["more"].items() if what in {"agents", "tasks", "locks"} and n]:
        parts.append(f"not shown: {', '.join(left_out)}")
    return "  ".join(parts)
