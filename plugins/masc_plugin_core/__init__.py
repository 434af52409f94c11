"""Category core: the room, membership, the task board, the mode.

``membership.py`` and ``status.py`` have the room's tools, ``tasks.py`` the board's, ``modes.py`` the mode's; ``board.py`` holds
the rules of the task state machine and ``archive.py`` what gc takes off the board.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from masc_core import Collection, Log, hookimpl
from masc_plugin_core import membership, modes, status, tasks
from masc_plugin_core.archive import masc_gc
from masc_plugin_core.archive_view import masc_archive_view
from masc_plugin_core.endings import ENDINGS
from masc_plugin_core.release import masc_agent_released

__all__ = ["masc_agent_released", "masc_gc", "masc_records", "masc_tools"]


@hookimpl
def masc_records(register: Callable[[Collection[Any] | Log[Any]], None]) -> None:
    """Which tasks ended when; the tasks themselves belong to every room."""
    register(ENDINGS)


@hookimpl
def masc_tools(register: Callable[[Callable[..., Any]], None]) -> None:
    """The sixteen tools, in the order in which they are listed."""
    for function in (
        membership.masc_set_room,
        membership.masc_init,
        membership.masc_start,
        membership.masc_join,
        membership.masc_leave,
        status.masc_status,
        tasks.masc_add_task,
        tasks.masc_tasks,
        tasks.masc_claim,
        tasks.masc_claim_next,
        tasks.masc_transition,
        tasks.masc_done,
        tasks.masc_update_priority,
        masc_archive_view,
        modes.masc_switch_mode,
        modes.masc_get_config,
    ):
        register(function)
