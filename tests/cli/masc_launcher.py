"""Stands for ``masc`` in a command line: has the process of :mod:`masc_forking` run it. Imports next to nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Sequence

_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def ask(
    address: str, program: str, arguments: Sequence[str], cwd: str, env: dict[str, str], streams: Sequence[int]
) -> socket.socket:
    """Start a ``program``, which is a path or ``masc``.

    The connection takes numbers of signals as bytes and gives the exit status as digits. When it is closed before that, the
    program is killed.
    """
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    socket.send_fds(connection, [b"."], list(streams))
    request = {"program": program, "arguments": list(arguments), "cwd": cwd, "env": env}
    connection.sendall(json.dumps(request).encode() + b"\n")
    return connection


def _launch(address: str, program: str, arguments: list[str]) -> int:
    # One that comes before we can pass it on has to wait, not to end us.
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)
    with ask(address, program, arguments, os.getcwd(), dict(os.environ), (0, 1, 2)) as connection:

        def pass_on(number: int, _: object) -> None:
            connection.send(bytes([number]))

        for number in _PASSED_ON:
            signal.signal(number, pass_on)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
        # The command's own: an end of a pipe that is kept here would never be seen to close.
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        return int(connection.recv(16))


if __name__ == "__main__":
    status = _launch(sys.argv[1], sys.argv[2], sys.argv[3:])
    sys.exit(status if status >= 0 else 128 - status)
