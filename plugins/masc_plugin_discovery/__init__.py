"""Category discovery: who can do what. Capabilities are kept on the agent's own record and found by its index."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from masc_core import hookimpl
from masc_plugin_discovery.find import masc_find_by_capability
from masc_plugin_discovery.register import masc_register_capabilities

__all__: list[str] = []


@hookimpl
def masc_tools(register: Callable[[Callable[..., Any]], None]) -> None:
    """The category's tools, in listing order."""
    for function in (masc_register_capabilities, masc_find_by_capability):
        register(function)
