"""Standard output is for the protocol and for what a command was asked; what plugins print goes to standard error."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

__all__ = ["prints_aside"]


@contextlib.contextmanager
def prints_aside() -> Iterator[None]:
    """Meanwhile standard output is standard error, for Python and for whatever else of this process or its children writes."""
    with contextlib.ExitStack() as back:
        with contextlib.suppress(OSError):  # a process may have neither
            sys.stdout.flush()
            kept = os.dup(1)
            back.callback(os.close, kept)
            os.dup2(2, 1)
            back.callback(os.dup2, kept, 1)
        back.enter_context(contextlib.redirect_stdout(sys.stderr))
        yield
