"""Tells somebody who interrupts or cancels from code that raises as if."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

__all__ = ["cancelled", "interruptions", "stopped"]


@contextlib.contextmanager
def interruptions() -> Iterator[Callable[[], bool]]:
    """Gives what says whether SIGINT has come since; only its handler raises ``KeyboardInterrupt`` for a person.

    Whoever took the signal's place meanwhile loses it at the end. Elsewhere than in the main thread no signal comes.
    """
    came = False
    previous = signal.getsignal(signal.SIGINT)
    if not callable(previous) or threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    handle: Callable[[int, FrameType | None], object] = previous

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True
        handle(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: came
    finally:
        signal.signal(signal.SIGINT, previous)


def cancelled() -> bool:
    """Somebody cancels the running task, rather than its own code raising as if."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def stopped(error: BaseException, task: asyncio.Task[Any] | None) -> bool:
    """Code that was begun in ``task`` raises because it is stopped from outside: its task is cancelled, its coroutine closed,
    or a person interrupts the program. Else it raises by itself, whatever that is."""
    if isinstance(error, GeneratorExit):
        try:
            return asyncio.current_task() is not task
        except RuntimeError:  # no loop runs: the garbage collector closes it
            return True
    return cancelled() or _interrupts(error)


def _interrupts(error: BaseException) -> bool:
    """The loop's own handler raises it then. Where a server has put another in its place, none does."""
    if not isinstance(error, KeyboardInterrupt) or signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        return isinstance(error, KeyboardInterrupt)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is None or str(trace.tb_frame.f_globals.get("__name__")).startswith("asyncio.")
