"""Category encryption: sealing what is stored.

Read :mod:`.changes` for the states of a room, :mod:`.sources` and :mod:`.wrapping` for keys, :mod:`.migration` for how records
are converted. :mod:`.guard` puts the sealing round every room's driver; that driver is :mod:`masc_core.store.sealed`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from masc_core.hookspecs import hookimpl
from masc_plugin_encryption.disable import masc_encryption_disable
from masc_plugin_encryption.enable import masc_encryption_enable
from masc_plugin_encryption.generate import masc_generate_key
from masc_plugin_encryption.status import masc_encryption_status

__all__: list[str] = []


@hookimpl
def masc_tools(register: Callable[[Callable[..., Any]], None]) -> None:
    """The category's tools, in listing order."""
    for function in (masc_encryption_status, masc_encryption_enable, masc_encryption_disable, masc_generate_key):
        register(function)
