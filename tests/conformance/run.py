"""Run the public MCP conformance suite against our HTTP application, and count.

    python -m tests.conformance.run                      the transports, with the demonstration server mounted
    python -m tests.conformance.run --shipped            the shipped server as well, every scenario that fits it

Needs npm once, to install a suitable node and the suite into a scratch directory. Exits 1 on any unexpected failure.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from masc_core.testing.limits import lift_limits

SUITE = "@modelcontextprotocol/conformance"
SUITE_VERSION = "0.2.0-alpha.12"
NODE_MAJOR = "22"
VERSIONS = ("2025-06-18", "2025-11-25", "2026-07-28")
DEFAULT_COMMAND = f"{shlex.quote(sys.executable)} -m masc_core serve --http --port 0"
_START_SECONDS = 30
_SUITE_SECONDS = 600

NEEDS_DEMO = re.compile(
    "completion-complete|tools-call-.*|elicitation-.*|json-schema-2020-12|server-sse-polling|resources-.*|prompts-.*"
    "|logging-set-level|input-required-result-.*|sep-2164-.*|http-custom-header-server-validation|caching"
)
"""Scenarios that call tools, prompts or resources which only the suite's own demonstration servers have."""

NEEDS_DEMO_CHECKS = {
    "sep-2575-server-rejects-undeclared-capability",
    "sep-2575-missing-capability-http-400",
    "sep-2575-http-server-no-independent-requests-on-stream",
    "sep-2575-server-no-log-without-loglevel",
}
"""Checks inside other scenarios that do the same; the suite marks them as untestable."""

EXTENSIONS = re.compile("tasks-.*|sep-2640-.*")


@dataclass
class Tally:
    """What one run of the suite found."""

    target: str
    version: str
    scenarios: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def main() -> int:
    """Run what the command line asks for and print the table."""
    options = _arguments()
    node, suite = _install(options.cache)
    tallies = []
    with tempfile.TemporaryDirectory() as scratch:
        for name, command, filtered in _targets(options):
            with _serving(command) as url:
                for version in options.spec_version or VERSIONS:
                    out = Path(scratch, name, version)
                    tallies.append(_run(node, suite, url, name, version, out, filtered))
    _report(tallies, options.shipped)
    return 1 if any(tally.failures for tally in tallies) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spec-version", action="append", choices=VERSIONS, help="default: all three")
    parser.add_argument("--shipped", action="store_true", help="test the shipped server too")
    parser.add_argument("--only-shipped", action="store_true", help="leave the demonstration server out")
    parser.add_argument("--command", default=DEFAULT_COMMAND, help="how to start it; it prints its URL first")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir(), f"masc-conformance-{os.getuid()}"))
    options = parser.parse_args()
    options.shipped = options.shipped or options.only_shipped
    return options


def _targets(options: argparse.Namespace) -> Iterator[tuple[str, list[str], bool]]:
    if not options.only_shipped:
        yield "demo", [sys.executable, "-W", "ignore", "-m", "tests.conformance.demo_server"], False
    if options.shipped:
        yield "shipped", shlex.split(options.command), True


def _install(cache: Path) -> tuple[Path, Path]:
    """node and the suite's entry point, installed into ``cache`` unless they are there."""
    modules = cache / "node_modules"
    node, suite = modules / "node" / "bin" / "node", modules / SUITE
    if not (node.exists() and _installed(suite) == SUITE_VERSION):
        if (npm := shutil.which("npm")) is None:
            raise SystemExit("npm is needed to install the conformance suite; install Node.js and run this again")
        cache.mkdir(parents=True, exist_ok=True)
        wanted = (f"node@{NODE_MAJOR}", f"{SUITE}@{SUITE_VERSION}")
        quiet = ("--no-audit", "--no-fund", "--loglevel=error")
        subprocess.run([npm, "install", *quiet, *wanted], cwd=cache, check=True, timeout=_SUITE_SECONDS)
    if not node.exists():
        raise SystemExit(f"npm did not run node's install script; allow it in {cache} and run this again")
    return node, suite / "dist" / "index.js"


