"""``masc checkpoint``: what waits for a person's decision, and checkpoints to go on from."""

from __future__ import annotations

import re
from typing import IO

import click

from masc_core.commands import MascCommand, call_as_person, common, read_object, run

__all__ = ["checkpoint"]

_ID = re.compile(r"cp-([A-Za-z0-9_:-]+)-[0-9]+-[0-9]+\Z")


def _checked_id(_: click.Context, __: click.Parameter, value: str) -> str:
    if not _ID.match(value):
        raise click.BadParameter(
            f"{value!r} is no checkpoint id, such as cp-task-001-3-1; masc checkpoint pending lists them"
        )
    return value


def _task_of(checkpoint_id: str) -> str:
    found = _ID.match(checkpoint_id)
    assert found is not None
    return found[1]


_id_argument = click.argument("checkpoint_id", metavar="ID", callback=_checked_id)
_task_option = click.option("--task", "task_id", metavar="TASK", required=True, help="The task.")
_step = click.IntRange(1, 1_000_000)


@click.group()
def checkpoint() -> None:
    """Decide what agents ask for, and keep checkpoints of a task's steps.

    \b
    masc checkpoint pending                        what waits for a decision
    masc checkpoint approve ID --comment "go on"   let the agent do it
    masc checkpoint reject ID --reason "not now"   do not let it
    """


@checkpoint.command(cls=MascCommand)
@click.option("--task", "task_id", metavar="TASK", help="Of this task only.")
@click.option("--resolved", is_flag=True, help="Add the 20 that were decided last.")
@common
def pending(task_id: str | None, resolved: bool, project: str | None, as_json: bool) -> None:
    """List open interrupts: escalated ones first, then the oldest first."""
    from masc_plugin_interrupt.local import masc_checkpoint_pending

    arguments = {"task_id": task_id, "include_resolved": resolved}
    run(call_as_person(project, masc_checkpoint_pending, arguments, as_json))


@checkpoint.command(cls=MascCommand)
@_id_argument
@common
def show(checkpoint_id: str, project: str | None, as_json: bool) -> None:
    """Show a checkpoint, its message and its states."""
    from masc_plugin_interrupt.local import masc_checkpoint_show

    run(call_as_person(project, masc_checkpoint_show, {"checkpoint_id": checkpoint_id}, as_json))


@checkpoint.command(cls=MascCommand)
@_id_argument
@click.option("--comment", metavar="TEXT", help="Told to the agent.")
@click.option("--edit-state", type=click.File("r"), help="A JSON object that replaces the state; - is standard input.")
@common
def approve(
    checkpoint_id: str, comment: str | None, edit_state: IO[str] | None, project: str | None, as_json: bool
) -> None:
    """Approve an open interrupt. The agent that waits for it goes on within a second."""
    arguments = {
        "task_id": _task_of(checkpoint_id),
        "checkpoint_id": checkpoint_id,
        "comment": comment,
        "edited_state": read_object("--edit-state", edit_state),
    }
    run(call_as_person(project, "masc_approve", arguments, as_json))


@checkpoint.command(cls=MascCommand)
@_id_argument
@click.option("--reason", metavar="TEXT", help="Told to the agent.")
@common
def reject(checkpoint_id: str, reason: str | None, project: str | None, as_json: bool) -> None:
    """Reject an open interrupt."""
    arguments = {"task_id": _task_of(checkpoint_id), "checkpoint_id": checkpoint_id, "reason": reason}
    run(call_as_person(project, "masc_reject", arguments, as_json))


@checkpoint.command(cls=MascCommand)
@_task_option
@click.option("--step", type=_step, required=True, help="Which step of the task it is.")
@click.option("--action", metavar="TEXT", required=True, help="What is to be done in this step.")
@click.option("--total-steps", type=click.IntRange(1), help="How many steps the task has.")
@click.option("--state", type=click.File("r"), help="A JSON object to go on from; - is standard input.")
@common
def save(
    task_id: str,
    step: int,
    action: str,
    total_steps: int | None,
    state: IO[str] | None,
    project: str | None,
    as_json: bool,
) -> None:
    """Save a checkpoint. What is in progress at earlier steps of the task is completed by it."""
    from masc_plugin_interrupt.local import masc_checkpoint_save

    arguments = {
        "task_id": task_id,
        "step": step,
        "action": action,
        "total_steps": total_steps,
        "state": read_object("--state", state),
    }
    run(call_as_person(project, masc_checkpoint_save, arguments, as_json))


@checkpoint.command(cls=MascCommand)
@_id_argument
@common
def resume(checkpoint_id: str, project: str | None, as_json: bool) -> None:
    """Take up a pending checkpoint: it is in progress then, and its state is printed."""
    from masc_plugin_interrupt.local import masc_checkpoint_resume

    run(call_as_person(project, masc_checkpoint_resume, {"checkpoint_id": checkpoint_id}, as_json))


@checkpoint.command(cls=MascCommand)
@_task_option
@click.option("--step", type=_step, required=True, help="The step to leave from; its newest checkpoint counts.")
@click.option("--name", required=True, metavar="TEXT", help="The branch's name.")
@common
def branch(task_id: str, step: int, name: str, project: str | None, as_json: bool) -> None:
    """Go another way from an earlier step: make a pending checkpoint with its state."""
    arguments = {"task_id": task_id, "source_step": step, "branch_name": name}
    run(call_as_person(project, "masc_branch", arguments, as_json))


@checkpoint.command(cls=MascCommand)
@_task_option
@click.option("--to", "to_step", type=click.IntRange(0, 1_000_000), required=True, help="The last step that stays.")
@common
def revert(task_id: str, to_step: int, project: str | None, as_json: bool) -> None:
    """Mark a task's checkpoints after a step as reverted. Open interrupts stay open."""
    from masc_plugin_interrupt.local import masc_checkpoint_revert

    run(call_as_person(project, masc_checkpoint_revert, {"task_id": task_id, "to_step": to_step}, as_json))
