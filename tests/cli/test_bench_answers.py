"""masc bench where answers are errors that the client has too, or do not come."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from bench_support import bad_server, http_that_hangs
from cli_support import masc
from mcp.client.session import DISCOVER_TIMEOUT_SECONDS
from mcp.client.stdio import StdioServerParameters

from masc_core.bench.servers import BenchFailed, Target, connect


@pytest.mark.parametrize("code", ["-32000", "-32001"])
def test_errors_that_the_client_has_too_are_counted_where_a_server_sends_them(
    project: Path, tmp_path: Path, code: str
) -> None:
    ran = masc(project, "bench", "--stdio", bad_server(tmp_path, code), "--calls", "20", "--warm-up", "0", "--json")
    (row,) = ran.json["levels"][0]["operations"][-1]["servers"]
    assert (row["calls"], row["errors"]) == (19, {f"error {code}: Connection closed": 1})
    assert (ran.status, ran.json["errors"], "stopped" in ran.json) == (1, 1, False)


@contextmanager
def sooner_than_the_sdk() -> Iterator[anyio.CancelScope]:
    """It takes less than the shortest time that the SDK waits by itself; the others are minutes."""
    with anyio.fail_after(DISCOVER_TIMEOUT_SECONDS) as limit:
        yield limit


@pytest.mark.parametrize("over", ["stdio", "http"])
@pytest.mark.parametrize(("era", "hint"), [("auto", ", --era legacy leaves server/discover out"), ("legacy", "")])
async def test_a_silent_server_is_given_up_when_time_is_up(tmp_path: Path, over: str, era: str, hint: str) -> None:
    command, *arguments = shlex.split(bad_server(tmp_path, "mute"))
    with http_that_hangs("everything") as url, sooner_than_the_sdk():
        target = Target(url if over == "http" else StdioServerParameters(command=command, args=arguments))
        with pytest.raises(BenchFailed) as failed:
            await connect(target, era, 0.5).__aenter__()
    assert str(failed.value) == f"{target.shown} did not answer within 0.5 s; --timeout gives it longer{hint}"


async def test_who_is_connected_has_no_time_limit() -> None:
    with http_that_hangs("nothing") as url, sooner_than_the_sdk() as limit:
        async with connect(Target(url), "legacy", 5):
            assert anyio.current_effective_deadline() == limit.deadline


async def test_a_server_that_takes_no_further_request_is_given_up() -> None:
    with http_that_hangs("notifications") as url, sooner_than_the_sdk(), pytest.raises(BenchFailed) as failed:
        async with connect(Target(url), "legacy", 3) as client:
            await client.list_tools()
    assert str(failed.value) == f"{url} took no request for 3 s; --timeout gives it longer"


async def test_the_end_of_a_session_is_not_waited_for_longer_than_an_answer() -> None:
    with http_that_hangs("DELETE") as url, sooner_than_the_sdk():
        async with connect(Target(url), "legacy", 3) as client:
            assert (await client.list_tools()).tools == []
