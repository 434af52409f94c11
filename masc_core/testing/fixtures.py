"""The fixtures of the testing kit; see :mod:`masc_core.testing`.

PYTEST_DONT_REWRITE: as there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import ModuleType
from typing import Protocol

import pytest

from masc_core.plugins import Registry
from masc_core.settings import Settings
from masc_core.testing.app import MascApp, masc_app, registry_of
from masc_core.testing.clock import ManualClock

__all__ = ["AppFactory"]


class AppFactory(Protocol):
    """What the fixture ``masc_app`` is."""

    def __call__(
        self,
        *plugins: object,
        store: str = "memory",
        path: Path | None = None,
        sections: Iterable[object] = (),
        limited: bool = False,
        settings: Settings | None = None,
    ) -> AbstractAsyncContextManager[MascApp]:
        """A room with the first-party plugins and these, as an async context manager.

        Each plugin is its module (or object), which an entry point of its installed package names; or the name of that
        entry point; or, for one that is not installed, a pair ``(category, plugin)`` or ``("guard:<name>", plugin)``.
        What a server would go on without fails the test here: a hook that breaks, or answers with what is not asked.

        ``store`` is ``memory`` or ``sqlite``; ``postgres`` and ``redis`` take their server from the environment, as a
        user's do. ``path`` is the project's directory, made if missing, by default the test's ``tmp_path``; two apps of
        one test on SQLite share its room as two processes do. ``sections`` are objects of the classes that plugins
        register for ``config.toml``, and ``settings`` all settings at once. Calls are not counted as a user's are,
        unless ``limited``: a test makes many in no time. The time is the fixture ``masc_clock``'s.

        Raises :class:`masc_core.errors.StartError` naming a plugin that cannot be used, and why.
        """


@pytest.fixture
def masc_clock() -> ManualClock:
    """A clock that stands still until the test moves it: ``await masc_clock.advance(seconds)``."""
    return ManualClock()


@pytest.fixture(scope="session")
def masc_load() -> Callable[[tuple[object, ...]], Registry]:
    """Loads plugins, those that are modules or names once for all tests: nothing of a room is kept in a registry."""
    loaded: dict[tuple[object, ...], Registry] = {}

    def load(plugins: tuple[object, ...]) -> Registry:
        if not all(isinstance(plugin, str | ModuleType) for plugin in plugins):
            return registry_of(plugins)
        if plugins not in loaded:
            loaded[plugins] = registry_of(plugins)
        return loaded[plugins]

    return load


@pytest.fixture(name="masc_app")
def masc_app_fixture(
    tmp_path: Path, masc_clock: ManualClock, masc_load: Callable[[tuple[object, ...]], Registry]
) -> AppFactory:
    """Opens rooms to test plugins in; see :class:`AppFactory`."""

    def make(
        *plugins: object,
        store: str = "memory",
        path: Path | None = None,
        sections: Iterable[object] = (),
        limited: bool = False,
        settings: Settings | None = None,
    ) -> AbstractAsyncContextManager[MascApp]:
        chosen = settings or Settings(cluster="test", sections={type(section): section for section in sections})
        place, registry = path or tmp_path, masc_load(plugins)
        place.mkdir(parents=True, exist_ok=True)
        return masc_app(place, backend=store, clock=masc_clock, settings=chosen, registry=registry, limited=limited)

    return make
