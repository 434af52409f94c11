"""``masc`` in processes of their own that start at once: forks of one in which everything is imported.

A fork has the arguments, environment, directory and streams it is given, and ends as any process does. What is about
imports or the start itself belongs in a fresh interpreter instead. Run as a program, this is the process that forks.
"""

from __future__ import annotations

import atexit
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from masc_launcher import ask

_HERE = Path(__file__).parent


def fork_masc(
    arguments: Sequence[str], cwd: Path, env: dict[str, str], stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. Raises :class:`TimeoutError` after a minute; the command is killed then."""
    with (
        tempfile.TemporaryFile("w+") as given,
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
    ):
        given.write(stdin)
        given.seek(0)
        streams = (given.fileno(), out.fileno(), err.fileno())
        with ask(address(), "masc", arguments, str(cwd), env, streams) as connection:
            connection.settimeout(60)
            status = int(connection.recv(16))
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(arguments, status, out.read(), err.read())


def launcher(program: Path | None = None) -> list[str]:
    """A command that takes the arguments of ``masc``, or of a Python ``program``, for whoever starts processes himself.

    It passes signals on, except SIGKILL, which ends what runs soon after it.
    """
    return [sys.executable, "-I", "-S", str(_HERE / "masc_launcher.py"), address(), str(program or "masc")]


@cache
def address() -> str:
    """Where the forking process of this test process listens; it ends with this process."""
    path = str(Path(tempfile.mkdtemp(prefix="masc-fork-")) / "socket")
    until_we_end, ours = os.pipe()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(100)
        process = subprocess.Popen(
            [sys.executable, __file__, str(until_we_end)], stdin=listener.fileno(), stdout=subprocess.DEVNULL,
            pass_fds=[until_we_end],
        )  # fmt: skip
    os.close(until_we_end)

    def end() -> None:
        os.close(ours)
        process.wait()

    atexit.register(end)
    return path


def _serve(until: int) -> None:
    """Fork for whoever connects to the socket that is standard input, until the pipe ``until`` is closed."""
    listener = socket.socket(fileno=os.dup(0))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        if until in select.select([listener.fileno(), until], [], [])[0]:
            shutil.rmtree(Path(listener.getsockname()).parent)  # whoever made it may have been killed
            return
        connection, _ = listener.accept()
        _, streams, _, _ = socket.recv_fds(connection, 1, 3)
        if os.fork() == 0:
            listener.close()
            os.close(until)
            with connection.makefile("rb") as lines:
                request = orjson.loads(lines.readline())
            _supervise(connection, request, streams)
        for stream in streams:
            os.close(stream)
        connection.close()


def _supervise(connection: socket.socket, request: dict[str, Any], streams: list[int]) -> None:
    """In the child: run the command in one more, pass signals to it and tell how it ended. Returns in that one alone."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    end, held = os.pipe()  # closed by the end of the command, because whatever it starts does not inherit it
    pid = os.fork()
    if pid == 0:
        connection.close()
        os.close(end)
        _run(request, streams)
    for stream in (held, *streams):
        os.close(stream)
    while end not in select.select([connection.fileno(), end], [], [])[0]:
        received = connection.recv(1)
        os.kill(pid, received[0] if received else signal.SIGKILL)
        if not received:
            break
    _, status = os.waitpid(pid, 0)
    with suppress(BrokenPipeError):  # whoever asked has closed the connection, to have the command killed
        connection.send(b"%d" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _run(request: dict[str, Any], streams: list[int]) -> None:
    """Be the command."""
    for standard, stream in enumerate(streams):
        os.dup2(stream, standard)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    if (program := request["program"]) == "masc":
        sys.path[0] = request["cwd"]
        sys.argv = [str(Path(masc_core.__file__).with_name("__main__.py")), *request["arguments"]]
        main(prog_name="masc")
    sys.path[0] = str(Path(program).parent)
    sys.argv = [program, *request["arguments"]]
    runpy.run_path(program, run_name="__main__")
    sys.exit()


if __name__ == "__main__":
    import gc

    import orjson

    import masc_core
    import masc_core.cli.serve
    import masc_core.wire.http
    import masc_core.wire.stdio
    from masc_core.cli import main

    for name in [name for name in os.environ if name.startswith("MASC_")]:
        del os.environ[name]
    with tempfile.TemporaryDirectory() as scratch:  # what a command imports on its way need not be listed here
        main(["call", "masc_add_task", '{"title": "one"}', "--project", scratch], standalone_mode=False)
    gc.freeze()
    _serve(int(sys.argv[1]))
