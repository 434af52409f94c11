"""What authors of plugins and drivers test with: a real kernel on a real store, agents to play, a clock to move.

One line in a ``conftest.py`` turns it on; nothing is patched and no fixture acts unasked::

    pytest_plugins = ["masc_core.testing"]

Then a test asks for the fixture ``masc_app``, which opens a room with the plugin under test, and has agents call tools::

    async def test_a_note_is_kept(masc_app: AppFactory) -> None:
        async with masc_app(masc_plugin_standup, store="sqlite") as app:
            ada = await app.agent("ada")
            noted = await ada.call("masc_standup_note", text="done with login")
            error = await ada.refused("masc_standup_note", text="")
            await app.clock.advance(60)

The tests need pytest-asyncio with ``asyncio_mode = "auto"``; ``pip install masc[testing]`` brings both.

PYTEST_DONT_REWRITE: a conftest that imports names from here, besides naming it as a plugin, would be warned.
"""

from __future__ import annotations

import pytest

# Before the import, so that a failed assertion of the contract shows its values.
pytest.register_assert_rewrite(
    *(f"masc_core.testing._contract_{part}" for part in ("base", "commit", "lease", "log", "scan", "snapshot", "watch"))
)

from masc_core.testing.agent import ScriptedAgent  # noqa: E402
from masc_core.testing.app import MascApp  # noqa: E402
from masc_core.testing.clock import ManualClock  # noqa: E402
from masc_core.testing.contract import DriverContract, MakeDriver, OpenDriver  # noqa: E402
from masc_core.testing.fixtures import AppFactory  # noqa: E402
from masc_core.testing.schemas import assert_contract  # noqa: E402

__all__ = [
    "AppFactory",
    "DriverContract",
    "MakeDriver",
    "ManualClock",
    "MascApp",
    "OpenDriver",
    "ScriptedAgent",
    "assert_contract",
]

pytest_plugins = ("masc_core.testing.fixtures",)