def _installed(suite: Path) -> str | None:
    package = suite / "package.json"
    return json.loads(package.read_text())["version"] if package.exists() else None


@contextlib.contextmanager
def _serving(command: list[str]) -> Iterator[str]:
    """A running server; gives the first URL it printed."""
    with tempfile.TemporaryDirectory() as room:
        lift_limits(Path(room))
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [os.getcwd(), os.environ.get("PYTHONPATH")]))}
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        server = subprocess.Popen(command, **both, text=True, cwd=room, env=env)  # type: ignore[call-overload]
        try:
            assert server.stdout is not None
            found = next((m for line in server.stdout if (m := re.search(r"https?://[^\s/]+", line))), None)
            if found is None:
                raise SystemExit(f"{shlex.join(command)} ended without printing an address")
            # Whatever it prints later must not fill the pipe and stop it.
            threading.Thread(target=server.stdout.read, daemon=True).start()
            yield f"{found[0]}/mcp"
        finally:
            server.terminate()
            try:
                server.wait(_START_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()


def _run(node: Path, suite: Path, url: str, target: str, version: str, out: Path, filtered: bool) -> Tally:
    tally = Tally(target, version)
    base = [str(node), str(suite), "server", "--url", url, "--spec-version", version, "-o", str(out)]
    if filtered:
        fitting = [s for s in _scenarios(node, suite, version) if not NEEDS_DEMO.fullmatch(s)]
        runs = [[*base, "--scenario", scenario] for scenario in fitting]
    else:
        runs = [[*base, "--suite", "all"]]
    for command in runs:
        subprocess.run(command, capture_output=True, timeout=_SUITE_SECONDS, check=False)
    for checks in sorted(out.glob("*/checks.json")):
        tally.scenarios += 1
        _count(tally, checks.parent.name, json.loads(checks.read_text()), filtered)
    if not tally.scenarios:
        tally.failures.append("the suite ran no scenario")
    return tally


def _scenarios(node: Path, suite: Path, version: str) -> list[str]:
    command = [str(node), str(suite), "list", "--server", "--spec-version", version]
    listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_SUITE_SECONDS).stdout
    names = re.findall(r"^\s+- ([\w-]+)", listed, re.MULTILINE)
    return [name for name in names if not EXTENSIONS.fullmatch(name)]


def _count(tally: Tally, scenario: str, checks: list[dict[str, str]], filtered: bool) -> None:
    name = re.sub(r"^server-|-\d{4}-\d\d-\d\dT.*$", "", scenario)
    for check in checks:
        status = check["status"]
        if filtered and status == "FAILURE" and check["id"] in NEEDS_DEMO_CHECKS:
            status = "SKIPPED"
        tally.counts[status] += 1
        if status == "WARNING":
            tally.warnings.append(f"{name}: {check['id']}: {check.get('errorMessage', '')}")
        if status == "FAILURE":
            tally.failures.append(f"{name}: {check['id']}: {check.get('errorMessage', '')}")


def _report(tallies: list[Tally], shipped: bool) -> None:
    print(f"\n{'server':<9}{'version':<13}{'scenarios':>10}{'passed':>8}{'failed':>8}{'warned':>8}{'skipped':>9}")
    for tally in tallies:
        counts = (tally.counts[status] for status in ("SUCCESS", "FAILURE", "WARNING", "SKIPPED"))
        print(f"{tally.target:<9}{tally.version:<13}{tally.scenarios:>10}" + "{:>8}{:>8}{:>8}{:>9}".format(*counts))
    print("\nleft out: scenarios of the optional extensions tasks and skills, which MASC does not offer.")
    if shipped:
        print("left out for the shipped server: scenarios that call the suite's own demonstration tools, prompts and")
        print("resources; counted as skipped: single checks of other scenarios that do the same.")
    for tally in tallies:
        for word, entries in (("warned", tally.warnings), ("FAILED", tally.failures)):
            for entry in entries:
                print(f"{word} {tally.target} {tally.version} {entry}")


if __name__ == "__main__":
    sys.exit(main())
