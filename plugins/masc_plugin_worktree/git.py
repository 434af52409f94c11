"""Running git: argument vectors, no shell, no prompt, bounded in time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import signal
import sys
from collections.abc import Container, Mapping

from masc_core.clock import Clock
from masc_core.frozen import frozen
from masc_plugin_worktree.errors import GitFailed

__all__ = ["TIMEOUT_SECONDS", "Git", "Output", "git_environment", "shown"]

TIMEOUT_SECONDS = 60.0
_GRACE_SECONDS = 2.0
_LOCK_ATTEMPTS = 5
_STDERR_SHOWN = 500

_SETTINGS = (
    f"core.hooksPath={os.devnull}",
    "core.fsmonitor=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
)
"""Nothing in the repository runs by itself, and nothing goes on in the background after a command."""

_KEPT = frozenset(
    {"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC_PATH", "GIT_CEILING_DIRECTORIES"}
)
_KEPT_PREFIXES = ("GIT_SSH", "GIT_SSL_", "GIT_PROXY_")
_PASSWORD = re.compile(r"://[^/@\s]+@")


@frozen
class Output:
    """What a git command that ended left."""

    code: int
    out: bytes
    err: str

    @property
    def ok(self) -> bool:
        """The command succeeded."""
        return self.code == 0

    @property
    def line(self) -> str:
        """Standard output without its last line end, as a file system name."""
        return os.fsdecode(self.out.removesuffix(b"\n"))

    @property
    def names(self) -> list[bytes]:
        """Standard output of a command run with ``-z``."""
        return [name for name in self.out.split(b"\0") if name]


def shown(name: bytes | str) -> str:
    """A file name as text that JSON can carry, whatever its bytes."""
    return os.fsencode(name).decode("utf-8", "replace")


def git_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment for git: a server started from a hook must not pass that hook's ``GIT_DIR`` on."""
    kept = {
        name: value
        for name, value in inherited.items()
        if not name.startswith("GIT_") or name in _KEPT or name.startswith(_KEPT_PREFIXES)
    }
    # An empty GIT_ASKPASS also silences core.askPass and SSH_ASKPASS, which GIT_TERMINAL_PROMPT does not.
    return kept | {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "GCM_INTERACTIVE": "never", "LC_ALL": "C"}


@frozen
class Git:
    """Runs git commands; ``clock`` times the retries."""

    clock: Clock
    timeout: float = TIMEOUT_SECONDS

    async def run(self, at: str, *arguments: str, accept: Container[int] = (0,)) -> Output:
        """Run git in directory ``at``; a lock that another git process holds is waited for a little.

        Raises :class:`GitFailed` for an exit status outside ``accept`` and for a command over its time.
        """
        for attempt in range(1, _LOCK_ATTEMPTS + 1):
            output = await self._once(at, arguments)
            if output.code in accept:
                return output
            if not _lock_is_held(output) or attempt == _LOCK_ATTEMPTS:
                break
            await self.clock.sleep(random.uniform(0.05, 0.1) * 2**attempt)
        raise failure(arguments, "exit", output)

    async def _once(self, at: str, arguments: tuple[str, ...]) -> Output:
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        try:
            process = await asyncio.create_subprocess_exec(
                "git",
                "--no-optional-locks",
                *settings,
                "-C",
                at,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=git_environment(os.environ),
                # A session of its own: one signal reaches git's helpers, and ssh finds no terminal to ask on.
                start_new_session=True,
            )
        except OSError as error:
            raise GitFailed(
                operation=_operation(arguments), reason="not_started", stderr=str(error.strerror)
            ) from error
        try:
            async with asyncio.timeout(self.timeout):
                out, err = await process.communicate()
        except TimeoutError:
            raise failure(arguments, "timeout", None) from None
        finally:
            if process.returncode is None:
                await asyncio.shield(_stop(process))
        assert process.returncode is not None
        return Output(process.returncode, out, _readable(err))


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End the process group: politely first, so that git removes its lock files and half-made directories."""
    if sys.platform == "win32":
        process.kill()
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_GRACE_SECONDS):
            await process.wait()
    # Also when git itself is gone: a helper may ignore SIGTERM.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_GRACE_SECONDS):
            await process.wait()


def _lock_is_held(output: Output) -> bool:
    return ".lock" in output.err and "File exists" in output.err


def _readable(err: bytes) -> str:
    """One line without credentials that a remote's URL may hold."""
    return _PASSWORD.sub("://***@", " ".join(err.decode("utf-8", "replace").split()))


def _operation(arguments: tuple[str, ...]) -> str:
    """``worktree add`` or ``fetch``: the words before the first option or name."""
    return " ".join(arguments[:2]) if arguments[0] == "worktree" else arguments[0]


def failure(arguments: tuple[str, ...], reason: str, output: Output | None) -> GitFailed:
    """The error for a command that did not do what it should."""
    err = output.err[:_STDERR_SHOWN] if output else ""
    return GitFailed(
        operation=_operation(arguments), reason=reason, exit_code=output.code if output else None, stderr=err or reason
    )
