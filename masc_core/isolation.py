"""Keeps other people's plugins from breaking what is not theirs.

A hook of theirs that raises, takes too long or gives what the hook does not ask for counts as one that gave nothing: what
it wrote is taken back, the log names the plugin, the rest goes on. A tool of theirs has bounded time and a result that is
checked before anything is committed. Hooks that decide on access are not among them: only guards have those, and what
breaks in a guard refuses the call.

A hook that has been too slow three times in a row is not asked for a minute, so that calls do not wait for it each time.

What asyncio cannot do is end code that never waits, such as a loop or ``time.sleep``, or code that ignores its cancellation:
the process, or the call, stands still until it returns. That it took too long is reported then. An import has no bound.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import define, field

from masc_core.call import cancelled
from masc_core.contracts import Contract, validator
from masc_core.convert import unstructure
from masc_core.dialog import InputRequired
from masc_core.errors import MascError, ToolTimedOut, Unavailable
from masc_core.first_party import raised_by_masc
from masc_core.frozen import evolve
from masc_core.hook_answers import answer_schema
from masc_core.hookspecs import GUARD_HOOKS, LONG_HOOKS, LONGER, REFUSING_HOOKS
from masc_core.settings import PluginSettings
from masc_core.store.driver import Conflict

if TYPE_CHECKING:
    from pluggy import HookImpl

    from masc_core.context import Context

__all__ = ["Faults", "bounded", "checked", "isolate"]

logger = logging.getLogger(__name__)
_STRIKES = 3
_PAUSE_SECONDS = 60.0


@define
class Faults:
    """What went wrong in plugins while the server ran: of each plugin the last, and how many times."""

    last: dict[str, str] = field(factory=dict)
    count: dict[str, int] = field(factory=dict)

    def note(self, plugin: str, what: str, error: BaseException | None = None) -> None:
        """Remember a fault and log it; with its traceback, unless that was logged just before."""
        told = self.last.get(plugin) == what
        self.last[plugin] = what
        self.count[plugin] = self.count.get(plugin, 0) + 1
        logger.warning("plugin %s: %s", plugin, what, exc_info=None if told else error)


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


def isolate(found: HookImpl, hook: str, plugin: str, guard: bool, faults: Faults) -> None:
    """Put an implementation of another's plugin behind a watch; one that decides on access stays as it is."""
    if hook not in GUARD_HOOKS and not (guard and hook in REFUSING_HOOKS):
        watched = _watched(found.function, tuple(found.argnames), hook, plugin, faults)
        found.function = watched  # type: ignore[misc]  # here both pluggy and Registry.answers find it


def checked(found: HookImpl, hook: str) -> None:
    """Have an implementation raise ``TypeError`` for an answer that :func:`isolate` would pass over, for tests."""
    function: Callable[..., Any] = found.function
    if hook in GUARD_HOOKS:
        return

    @functools.wraps(function)
    async def ask(*given: Any) -> Mapping[str, Any] | None:
        return _fitting(hook, await function(*given))

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
        done = False
        try:
            async with asyncio.timeout(seconds) as bound:
                answer = await function(*map(_own, given))
            if loop.time() - began > seconds:
                raise TimeoutError
            patience.kept()
            fits = _fitting(hook, answer)
            done = True
            return fits
        except asyncio.CancelledError:
            if cancelled():
                raise
            faults.note(plugin, f"hook {hook} cancelled itself")
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # extension modules raise what is no Exception
            if isinstance(error, Conflict | Unavailable) and raised_by_masc(error):
                raise
            if hook in REFUSING_HOOKS and isinstance(error, MascError | InputRequired):
                raise
            if isinstance(error, TimeoutError) and (bound.expired() or loop.time() - began > seconds):
                faults.note(plugin, f"hook {hook} took longer than {seconds} s")
                patience.lost(loop.time())
            else:
                faults.note(plugin, f"hook {hook} failed: {error!r}", error)
        finally:
            if restore is not None:
                restore(writes=not done)
        return None

    return functools.wraps(function)(ask)


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


def bounded(contract: Contract, faults: Faults) -> Contract:
    """The contract with a handler whose time is bounded and whose result is checked before it is committed."""
    handler, tool = contract.tool.handler, contract.tool

    @functools.wraps(handler)
    async def run(ctx: Context, **arguments: Any) -> Any:
        seconds = ctx.settings.plugins.tool_seconds
        try:
            async with asyncio.timeout(seconds) as bound:
                result = await handler(ctx, **arguments)
            contract.ensure_result(result)
        except (MascError, Conflict, InputRequired):
            raise
        except TimeoutError as error:
            if not bound.expired():
                faults.note(tool.plugin, f"tool {tool.name} failed: {error!r}")
                raise
            faults.note(tool.plugin, f"tool {tool.name} took longer than {seconds} s")
            raise ToolTimedOut(tool=tool.name, plugin=tool.plugin, seconds=seconds) from None
        except (asyncio.CancelledError, KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            faults.note(tool.plugin, f"tool {tool.name} failed: {error!r}")
            raise
        return result

    return evolve(contract, tool=evolve(tool, handler=run))
