"""Category ratelimit: how many calls an agent may make in a minute. ``guard.py`` counts every call, in every mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from masc_core import hookimpl
from masc_plugin_ratelimit import config, usage

__all__ = ["masc_tools"]


@hookimpl
def masc_tools(register: Callable[[Callable[..., Any]], None]) -> None:
    """The two tools, in the order in which they are listed."""
    register(usage.masc_rate_limit_status)
    register(config.masc_rate_limit_config)
