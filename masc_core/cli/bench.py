"""``masc bench``: latency, throughput and token cost of any MCP server."""

from __future__ import annotations

import contextlib
import math
import os
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from masc_core.cli._common import common, console, print_json, run
from masc_core.cli._group import MascCommand
from masc_core.frozen import frozen

if TYPE_CHECKING:
    from masc_core.bench.calls import Call
    from masc_core.bench.servers import Target

__all__ = ["bench"]

_MOST_CLIENTS = 64


@frozen(kw_only=True)
class Wanted:
    """What the options say."""

    url: str | None
    stdio: str | None
    http: bool
    compare: str | None
    tools: tuple[str, ...]
    arguments: tuple[dict[str, Any], ...]
    compare_tools: tuple[str, ...]
    compare_arguments: tuple[dict[str, Any], ...]
    clients: tuple[int, ...]
    calls: int
    warm_up: int
    seconds: float
    timeout: float
    era: str
    tokens: bool
    histogram: bool
    plot: Path | None
    token_env: str | None
    compare_token_env: str | None
    env: tuple[str, ...]
    project: str | None
    as_json: bool


def _json_object(text: str) -> dict[str, Any]:
    import orjson

    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise click.BadParameter(f"this is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise click.BadParameter('arguments are a JSON object, such as {"limit": 1}')
    return found


def _numbers(text: str) -> tuple[int, ...]:
    try:
        found = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise click.BadParameter(f"{text} is no list of numbers, such as 1,8") from None
    if not all(1 <= number <= _MOST_CLIENTS for number in found):
        raise click.BadParameter(f"1 to {_MOST_CLIENTS} clients")
    return found


def _finite(_: click.Context, parameter: click.Parameter, value: float) -> float:
    if math.isnan(value):  # which every range has in it
        raise click.BadParameter("nan is no number of seconds")
    return value


_OPTIONS = [
    click.option("--url", metavar="URL", help="Measure the server at this URL, over HTTP."),
    click.option("--stdio", metavar="COMMAND", help="Measure the server that this command starts, over stdio."),
    click.option("--http", is_flag=True, help="Without --url and --stdio: MASC over HTTP instead of stdio."),
    click.option("--compare", metavar="URL|COMMAND", help="Measure this server in turn with the first; show ratios."),
    click.option("--tool", "tools", metavar="NAME", multiple=True, help="Call this tool; may be repeated."),
    click.option(
        "--arguments", metavar="JSON", type=_json_object, multiple=True,
        help="Its arguments; once for each --tool, in the same order.",
    ),
    click.option(
        "--compare-tool", "compare_tools", metavar="NAME", multiple=True,
        help="What to call of the other server; by default the same.",
    ),
    click.option("--compare-arguments", metavar="JSON", type=_json_object, multiple=True),
    click.option(
        "--clients", metavar="N[,N]", type=_numbers, default="1", show_default=True,
        help="How many at the same time; several numbers are measured one after the other.",
    ),
    click.option(
        "--calls", type=click.IntRange(1, 1_000_000), default=200, show_default=True, help="Measured calls of a kind."
    ),
    click.option(
        "--warm-up", type=click.IntRange(0, 10_000), default=10, show_default=True,
        help="Calls of each kind and client before.",
    ),
    click.option(
        "--seconds", type=click.FloatRange(0.1, 3600), default=30, show_default=True, callback=_finite,
        help="For each number of clients, or tool list; no request but a first one begins later.",
    ),
    click.option(
        "--timeout", type=click.FloatRange(0.1, 600), default=30, show_default=True, callback=_finite,
        help="Seconds for one answer, and for connecting.",
    ),
    click.option(
        "--era", type=click.Choice(["auto", "legacy"]), default="auto", show_default=True,
        help="auto: 2026-07-28 where the server has it; legacy: the handshake of 2025-11-25 and before.",
    ),
    click.option("--tokens", is_flag=True, help="Count what the tool list costs a conversation, instead."),
    click.option("--histogram", is_flag=True, help="Show how times are spread (JSON always has it)."),
    click.option(
        "--plot", metavar="FILE", type=click.Path(dir_okay=False, writable=True, path_type=Path),
        help="Draw the times as PNG or SVG; needs masc[bench].",
    ),
    click.option("--token-env", metavar="NAME", help="The environment variable with the bearer token for --url."),
    click.option("--compare-token-env", metavar="NAME", help="Likewise for the URL in --compare."),
    click.option(
        "--env", metavar="NAME", multiple=True,
        help="Hand this environment variable to commands; they get only PATH, HOME and the like otherwise.",
    ),
]  # fmt: skip


def _options(function: Any) -> Any:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.command(cls=MascCommand)
@_options
@common
def bench(**options: Any) -> None:
    """Measure a MASC server, or any other MCP server: latency and throughput of calls, or tokens of the tool list.

    Without --url and --stdio it starts MASC in a temporary room, with --project in that one. Unless you name tools, it calls
    only one that is annotated as read-only. Beside the tools it measures the least exchange there is (ping or
    server/discover) and tools/list. It ends after --calls or --seconds, and with status 1 when a call failed.

    \b
    masc bench --clients 1,8 --histogram
    masc bench --url https://mcp.example/mcp --token-env MY_TOKEN --tokens
    masc bench --stdio 'npx -y @modelcontextprotocol/server-memory' --tool read_graph
    masc bench --tool masc_tasks --compare 'python other.py' --compare-tool add --compare-arguments '{"a": 1, "b": 2}'
    """
    wanted = Wanted(**options)
    _check(wanted)
    _quiet_sdk()
    (_count if wanted.tokens else _measure)(wanted)


def _check(wanted: Wanted) -> None:
    """Refuse what makes no sense together. Raises ``click.UsageError``."""
    foreign = wanted.url is not None or wanted.stdio is not None
    other_url = wanted.compare is not None and _is_url(wanted.compare)
    command = wanted.stdio is not None or (wanted.compare is not None and not other_url)
    other_calls = wanted.compare_tools or wanted.compare_arguments
    for wrong, text in (
        (wanted.url is not None and wanted.stdio is not None, "--url and --stdio exclude each other"),
        (wanted.url is not None and not _is_url(wanted.url), "--url starts with http:// or https://"),
        (not all(map(_is_possible, (wanted.url, wanted.compare))), "a URL has a host and a port from 1 to 65535"),
        (foreign and wanted.http, "--http goes without --url and --stdio"),
        (foreign and wanted.project is not None, "--project goes without --url and --stdio"),
        (wanted.compare is None and other_calls, "--compare-tool goes with --compare"),
        (wanted.token_env is not None and wanted.url is None, "--token-env goes with --url"),
        (wanted.compare_token_env is not None and not other_url, "--compare-token-env goes with a URL in --compare"),
        (wanted.env and not command, "--env goes with a command in --stdio or --compare"),
        (wanted.tokens and (wanted.tools or other_calls or wanted.plot or wanted.histogram), "--tokens calls no tools"),
    ):
        if wrong:
            raise click.UsageError(text)
    if wanted.plot is not None and (wanted.plot.suffix not in (".png", ".svg") or not wanted.plot.parent.is_dir()):
        raise click.UsageError("--plot names a .png or .svg file in a directory that is there")
    _check_calls("", wanted.tools, wanted.arguments)
    _check_calls("compare-", wanted.compare_tools, wanted.compare_arguments)
    if wanted.compare_tools and len(wanted.compare_tools) != (len(wanted.tools) or 1):
        raise click.UsageError("give --compare-tool once for each --tool")


def _check_calls(prefix: str, tools: Sequence[str], arguments: Sequence[dict[str, Any]]) -> None:
    # Which arguments stood beside which tool is not known any more when there are fewer.
    if arguments and len(arguments) != len(tools):
        raise click.UsageError(f"give --{prefix}arguments once for each --{prefix}tool, in the same order, or never")


def _is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def _is_possible(text: str | None) -> bool:
    """It is no URL, or one that somebody could answer at."""
    if text is None or not _is_url(text):
        return True
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _quiet_sdk() -> None:
    """What goes wrong is told in one sentence; the SDK's log would add a traceback."""
    import logging

    logging.getLogger("mcp").setLevel(logging.CRITICAL + 1)


def _measure(wanted: Wanted) -> None:
    from masc_core.bench import report as reports
    from masc_core.bench.plot import draw, new_figure

    figure = new_figure() if wanted.plot else None
    measured = run(_measured(wanted))
    report = reports.as_dict(measured)
    if wanted.as_json:
        print_json(report)
    else:
        reports.show(console(), report, wanted.histogram)
    if figure is not None and wanted.plot is not None:
        draw(figure, measured, wanted.plot)
    if measured.errors or measured.stopped:
        click.get_current_context().exit(1)


async def _measured(wanted: Wanted) -> Any:
    from masc_core.bench.engine import Limits
    from masc_core.bench.report import Bar
    from masc_core.bench.run import Plan
    from masc_core.bench.run import bench as carry_out

    limits = Limits(calls=wanted.calls, warm_up=wanted.warm_up, seconds=wanted.seconds)
    async with contextlib.AsyncExitStack() as stack:
        targets = await _targets(stack, wanted)
        first = _calls(wanted.tools, wanted.arguments)
        second = _calls(wanted.compare_tools, wanted.compare_arguments) or first
        plan = Plan(targets, (first, second)[: len(targets)], wanted.clients, limits, wanted.era, wanted.timeout)
        return await carry_out(plan, stack.enter_context(Bar()))


def _calls(tools: Sequence[str], arguments: Sequence[dict[str, Any]]) -> tuple[Call, ...]:
    from masc_core.bench.calls import Call

    return tuple(map(Call, tools, arguments or ({},) * len(tools)))


def _count(wanted: Wanted) -> None:
    from masc_core.bench import report as reports

    report = reports.tokens_as_dict(run(_counted(wanted)))
    if wanted.as_json:
        print_json(report)
    else:
        reports.show_costs(console(), report)


async def _counted(wanted: Wanted) -> list[dict[str, Any]]:
    from masc_core.bench.servers import connect
    from masc_core.bench.tokens import list_cost
    from masc_core.tokens import tokenizer

    count = tokenizer()
    async with contextlib.AsyncExitStack() as stack:
        costs = []
        for target in await _targets(stack, wanted):
            async with connect(target, wanted.era, wanted.timeout) as client:
                costs.append(await list_cost(client, target, count, wanted.seconds))
        return costs


async def _targets(stack: contextlib.AsyncExitStack, wanted: Wanted) -> tuple[Target, ...]:
    """The server or the two, those of ours started."""
    given = wanted.stdio if wanted.url is None else wanted.url
    first = await _own(stack, wanted) if given is None else _target(given, wanted.token_env, wanted.env)
    if wanted.compare is None:
        return (first,)
    return first, _target(wanted.compare, wanted.compare_token_env, wanted.env)


def _target(text: str, token_env: str | None, env: Sequence[str]) -> Target:
    from mcp.client.stdio import StdioServerParameters

    from masc_core.bench.servers import Target

    if _is_url(text):
        return Target(text, _from_environment(token_env) if token_env else None)
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise click.UsageError(f"{text!r} is no command: {error}") from None
    if not words:
        raise click.UsageError(f"{text!r} is no command: it is empty")
    command, *arguments = words
    given = {name: _from_environment(name) for name in env}
    return Target(StdioServerParameters(command=command, args=arguments, env=given))


def _from_environment(name: str) -> str:
    if not (value := os.environ.get(name)):
        raise click.UsageError(f"the environment has no {name}")
    return value


async def _own(stack: contextlib.AsyncExitStack, wanted: Wanted) -> Target:
    """MASC as a user starts it; in a room of its own it may be called as fast as it can answer."""
    from masc_core.bench.servers import Target
    from masc_core.demo.servers import http_server, lift_limits, stdio_server

    if wanted.project is None:
        project = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="masc-bench-")))
        await lift_limits(project)
    else:
        from masc_core.rooms import find_base

        project = find_base(wanted.project).path
    settings = wanted.project is not None
    if wanted.http:
        return Target(f"{await stack.enter_async_context(http_server(project, settings=settings))}?agent=bench")
    return Target(stdio_server(project, "bench", settings=settings))
