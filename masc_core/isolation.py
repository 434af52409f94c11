"""Keeps other people's plugins from breaking what is not theirs.

A hook of theirs that raises, takes too long or gives what the hook does not ask for counts as one that gave nothing: what
it wrote is taken back, the log names the plugin, the rest goes on. A tool of theirs has bounded time and a result that is
checked before anything is committed. Hooks that decide on access are not among them: only guards have those, and what
breaks in a guard refuses the call; see :mod:`masc_core.guarding`.

A hook that has been too slow three times in a row is not asked for a minute, so that calls do not wait for it each time.

What asyncio cannot do is end code that never waits, such as a loop or ``time.sleep``, or code that ignores its cancellation:
the process, or the call, stands still until it returns. That it took too long is reported then. An import has no bound.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from attrs import define

from masc_core.contracts import Contract, validator
from masc_core.convert import unstructure
from masc_core.dialog import InputRequired
from masc_core.errors import MascError, ToolTimedOut, Unavailable
from masc_core.faults import Faults, follow, told, waiting
from masc_core.first_party import raised_by_masc
from masc_core.frozen import evolve
from masc_core.guarding import fitting, guarding
from masc_core.hook_answers import answer_schema
from masc_core.hookspecs import GUARD_HOOKS, LONG_HOOKS, LONGER, PLAIN_HOOKS, REFUSING_HOOKS
from masc_core.interruption import cancelled, stopped
from masc_core.settings import PluginSettings
from masc_core.store.collections import own_copies
from masc_core.store.driver import Conflict

if TYPE_CHECKING:
    from pluggy import HookImpl

    from masc_core.context import Context
    from masc_core.plugins import Plugin
    from masc_core.tools import Tool

__all__ = ["bounded", "checked", "isolate"]

_STRIKES = 3
_PAUSE_SECONDS = 60.0


@define
class _Patience:
    """How long one hook is still waited for."""

    late: int = 0
    until: float = 0.0

    def ended(self, now: float) -> bool:
        """It is not asked for now."""
        return now < self.until

    def kept(self) -> None:
        """It was in time."""
        self.late = 0

    def lost(self, now: float) -> None:
        """It was not."""
        self.late += 1
        if self.late >= _STRIKES:
            self.late, self.until = 0, now + _PAUSE_SECONDS


def isolate(found: HookImpl, hook: str, plugin: Plugin, faults: Faults) -> None:
    """Put an implementation of another's plugin behind a watch."""
    names = tuple(found.argnames)
    if hook in GUARD_HOOKS or (plugin.guard and hook in REFUSING_HOOKS):
        watched = guarding(found.function, names, hook, plugin, faults)
    else:
        watched = _watched(found.function, names, hook, plugin.label, faults)
    found.function = watched  # type: ignore[misc]  # here both pluggy and Registry.answers find it


def checked(found: HookImpl, hook: str) -> None:
    """Have an implementation raise ``TypeError`` for an answer that :func:`isolate` would pass over, for tests."""
    function: Callable[..., Any] = found.function
    if hook in PLAIN_HOOKS:
        return
    fits = fitting if hook in GUARD_HOOKS else _fitting

    @functools.wraps(function)
    async def ask(*given: Any) -> Any:
        return fits(hook, await function(*given))

    found.function = ask  # type: ignore[misc]  # as above


def _watched(
    function: Callable[..., Any], names: tuple[str, ...], hook: str, plugin: str, faults: Faults
) -> Callable[..., Any]:
    place = names.index("ctx") if "ctx" in names else None
    patience = _Patience()
    factor = LONGER if hook in LONG_HOOKS else 1

    async def ask(*given: Any) -> Mapping[str, Any] | None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        if patience.ended(began):
            return None
        ctx: Context | None = None if place is None else given[place]
        settings = PluginSettings() if ctx is None else ctx.settings.plugins
        seconds = factor * settings.hook_seconds
        restore = None if ctx is None else ctx.savepoint()
        begun = waiting(ctx)
        done = False
        task = asyncio.current_task()
        try:
            async with asyncio.timeout(seconds) as bound:
                with _lent(ctx):
                    answer = await function(*map(_own, given))
            if loop.time() - began > seconds:
                raise TimeoutError
            patience.kept()
            fits = _fitting(hook, answer)
            follow(ctx, begun, plugin, seconds, faults, fails=False)
            done = True
            return fits
        except asyncio.CancelledError:
            if cancelled():
                raise
            faults.note(plugin, f"hook {hook} cancelled itself")
        except BaseException as error:  # extension modules raise what is no Exception
            if stopped(error, task) or (isinstance(error, Conflict | Unavailable) and raised_by_masc(error)):
                raise
            if hook in REFUSING_HOOKS and isinstance(error, MascError | InputRequired):
                raise
            if isinstance(error, TimeoutError) and (bound.expired() or loop.time() - began > seconds):
                faults.note(plugin, f"hook {hook} took longer than {seconds} s")
                patience.lost(loop.time())
            else:
                faults.note(plugin, f"hook {hook} failed: {told(error)}", error)
        finally:
            if restore is not None:
                restore(writes=not done)
        return None

    return functools.wraps(function)(ask)


