"""The acceptance examples of the specification."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from audit_support import Raw, calls, fault, log, told, verified

from masc_core import Context, hookimpl
from masc_core.context import Caller
from masc_core.contracts import Contract
from masc_core.errors import Forbidden
from masc_core.frozen import evolve
from masc_core.plugins import Registry
from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app
from masc_core.tools import ADMIN, WORKER
from masc_plugin_audit.chain import Head
from masc_plugin_audit.verifying import Anchor

MARKER = "hunter2MARKER"
SECRET = "ghp_" + "q7" * 18


@pytest.fixture
async def hundred(tmp_path: Path, clock: ManualClock, registry: Registry) -> AsyncIterator[MascApp]:
    """A room on SQLite after 100 calls."""
    async with masc_app(tmp_path, backend="sqlite", clock=clock, registry=registry) as app:
        for number in range(100):
            await app.call("masc_add_task", "claude", title=f"t{number}")
        yield app


async def test_1_an_altered_entry_is_found_at_its_number(hundred: MascApp, tmp_path: Path) -> None:
    assert len(await calls(hundred)) == 100
    assert await fault(hundred) is None
    Raw(tmp_path).change(57, actor="gemini")
    assert await fault(hundred) == (57, "hash")


async def test_1_a_removed_entry_is_found_at_its_number(hundred: MascApp, tmp_path: Path) -> None:
    Raw(tmp_path).remove(57, 57)
    assert await fault(hundred) == (57, "gap")


async def test_1_reordered_entries_are_found_at_the_first(hundred: MascApp, tmp_path: Path) -> None:
    raw = Raw(tmp_path)
    one, other = raw.body(57), raw.body(60)
    raw.write(57, other)
    raw.write(60, one)
    assert await fault(hundred) == (57, "hash")


async def test_2_a_cut_off_end_is_found_with_an_anchor_only(hundred: MascApp, tmp_path: Path) -> None:
    head = (await verified(hundred)).head
    Raw(tmp_path).remove(head.seq - 4, head.seq)
    found = await verified(hundred)
    assert found.head.seq == head.seq - 5
    assert "the end was cut off" in found.warnings[0]  # the store still counts them, whoever cuts well changes that too
    Raw(tmp_path).set_last(head.seq - 5)
    assert (await verified(hundred)).warnings == []
    assert await fault(hundred, Anchor(head)) == (head.seq - 4, "truncated")


def _filled(contract: Contract) -> dict[str, Any]:
    """The contract's example with the marker in every free text."""
    arguments = dict(contract.tool.examples[-1])
    for name, schema in contract.input["properties"].items():
        if schema.get("type") == "string" and not {"enum", "pattern"} & schema.keys():
            arguments[name] = f"{MARKER} {SECRET}"
        elif schema.get("type") == "array" and not {"enum", "pattern"} & schema["items"].keys():
            arguments[name] = [f"{MARKER}-1", SECRET]
        elif schema.get("type") == "object":
            arguments[name] = {MARKER: SECRET}
    return arguments


async def test_3_no_tool_leaves_a_secret_or_a_text_in_the_log(masc: MascApp, registry: Registry) -> None:
    await masc.call("masc_init")
    await masc.call("masc_add_task", "claude", title=f"{MARKER} one", description=f"{MARKER} {SECRET}")
    for name, contract in registry.contracts.items():
        if name in {"masc_reset", "masc_listen"}:  # the one empties the room, the other waits
            continue
        # As it is, and with each text that is no text here (a path, a mode) left at the example, so that it succeeds.
        for arguments in (_filled(contract), {**_filled(contract), **contract.tool.examples[-1]}):
            if contract.tool.caller.value != "none":
                arguments[contract.tool.caller_field] = "claude"
            await masc.kernel.call(name, arguments, masc.client())
    await masc.call("masc_broadcast", "claude", message=f"{MARKER} @gemini {SECRET}")
    await masc.call("masc_claim", "claude", task_id=SECRET)
    entries = await log(masc)
    assert len({entry["tool"] for entry in entries}) > 15
    assert MARKER not in json.dumps(entries)
    assert SECRET not in json.dumps(entries)


class Gate:
    """Stands for the auth guard: a worker's token, and what it may not do."""

    @hookimpl
    async def masc_authenticate(self, ctx: Context) -> dict[str, Any] | None:
        return {"caller": Caller("gemini", WORKER, "token")} if ctx.call.client.token else None

    @hookimpl
    async def masc_before_call(self, ctx: Context) -> None:
        if ctx.caller.auth == "token" and ctx.call.tool.role is ADMIN:
            raise Forbidden(
                agent=ctx.actor, action=ctx.call.tool.name, required_role="admin", role="worker", reason="role"
            )


async def test_4_a_refused_gc_is_in_the_log(tmp_path: Path, clock: ManualClock) -> None:
    async with masc_app(tmp_path, backend="sqlite", clock=clock, extra=[("guard:gate", Gate())]) as app:
        await app.call("masc_init")
        client = evolve(app.client(), token="t")
        outcome = await app.outcome("masc_gc", client, days=3)
        assert outcome.error is not None and outcome.error.code == "forbidden"
        entry = (await calls(app))[-1]
        assert (entry["tool"], entry["outcome"], entry["actor"]) == ("masc_gc", "forbidden", "gemini")
        assert (entry["role"], entry["auth"]) == ("worker", "token")
        assert entry["details"] == {
            "arguments": {"days": 3},
            "error": {"required_role": "admin", "role": "worker", "reason": "role"},
        }
        assert await told(app) == [("masc_init", "ok"), ("masc_gc", "forbidden")]


async def test_5_eight_processes_writing_at_once_leave_one_line(tmp_path: Path) -> None:
    async with masc_app(tmp_path, backend="sqlite") as app:
        await app.call("masc_init")
    worker = Path(__file__).with_name("audit_worker.py")
    command = [sys.executable, str(worker), str(tmp_path)]
    running = [subprocess.Popen([*command, f"agent-{n}", "25"]) for n in range(8)]
    assert [process.wait(100) for process in running] == [0] * 8
    async with masc_app(tmp_path, backend="sqlite") as app:
        found = await verified(app)
        entries = await log(app)
        assert found.head == Head(len(entries), entries[-1]["hash"])
        assert len({entry["prev"] for entry in entries}) == len(entries)
        added = [entry for entry in entries if entry["tool"] == "masc_add_task"]
        assert len(added) == 8 * 25
        assert sorted(entry["subject"] for entry in added) == sorted(f"task-{n:03d}" for n in range(1, 201))
