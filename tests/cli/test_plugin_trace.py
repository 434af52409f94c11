"""masc plugins trace: which hooks a call fires, and no secret among them."""

from __future__ import annotations

from pathlib import Path

import orjson
from cli_support import masc
from plugin_packages import HEAD, place

SECRET = "5ec2e7" * 10 + "abcd"
NOSY = (
    HEAD
    + f"""
@hookimpl
async def masc_before_call(ctx):
    return {{"token": "{SECRET}", "note": "seen {SECRET}", "password": "hunter2", "tool": ctx.call.tool.name}}
"""
)
SHAKY = (
    HEAD
    + """
@hookimpl
async def masc_task_ended(ctx, task):
    raise ValueError("shaky breaks")
"""
)


def test_a_claim_shows_its_hooks_with_arguments_and_results_and_masks_secrets(project: Path, tmp_path: Path) -> None:
    place(tmp_path / "site", NOSY, category="nosy", group="masc.guards")
    place(tmp_path / "site", SHAKY, category="shaky")
    environment = {"PYTHONPATH": str(tmp_path / "site")}
    arguments = orjson.dumps({"title": f"Fix login with {SECRET}"}).decode()
    added = masc(project, "plugins", "trace", "masc_add_task", arguments, "--agent", "ada", env=environment)
    assert added.status == 0, added
    assert 'masc_redact(ctx="<masc_add_task by ada>", arguments={"title":"…"}' in added.out
    assert added.out.endswith("masc_add_task: done\n")
    claim = ["plugins", "trace", "masc_claim", '{"task_id": "task-001"}', "--agent", "ada"]
    claimed = masc(project, *claim, "--json", env=environment)
    assert SECRET not in added.out + claimed.out
    assert "hunter2" not in claimed.out
    (seen,) = (call for call in claimed.json["hooks"] if call["plugin"] == "guard:nosy")
    assert (seen["hook"], seen["error"]) == ("masc_before_call", None)
    assert seen["result"] == {"token": "…", "note": "seen …", "password": "…", "tool": "masc_claim"}
    assert seen["ms"] >= 0
    assert claimed.json["outcome"] == "done"
    assert all(call["error"] is None for call in claimed.json["hooks"])
    release = '{"task_id": "task-001", "action": "release"}'
    ran = masc(project, "plugins", "trace", "masc_transition", release, "--agent", "ada", env=environment)
    assert "-> raised hook masc_task_ended failed: ValueError('shaky breaks')" in ran.out
    assert ran.out.endswith("masc_transition: done\n")
    names = [call["hook"] for call in claimed.json["hooks"]]
    assert names.index("masc_authenticate") < names.index("masc_before_call") < names.index("masc_in_commit")


def test_a_refusal_is_told_by_its_code_and_a_room_can_be_opened_alone(project: Path) -> None:
    masc(project, "call", "masc_init", "{}")
    refused = masc(project, "plugins", "trace", "masc_claim", '{"task_id": "task-9"}', "--agent", "ada")
    assert (refused.status, refused.err) == (0, "")
    assert "masc_call_failed(" in refused.out
    assert 'error="task_not_found"' in refused.out
    assert refused.out.endswith("masc_claim: refused with task_not_found\n")
    opened = masc(project, "plugins", "trace")
    assert "masc_store(" in opened.out
    assert masc(project, "plugins", "trace", "masc_claim", "[]").status == 2
