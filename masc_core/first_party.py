"""Which plugins are MASC's own, and in which order they come. Others take no name of theirs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import Distribution, EntryPoint

__all__ = ["CATEGORY_ORDER", "GUARD_ORDER", "is_ours", "raised_by_masc", "rank"]

CATEGORY_ORDER = "core comm portal worktree health discovery voting interrupt cost auth ratelimit encryption".split()
"""Order of the first-party categories in tools/list; others follow by name."""
GUARD_ORDER = "auth ratelimit redaction audit encryption".split()
"""Order in which the first-party guards are asked; others follow by name."""
_PACKAGE = "masc_plugin_"
_NAME = re.compile(r"^Name:[ \t]*masc[ \t]*$", re.MULTILINE | re.IGNORECASE)


def is_ours(point: EntryPoint) -> bool:
    """MASC's own distribution declares the entry point, and it leads to a package that MASC ships.

    Neither its name nor its module would do: anybody can write down both.
    """
    package = point.module.partition(".")[0]
    shipped = package.startswith(_PACKAGE) and package[len(_PACKAGE) :] in {*CATEGORY_ORDER, *GUARD_ORDER}
    return shipped and point.dist is not None and _is_masc(point.dist)


@lru_cache(maxsize=16)
def _is_masc(found: Distribution) -> bool:
    """By the headers of its metadata; ``found.name`` would parse all of them, the README included, at every start."""
    headers = (found.read_text("METADATA") or found.read_text("PKG-INFO") or "").partition("\n\n")[0]
    return _NAME.search(headers) is not None


def rank(point: EntryPoint, order: Sequence[str]) -> tuple[bool, int, str]:
    """Sorts entry points: MASC's own first and in ``order``, so that nobody who loads earlier takes their names."""
    return not is_ours(point), order.index(point.name) if point.name in order else len(order), point.name


def raised_by_masc(error: BaseException) -> bool:
    """MASC itself raised it, rather than a plugin that uses its classes."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and str(trace.tb_frame.f_globals.get("__name__")).startswith("masc_core.")