@contextlib.contextmanager
def _lent(ctx: Context | None) -> Iterator[None]:
    """Whoever reads records meanwhile gets copies, the room's own record included: they are frozen, but not the lists in
    them, and others are given the same ones."""
    kept = None if ctx is None else ctx.room
    given = copy.deepcopy(kept)
    if ctx is not None:
        ctx.room = given
    try:
        with own_copies():
            yield
    finally:
        if ctx is not None and ctx.room is given:
            ctx.room = kept


def _own(given: Any) -> Any:
    """What a hook may do with as it likes: records are frozen, but not the lists in them, and others read them next."""
    return given if hasattr(given, "savepoint") else copy.deepcopy(given)


def _fitting(hook: str, answer: Any) -> Mapping[str, Any] | None:
    """The answer, if it is what the hook asks for. Raises ``TypeError``."""
    if answer is None:
        return None
    if not isinstance(answer, Mapping):
        raise TypeError(f"it must give a mapping or None, not {type(answer).__name__}")
    plain: Mapping[str, Any] = unstructure(dict(answer))
    for problem in validator(answer_schema(hook)).iter_errors(plain):
        raise TypeError(f"{'.'.join(map(str, problem.path)) or 'its answer'}: {problem.message}")
    return answer


def bounded(contract: Contract, faults: Faults, kind: str = "tool", *, strict: bool = False) -> Contract:
    """The contract with a handler whose time is bounded and whose result is checked before it is committed.

    A headline of the result that breaks is left out, since by then the change is made; not so with ``strict``, for tests.
    """
    handler, tool = contract.tool.handler, contract.tool
    told_of = f"{kind} {tool.name}"

    @functools.wraps(handler)
    async def run(ctx: Context, **arguments: Any) -> Any:
        seconds = ctx.settings.plugins.tool_seconds
        begun, task = waiting(ctx), asyncio.current_task()
        try:
            async with asyncio.timeout(seconds) as bound:
                with _lent(ctx):
                    result = await handler(ctx, **arguments)
            contract.ensure_result(result)
            follow(ctx, begun, tool.plugin, seconds, faults, fails=True)
        except (MascError, Conflict, InputRequired):
            raise
        except BaseException as error:
            if stopped(error, task):
                raise
            if isinstance(error, TimeoutError) and bound.expired():
                faults.note(tool.plugin, f"{told_of} took longer than {seconds} s")
                raise ToolTimedOut(tool=tool.name, plugin=tool.plugin, seconds=seconds) from None
            faults.note(tool.plugin, f"{told_of} failed: {told(error)}")
            if isinstance(error, Exception):
                raise
            raise RuntimeError(f"{told_of} raised {told(error)}") from error  # it would end more than the call
        return result

    headline = tool.headline if strict else _headline(tool, faults)
    return evolve(contract, tool=evolve(tool, handler=run, headline=headline))


def _headline(tool: Tool, faults: Faults) -> Callable[[Any, Mapping[str, Any]], str]:
    def tell(result: Any, structured: Mapping[str, Any]) -> str:
        task = asyncio.current_task()
        if not hasattr(result, "masc_text"):
            return ""
        try:
            text = tool.headline(result, copy.deepcopy(structured))
            if not isinstance(text, str):
                raise TypeError(f"it must give str, not {type(text).__name__}")
        except BaseException as error:
            if stopped(error, task):
                raise
            faults.note(tool.plugin, f"masc_text of tool {tool.name} failed: {told(error)}", error)
            return ""
        return text

    return tell
