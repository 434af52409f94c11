"""What is logged, on a terminal."""

from __future__ import annotations

import logging

__all__ = ["SafeLines", "log_plainly"]


class SafeLines(logging.Formatter):
    """Log lines hold what agents sent; nothing of it steers the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        from masc_core.render import printable_lines

        return printable_lines(super().format(record))


def log_plainly() -> None:
    """Have commands print what is wrong as Python does by itself, but for what would steer the terminal."""
    handler = logging.StreamHandler()
    handler.setFormatter(SafeLines("%(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
