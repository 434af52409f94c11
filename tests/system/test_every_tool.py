"""Every advertised tool is called through a real client, with the examples of its contract (acceptance 3 of model.md)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any, Literal

import pytest
from masc_forking import launcher
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from masc_core.plugins import Registry
from masc_core.testing.limits import lift_limits

COMMON = frozenset(
    "invalid_argument invalid_agent_name agent_name_required ambiguous_agent payload_too_large not_initialised "
    "tool_not_enabled unauthorized invalid_token token_expired forbidden rate_limited encryption_key_missing "
    "record_unreadable storage_unavailable storage_busy shutting_down".split()
)
"""What every tool may answer; internal_error is left out on purpose."""
LAST = ("masc_auth_enable", "masc_encryption_enable")
"""They change what the others may do."""


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_each_example_gives_a_result_or_a_declared_error(
    tmp_path: Path, registry: Registry, era: Literal["auto", "legacy"]
) -> None:
    for command in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x", "--allow-empty"],
    ):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    lift_limits(tmp_path)
    command = [*launcher(), "serve", "--stdio", "--mode", "full", "--project", str(tmp_path)]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MASC_") and k != "ME_ROOT"}
    server = StdioServerParameters(command=command[0], args=command[1:], env=clean, cwd=tmp_path)
    undeclared: list[tuple[str, Any, str]] = []
    called = set()
    async with Client(stdio_client(server), mode=era) as client:
        listed = [tool.name for tool in (await client.list_tools()).tools]
        for name in sorted(listed, key=lambda name: name in LAST):
            tool = registry.contracts[name].tool
            allowed = COMMON | {error.code for error in registry.contracts[name].errors}
            for example in tool.examples:
                arguments = dict(example)
                if tool.caller.value != "none":
                    arguments.setdefault(tool.caller_field, "claude")
                result = await client.call_tool(name, arguments)
                code = (result.structured_content or {}).get("error", {}).get("code")
                called.add(name)
                if code is not None and code not in allowed:
                    undeclared.append((name, arguments, code))
    assert undeclared == []
    assert called == set(registry.contracts)
