"""masc bench against real servers: ours, the bare SDK's, and one that misbehaves."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
from bench_support import ECHO, bad_server, echo_over_http
from cli_support import Ran, masc
from click.testing import CliRunner
from masc_forking import launcher
from rich.console import Console

from masc_core.bench.engine import Lane
from masc_core.bench.plot import draw, new_figure
from masc_core.bench.report import as_dict, show
from masc_core.bench.run import Level, Measured
from masc_core.cli import main
from masc_core.errors import StartError
from masc_core.render import printable

FEW = ("--calls", "6", "--warm-up", "1")
ECHO_CALL = ("--tool", "echo", "--arguments", '{"text": "hi"}')


def report(ran: Ran) -> Any:
    """The JSON of a run in which every call succeeded."""
    assert (ran.status, ran.err) == (0, ""), ran
    return ran.json


def figures(found: Any, call: str, level: int = 0) -> Any:
    """What was measured of a call."""
    (operation,) = [o for o in found["levels"][level]["operations"] if o["call"] == call]
    return operation


def test_masc_is_measured_in_a_room_of_its_own(project: Path) -> None:
    found = report(masc(project, "bench", *FEW, "--clients", "1,2", "--json"))
    (server,) = found["servers"]
    assert server["transport"] == "stdio"
    assert [level["clients"] for level in found["levels"]] == [1, 2]
    (tool,) = server["calls"]
    assert tool["arguments"] == {}
    for level in (0, 1):
        bare, listing, called = found["levels"][level]["operations"]
        assert bare["call"] in ("server/discover", "ping")
        assert (listing["call"], called["call"]) == ("tools/list", tool["tool"])
        for operation in (bare, listing, called):
            (row,) = operation["servers"]
            assert row["calls"] == sum(b["calls"] for b in row["histogram"]) == 6
            assert 0 < row["min_ms"] <= row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"] <= row["max_ms"]
            assert row["calls_per_s"] > 0 and row["errors"] == {}
    assert not (project / ".masc").exists()


def test_the_project_that_is_named_is_measured(project: Path) -> None:
    masc(project, "call", "masc_add_task", '{"title": "Fix login"}')
    (project / ".masc/config.toml").write_text("[ratelimit]\nreads_per_minute = 4\nburst_allowed = 0\n")
    ran = masc(project, "bench", *FEW, "--project", str(project), "--json")
    assert ran.status == 1
    assert ran.json["errors"] > 0
    (row,) = ran.json["levels"][0]["operations"][-1]["servers"]
    assert any("rate_limited" in reason for reason in row["errors"])


@pytest.mark.parametrize(
    ("era", "version", "bare"), [("auto", "2026-07-28", "server/discover"), ("legacy", "2025-11-25", "ping")]
)
def test_two_servers_over_http_are_compared_in_either_era(project: Path, era: str, version: str, bare: str) -> None:
    with echo_over_http() as url:
        other = ("--compare", url, "--compare-tool", "echo", "--compare-arguments", '{"text": "hi"}')
        ours = ("--http", "--era", era, "--tool", "masc_tasks", "--arguments", '{"limit": 1}')
        found = report(masc(project, "bench", *FEW, *ours, *other, "--json"))
    assert [(s["transport"], s["protocol"]) for s in found["servers"]] == [("http", version)] * 2
    compared = figures(found, "masc_tasks / echo")
    ours_row, echo_row = compared["servers"]
    assert (ours_row["call"], echo_row["call"], echo_row["calls"]) == ("masc_tasks", "echo", 6)
    assert compared["ratio"]["p50_ms"] == pytest.approx(ours_row["p50_ms"] / echo_row["p50_ms"], abs=0.001)
    assert set(figures(found, bare)["ratio"]) == {"min_ms", "p50_ms", "p95_ms", "p99_ms", "calls_per_s"}


def test_the_tables_of_several_tools_show_all_that_the_report_has(project: Path, tmp_path: Path) -> None:
    picture = tmp_path / "times.svg"
    options = (*ECHO_CALL, *ECHO_CALL, "--compare", ECHO, "--histogram", "--plot", str(picture))
    ran = masc(project, "bench", *FEW, "--stdio", ECHO, *options)
    assert (ran.status, ran.err) == (0, ""), ran
    assert ran.out.count("ratio") == 4
    assert "echo 1 (2)" in ran.out
    assert "linear interpolation" in ran.out
    assert "█" in ran.out
    drawn = picture.read_text()
    assert drawn.startswith("<?xml")
    assert "</svg>" in drawn


def test_a_picture_can_be_png(project: Path) -> None:
    ran = masc(project, "bench", *FEW, "--stdio", ECHO, *ECHO_CALL, "--plot", "times.png")
    assert ran.status == 0, ran
    assert (project / "times.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_ends_in_time(project: Path) -> None:
    options = ("--calls", "1000000", "--seconds", "0.5", "--json")
    found = report(masc(project, "bench", "--stdio", ECHO, *ECHO_CALL, *options))
    (row,) = figures(found, "echo")["servers"]
    assert 0 < row["calls"] < 1_000_000


@pytest.mark.filterwarnings("ignore:open_binary is deprecated:DeprecationWarning")  # the tokenizer's own business
def test_the_tool_list_is_counted_as_it_is_served(project: Path) -> None:
    import bpe_openai

    command = shlex.join([*launcher(), "serve", "--stdio", "--project", str(project), "--mode", "minimal"])
    found = report(masc(project, "bench", "--tokens", "--stdio", command, "--compare", ECHO, "--json"))
    ours, echo = found["servers"]
    listed = masc(project, "tools", "--mode", "minimal", "--json").json
    keys = ("name", "description", "inputSchema")
    counted = [len(orjson.dumps({key: tool[key] for key in keys})) for tool in listed]
    assert [(row["name"], row["bytes"]) for row in ours["tools"]] == [
        (tool["name"], size) for tool, size in zip(listed, counted, strict=True)
    ]
    assert [row["listed_bytes"] for row in ours["tools"]] == [len(orjson.dumps(tool)) for tool in listed]
    assert ours["total"]["tokens"] == sum(row["tokens"] for row in ours["tools"])
    assert ours["instructions_tokens"] > 0
    assert (echo["total"]["tools"], echo["instructions_tokens"]) == (1, 0)
    text = (
        '{"name":"echo","description":"Say it again.",'
        '"inputSchema":{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]}}'
    )
    tokens = bpe_openai.get_encoding("o200k_base").encode(text)
    assert (echo["total"]["bytes"], echo["total"]["tokens"]) == (len(text), len(tokens))
    shown = masc(project, "bench", "--tokens", "--stdio", ECHO).out
    rows = [line.split()[-3:] for line in shown.splitlines()[2:4]]
    assert rows == [[str(len(tokens)), str(len(text)), str(echo["total"]["listed_bytes"])]] * 2


def test_a_token_from_the_environment_opens_a_server_and_is_not_shown(project: Path) -> None:
    masc(project, "call", "masc_init", "{}")
    assert masc(project, "auth", "enable", "--require-token").status == 0
    token = masc(project, "auth", "token", "bench", "--json").json["token"]
    command = [*launcher(), "serve", "--http", "--port", "0", "--project", str(project)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            options = ("bench", *FEW, "--url", server.stderr.readline().strip(), "--tool", "masc_tasks")
            refused = masc(project, *options)
            assert (refused.status, refused.out) == (1, "")
            assert "answered with HTTP 401 Unauthorized; --token-env" in refused.err
            allowed = masc(project, *options, "--token-env", "MY_TOKEN", "--json", env={"MY_TOKEN": token})
            assert report(allowed)["errors"] == 0
            assert token not in allowed.out
        finally:
            server.terminate()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("mute", "did not answer within 0.5 s"),
        ("empty", "lists no tools"),
        ("old", "cannot be talked to"),
        ("closed", "answered with error -32000: no cheese"),
        ("refuses", "the first call failed: peek returned isError: no cheese 1"),
        ("untrue", "the first call failed: invalid result: "),
        ("unannotated", "name one with --tool"),
        ("needy", "(read-only: peek)"),
    ],
)
def test_a_server_that_cannot_be_measured_is_one_sentence(project: Path, tmp_path: Path, how: str, said: str) -> None:
    options = ("--stdio", bad_server(tmp_path, how), "--era", "legacy", "--timeout", "0.5" if how == "mute" else "30")
    ran = masc(project, "bench", *FEW, *options)
    assert (ran.status, ran.out) == (1, ""), ran
    assert ran.err.startswith("bench_failed: ")
    assert said in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("empty", "lists no tools"),
        ("mute", "did not answer"),
        ("endless", "has not ended after 100 pages"),
        ("long", "cannot be counted"),
    ],
)
def test_a_server_without_a_countable_list_has_no_cost(project: Path, tmp_path: Path, how: str, said: str) -> None:
    options = ("--stdio", bad_server(tmp_path, how), "--era", "legacy", "--timeout", "0.5" if how == "mute" else "30")
    ran = masc(project, "bench", "--tokens", *options)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("bench_failed: ")
    assert said in ran.err
    assert ran.err.count("\n") == 1


def test_a_list_with_numbers_of_any_size_is_counted(project: Path, tmp_path: Path) -> None:
    ran = masc(project, "bench", "--tokens", "--stdio", bad_server(tmp_path, "great"), "--json")
    (cost,) = report(ran)["servers"]
    listed = {"properties": {"n": {"maximum": 2**64, "type": "integer"}}, "type": "object"}
    entry = {"name": "drop", "description": "Delete everything.", "inputSchema": listed}
    assert cost["tools"][0]["bytes"] == len(json.dumps(entry, separators=(",", ":")))


def test_lists_after_the_first_end_in_time(project: Path) -> None:
    (cost,) = report(masc(project, "bench", "--tokens", "--stdio", ECHO, "--seconds", "0.1", "--json"))["servers"]
    assert 1 <= cost["lists"] <= 10 and cost["list_ms"]["p50_ms"] > 0


EVIL = "_[/x] \x1b]0;pwn\x07\u202e $\\frac$"
"""As a name: an underscore hides a label, the rest is markup, orders to a terminal, and a broken formula."""


def evil_measurement() -> Measured:
    """What is measured of a server that names everything so."""
    lane = Lane(EVIL, call=lambda client: asyncio.sleep(0), times=[1.0, 2.0], errors=Counter({EVIL: 1}), seconds=0.003)
    server = {"name": EVIL, "target": EVIL, "transport": "stdio", "protocol": "x"}
    return Measured([server], [Level(1, [[lane]])], stopped=EVIL)


def test_what_a_server_says_is_shown_as_it_is(tmp_path: Path) -> None:
    out = Console(file=io.StringIO(), width=400)
    show(out, as_dict(evil_measurement()), histogram=True)
    shown = out.file.getvalue()  # type: ignore[attr-defined]
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)
    assert shown.count("[/x]") == 9


def test_a_picture_shows_names_as_they_are(tmp_path: Path) -> None:
    figure = new_figure()
    draw(figure, evil_measurement(), tmp_path / "x.svg")
    (text,) = figure.axes[0].get_legend().get_texts()  # type: ignore[union-attr]
    assert text.get_text().strip() == ", ".join([printable(EVIL)] * 2)
    with pytest.raises(StartError, match="cannot be written"):
        draw(new_figure(), evil_measurement(), tmp_path / "nosuch" / "x.svg")


@pytest.mark.parametrize(
    "target", [("--stdio", "no-such-program"), ("--url", "http://127.0.0.1:9/mcp?key=s3cret"), ("--stdio", "false")]
)
def test_a_server_that_is_not_there_is_one_sentence(project: Path, target: tuple[str, str]) -> None:
    ran = masc(project, "bench", *target, "--json")
    assert (ran.status, ran.err) == (1, "")
    error = ran.json["error"]
    assert error["code"] == "bench_failed"
    assert target[1].partition("?")[0] in error["message"]
    assert "s3cret" not in error["message"]


@pytest.mark.parametrize(
    ("how", "said"),
    [("dies", "ended without an answer; it said: Traceback: out of cheese"), ("hangs", "did not answer")],
)
def test_a_server_that_fails_later_leaves_what_was_measured(project: Path, tmp_path: Path, how: str, said: str) -> None:
    # Long enough for the server to start on a busy machine.
    options = ("--stdio", bad_server(tmp_path, how), "--timeout", "5", "--calls", "50", "--warm-up", "1")
    ran = masc(project, "bench", *options, "--era", "legacy", "--json")
    assert ran.status == 1
    assert said in ran.json["stopped"]
    (row,) = figures(ran.json, "peek")["servers"]
    assert row["calls"] == 7  # after the trial and the warm-up call; the tenth call fails
    if how == "dies":
        assert "stopped early" in masc(project, "bench", *options, "--era", "legacy").out


@pytest.mark.parametrize("era", ["auto", "legacy"])
def test_a_server_that_dies_behind_a_url_is_said_to_be_gone(project: Path, era: str) -> None:
    with echo_over_http(dies=True) as url:
        ran = masc(
            project, "bench", "--url", url, "--era", era, *ECHO_CALL, "--calls", "50", "--warm-up", "1", "--json"
        )
        assert (ran.status, ran.err) == (1, "")
        assert re.fullmatch(re.escape(url) + " cannot be reached: .+", ran.json["stopped"])
        (row,) = figures(ran.json, "echo")["servers"]
        assert row["calls"] == 7


def test_failed_calls_are_counted_by_reason_and_not_timed(project: Path, tmp_path: Path) -> None:
    options = ("--stdio", bad_server(tmp_path, "flaky"), "--calls", "40", "--warm-up", "0")
    ran = masc(project, "bench", *options, "--json")
    assert ran.status == 1
    (row,) = figures(ran.json, "peek")["servers"]
    assert row["calls"] == ran.json["errors"] == 20
    assert len(row["errors"]) == 9
    assert row["errors"]["others"] == 12
    assert row["errors"]["peek returned isError: no cheese 2"] == 1
    assert "failed 12 times with 1 clients, bad 1: others" in masc(project, "bench", *options).out


def test_protocol_errors_are_counted_and_a_missing_ping_is_left_out(project: Path, tmp_path: Path) -> None:
    rejected = masc(project, "bench", "--stdio", bad_server(tmp_path, "rejects"), "--calls", "10", "--json")
    (row,) = figures(rejected.json, "peek")["servers"]
    assert (row["calls"], row["p50_ms"], rejected.status) == (0, None, 1)
    assert row["errors"] == {"error -32050: not now": 16}
    found = report(masc(project, "bench", *FEW, "--stdio", bad_server(tmp_path, "unpingable"), "--json"))
    assert [o["call"] for o in found["levels"][0]["operations"]] == ["tools/list", "peek"]


def test_what_a_server_says_out_of_turn_disturbs_nothing(project: Path, tmp_path: Path) -> None:
    report(masc(project, "bench", *FEW, "--stdio", bad_server(tmp_path, "chatty"), "--json"))


def test_a_list_of_several_pages_is_read_to_its_end(project: Path, tmp_path: Path) -> None:
    paged = ("--stdio", bad_server(tmp_path, "paged"))
    assert report(masc(project, "bench", *FEW, *paged, "--json"))["servers"][0]["tools"] == 2
    (cost,) = report(masc(project, "bench", "--tokens", *paged, "--json"))["servers"]
    assert [tool["name"] for tool in cost["tools"]] == ["drop", "peek"]


def test_who_looks_on_sees_how_far_it_is(project: Path) -> None:
    options = ("--stdio", ECHO, *ECHO_CALL, "--json")
    ran = masc(project, "bench", *FEW, *options, env={"FORCE_COLOR": "1"})  # to rich, a terminal
    assert "connecting" in ran.err and "1 client" in ran.err
    assert ran.json["errors"] == 0


def test_an_unknown_tool_names_near_ones(project: Path) -> None:
    ran = masc(project, "bench", "--stdio", ECHO, "--tool", "eco")
    assert (ran.status, ran.err) == (1, "bench_failed: echo 1 lists no tool eco; it has echo\n")


def test_commands_get_of_the_environment_what_is_named(project: Path, tmp_path: Path) -> None:
    program = tmp_path / "tell.py"
    program.write_text("import os, sys; sys.exit(f\"{os.environ.get('ONE')} {os.environ.get('TWO')}\")")
    options = ("--stdio", shlex.join([sys.executable, str(program)]), "--env", "ONE")
    ran = masc(project, "bench", *options, env={"ONE": "first", "TWO": "second"})
    assert "it said: first None" in ran.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--url", "http://x/mcp", "--stdio", "x"], "exclude each other"),
        (["--url", "ftp://x"], "http://"),
        (["--url", "http://x/mcp", "--http"], "--http"),
        (["--stdio", "x", "--project", "."], "--project"),
        (["--stdio", ""], "it is empty"),
        (["--stdio", "'x"], "no command"),
        (["--arguments", "{}"], "once for each --tool"),
        (["--tool", "a", "--tool", "b", "--arguments", "{}"], "once for each --tool"),
        (["--tool", "a", "--arguments", "{"], "not JSON"),
        (["--tool", "a", "--arguments", "[]"], "JSON object"),
        (["--compare-tool", "a"], "--compare"),
        (["--compare", "x", "--tool", "a", "--compare-tool", "b", "--compare-tool", "c"], "once for each --tool"),
        (["--compare", "x", "--compare-token-env", "HOME"], "--compare-token-env"),
        (["--stdio", "x", "--token-env", "HOME"], "--token-env"),
        (["--url", "http://x/mcp", "--token-env", "NO_SUCH_VARIABLE"], "NO_SUCH_VARIABLE"),
        (["--stdio", "x", "--env", "NO_SUCH_VARIABLE"], "NO_SUCH_VARIABLE"),
        (["--env", "HOME"], "--env goes with a command"),
        (["--env", "A=B", "--http"], "--env goes with a command"),
        (["--env", "HOME", "--url", "http://x/mcp", "--compare", "http://y/mcp"], "--env goes with a command"),
        (["--env", "NO_SUCH_VARIABLE", "--url", "http://x/mcp", "--compare", "x"], "NO_SUCH_VARIABLE"),
        (["--tokens", "--tool", "a"], "--tokens"),
        (["--tokens", "--histogram"], "--tokens"),
        (["--plot", "x.gif"], ".png or .svg"),
        (["--plot", "nosuch/x.png"], ".png or .svg"),
        (["--clients", "0"], "1 to 64"),
        (["--clients", "x"], "no list of numbers"),
        (["--calls", "0"], "--calls"),
        (["--seconds", "4000"], "--seconds"),
        (["--seconds", "nan"], "--seconds"),
        (["--timeout", "nan"], "--timeout"),
        (["--era", "future"], "--era"),
        (["--url", "http://[::1/mcp"], "a host and a port"),
        (["--url", "http://127.0.0.1:99999/mcp"], "a host and a port"),
        (["--compare", "http:///mcp"], "a host and a port"),
    ],
)
def test_wrong_usage_of_bench_is_2(options: list[str], said: str) -> None:
    ran = CliRunner().invoke(main, ["bench", *options])
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert said in ran.stderr


@pytest.mark.parametrize(
    ("module", "options"),
    [
        ("matplotlib", ["--plot", "x.svg", "--stdio", "no-such-program"]),
        ("bpe_openai", ["--tokens", "--stdio", "no-such-program"]),
    ],
)
def test_what_is_not_installed_is_said_before_anything_is_started(
    module: str, options: list[str], project: Path
) -> None:
    code = f"import sys; sys.modules[{module!r}] = None; from masc_core.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "bench", *options],
        cwd=project,
        env=dict(os.environ),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install 'masc[bench]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_nothing_of_the_extra_is_imported_before_it_is_used() -> None:
    code = (
        "import sys, masc_core.cli.bench; "
        "print(sorted({'matplotlib', 'numpy', 'bpe_openai', 'mcp', 'httpx2', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
