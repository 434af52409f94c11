"""What breaks in somebody else's guard refuses the call, by the guard's name.

A guard refuses by raising a :class:`MascError`. Anything else that it raises, an answer that its hook does not ask for, and
one that does not come in time say nothing about the call, so nobody may take them for a yes.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from masc_core.context import Caller
from masc_core.dialog import InputRequired
from masc_core.errors import GuardBroken, MascError
from masc_core.faults import Faults, told
from masc_core.first_party import raised_by_masc
from masc_core.hookspecs import LONGER, PLAIN_HOOKS
from masc_core.interruption import stopped
from masc_core.settings import PluginSettings
from masc_core.store.driver import Conflict, Driver, Key

if TYPE_CHECKING:
    from masc_core.plugins import Plugin

__all__ = ["fitting", "guarding"]

_ANSWERS: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "masc_recognise": {"agent": (str, type(None)), "required": (bool,), "refused": (MascError, type(None))},
    "masc_authenticate": {"caller": (Caller,)},
    "masc_known_secrets": {"secrets": (list, tuple)},
    "masc_store": {"driver": (object,)},
    "masc_agent_role": {"role": (object,), "token": (object,)},
    "masc_admins": {"admins": (list, tuple)},
}
"""What is taken out of an answer without a further look."""
_VERBS = tuple(name for name, verb in vars(Driver).items() if inspect.iscoroutinefunction(verb))


def guarding(
    function: Callable[..., Any], names: Sequence[str], hook: str, plugin: Plugin, faults: Faults
) -> Callable[..., Any]:
    """An implementation of a guard's hook behind a watch."""

    def broken(what: str, error: BaseException) -> NoReturn:
        _refuse(plugin, faults, f"hook {hook} {what}", error)

    def ask_at_once(*given: Any) -> Any:
        task = asyncio.current_task()
        try:
            return fitting(hook, function(*given))
        except MascError:
            raise
        except BaseException as error:
            if stopped(error, task):
                raise
            broken(f"failed: {told(error)}", error)

    async def ask(*given: Any) -> Any:
        seconds = _seconds(hook, dict(zip(names, given, strict=True)))
        task = asyncio.current_task()
        try:
            async with asyncio.timeout(seconds) as bound:
                answer = fitting(hook, await function(*given))
            if hook == "masc_store" and answer is not None:
                return {"driver": _entered(answer["driver"], seconds, plugin, faults)}
            return answer
        except (MascError, InputRequired):
            raise
        except BaseException as error:
            if stopped(error, task) or (isinstance(error, Conflict) and raised_by_masc(error)):
                raise
            late = isinstance(error, TimeoutError) and bound.expired()
            broken(f"took longer than {seconds} s" if late else f"failed: {told(error)}", error)

    return functools.wraps(function)(ask_at_once if hook in PLAIN_HOOKS else ask)


def _refuse(plugin: Plugin, faults: Faults, what: str, error: BaseException) -> NoReturn:
    faults.note(plugin.label, f"{what}; the call is refused", error)
    raise GuardBroken(guard=plugin.name) from error


@asynccontextmanager
async def _entered(driver: Driver, seconds: int, plugin: Plugin, faults: Faults) -> AsyncIterator[Driver]:
    """A guard's driver, which is entered and left as little trusted as its hook is asked."""
    task = asyncio.current_task()
    try:
        async with asyncio.timeout(seconds):
            inside = _driver(await driver.__aenter__())
    except MascError:
        raise
    except BaseException as error:
        if stopped(error, task):
            raise
        _refuse(plugin, faults, f"the driver of hook masc_store cannot be entered: {told(error)}", error)
    try:
        yield inside
    finally:
        try:
            await driver.__aexit__(None, None, None)
        except BaseException as error:
            if stopped(error, asyncio.current_task()):
                raise
            faults.note(plugin.label, f"the driver of hook masc_store cannot be left: {told(error)}", error)


def _seconds(hook: str, given: Mapping[str, Any]) -> int:
    """How long the hook may take; opening a store may mean asking somebody else for a key."""
    place = given.get("ctx") or given.get("room")
    settings = PluginSettings() if place is None else place.settings.plugins
    return settings.hook_seconds * (LONGER if hook == "masc_store" else 1)


def fitting(hook: str, answer: Any) -> Any:
    """The answer of a guard's hook, if it is what the hook asks for. Raises ``TypeError``."""
    if hook == "masc_token_reads":
        if not isinstance(answer, list | tuple) or not all(isinstance(key, Key) for key in answer):
            raise TypeError("it must give a list of Key")
        return answer
    if answer is None:
        return None
    if not isinstance(answer, Mapping):
        raise TypeError(f"it must give a mapping or None, not {type(answer).__name__}")
    for name, kinds in _ANSWERS.get(hook, {}).items():
        if name not in answer or not isinstance(answer[name], kinds):
            wanted = " or ".join("None" if kind is type(None) else kind.__name__ for kind in kinds)
            raise TypeError(f"{name} of its answer must be {wanted}")
    if hook == "masc_store":
        _driver(answer["driver"])
    if hook == "masc_redact" and not all(type(count) is int for count in answer.values()):
        raise TypeError("it must give counts by kind")
    return answer


def _driver(given: Any) -> Driver:
    """What was given as a driver. Raises ``TypeError`` for what cannot be used as one."""
    if missing := [verb for verb in _VERBS if not callable(getattr(given, verb, None))]:
        raise TypeError(f"driver of its answer must be a Driver; {type(given).__name__} has no {missing[0]}")
    driver: Driver = given
    return driver
