"""Category auth: tokens and roles. ``guard.py`` decides about every call; the tools here change what it goes by.

``checks.py`` says whether a token is good, ``issuing.py`` makes one, ``joining.py`` serves masc_join with the room's secret,
``known.py`` redaction, ``opening.py`` servers that other machines reach.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from masc_core import hookimpl
from masc_plugin_auth import switch, tokens

__all__ = ["masc_tools"]


@hookimpl
def masc_tools(register: Callable[[Callable[..., Any]], None]) -> None:
    """The seven tools, in the order in which they are listed."""
    for function in (
        switch.masc_auth_enable,
        switch.masc_auth_disable,
        switch.masc_auth_status,
        tokens.masc_auth_create_token,
        tokens.masc_auth_refresh,
        tokens.masc_auth_revoke,
        tokens.masc_auth_list,
    ):
        register(function)
