"""``masc serve``, with every part of a call timed: what :mod:`split` starts. The rest of the command line is serve's.

Writes the parts of each tools/call to the file that MASC_SPLIT_FILE names, as JSON, when it ends. A part's time is its
own: what it spends in another part counts there. It takes one client that waits for each answer.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import masc_core._registering
import masc_core.call
import masc_core.wire._app
import masc_core.wire.mcp
import masc_core.wire.stdio
from masc_core.cli import main
from masc_core.context import Context
from masc_core.contracts import Contract
from masc_core.frozen import evolve
from masc_core.kernel import Kernel
from masc_core.store.sqlite import SqliteDriver
from masc_core.wire._app import McpApp
from masc_core.wire._pipes import Lines
from masc_core.wire._sessions import SessionManager
from masc_core.wire.mcp import Adapter

Handler = Callable[..., Coroutine[Any, Any, Any]]

_READS = ("get", "scan", "count", "count_log", "read_log", "scan_log", "heads", "leases")


class Stopwatch:
    """The parts under way, innermost last, and what each took so far in this request."""

    def __init__(self) -> None:
        self.calls: list[dict[str, float]] = []
        self._parts: dict[str, float] = {}
        self._inside: list[str] = []
        self._since = 0.0

    def begin(self, part: str) -> None:
        """Enter a part."""
        self._charge()
        self._inside.append(part)

    def end(self) -> None:
        """Leave the innermost part; leaving the outermost ends the request."""
        self._charge()
        self._inside.pop()
        if not self._inside:
            if "handler" in self._parts:
                self.calls.append({part: seconds * 1e6 for part, seconds in self._parts.items()})
            self._parts = {}

    @property
    def running(self) -> bool:
        """A request is under way."""
        return bool(self._inside)

    def _charge(self) -> None:
        now = time.perf_counter()
        if self._inside:
            part = self._inside[-1]
            self._parts[part] = self._parts.get(part, 0.0) + now - self._since
        self._since = now


WATCH = Stopwatch()


def timed(part: str, function: Handler, *, outermost: bool = False) -> Handler:
    """``function`` as a part of the request under way; what runs beside requests is not counted."""

    @functools.wraps(function)
    async def around(*args: Any, **kwargs: Any) -> Any:
        if not WATCH.running and not outermost:
            return await function(*args, **kwargs)
        WATCH.begin(part)
        try:
            return await function(*args, **kwargs)
        finally:
            WATCH.end()

    return around


def timed_plain(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """As :func:`timed`, for a function that is not awaited."""

    @functools.wraps(function)
    def around(*args: Any, **kwargs: Any) -> Any:
        if not WATCH.running:
            return function(*args, **kwargs)
        WATCH.begin(part)
        try:
            return function(*args, **kwargs)
        finally:
            WATCH.end()

    return around


def replace(owner: Any, name: str, part: str, how: Callable[[str, Any], Any] = timed) -> None:
    """Time ``owner.name``."""
    setattr(owner, name, how(part, getattr(owner, name)))


def watch_kernel() -> None:
    """The parts of a call in the kernel."""
    for name in _READS:
        replace(SqliteDriver, name, "store: read")
    replace(SqliteDriver, "commit", "store: write")
    replace(SqliteDriver, "_finish", "store: commit to disk")
    replace(Contract, "validate", "validation", timed_plain)
    replace(Context, "ask", "guards")
    replace(masc_core.call, "_render", "rendering", timed_plain)
    replace(Kernel, "call", "kernel")
    made = masc_core._registering.contract_of

    def contract_of(tool: Any) -> Any:
        return made(evolve(tool, handler=timed("handler", tool.handler)))

    masc_core._registering.contract_of = contract_of


def watch_wire() -> None:
    """What is round the kernel: MASC's own transports and the SDK between them and the adapter."""
    replace(Adapter, "_call_tool", "MASC transport")
    McpApp.__call__ = _from_http(McpApp.__call__)  # type: ignore[method-assign]
    replace(masc_core.wire._app, "handle_modern_request", "SDK")
    replace(SessionManager, "handle_request", "SDK")
    replace(masc_core.wire.stdio, "parse", "MASC transport", timed_plain)
    replace(masc_core.wire.stdio, "dump", "MASC transport", timed_plain)
    _from_stdio()


def _from_http(serve: Handler) -> Handler:
    whole = timed("MASC transport", serve, outermost=True)

    async def around(app: McpApp, scope: Any, receive: Any, send: Any) -> None:
        call = scope["type"] == "http" and scope["method"] == "POST"  # a GET is a stream that stays open
        await (whole if call else serve)(app, scope, receive, send)

    return around


def _from_stdio() -> None:
    """On stdio a request begins with its line and ends with that of the answer; what nobody else does there, the SDK does."""
    read, write = Lines.next, masc_core.wire.stdio._Wire.write

    async def next_line(lines: Lines) -> Any:
        line = await read(lines)
        if not WATCH.running:
            WATCH.begin("SDK")
        return line

    async def write_line(wire: Any, line: bytes) -> bool:
        written = await timed("MASC transport", write)(wire, line)
        if WATCH.running:
            WATCH.end()
        return bool(written)

    Lines.next = next_line  # type: ignore[method-assign]
    masc_core.wire.stdio._Wire.write = write_line  # type: ignore[method-assign]


def _save() -> None:
    Path(os.environ["MASC_SPLIT_FILE"]).write_text(json.dumps(WATCH.calls), encoding="utf-8")


if __name__ == "__main__":
    atexit.register(_save)
    watch_kernel()
    watch_wire()
    main()
