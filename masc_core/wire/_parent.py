"""Notice that the process which started us is gone, even if somebody else still holds our standard input open."""

from __future__ import annotations

import asyncio
import os
import sys

__all__ = ["parent_gone"]

_POLL = 1.0
"""Seconds between looks where the system cannot tell us."""


async def parent_gone() -> None:
    """Return when the parent process has ended. Waits for ever where there is none to watch."""
    parent = os.getppid()
    if parent <= 1 or sys.platform == "win32":
        await asyncio.Event().wait()
    try:
        fd = os.pidfd_open(parent)
    except (AttributeError, OSError):
        fd = -1
    if os.getppid() != parent:
        os.close(fd) if fd >= 0 else None
        return
    await (_ended(fd) if fd >= 0 else _reparented(parent))


async def _ended(fd: int) -> None:
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    loop.add_reader(fd, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(fd)
        os.close(fd)


async def _reparented(parent: int) -> None:
    while os.getppid() == parent:
        await asyncio.sleep(_POLL)
