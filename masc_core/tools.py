"""How a tool is declared: one decorated function.

::

    @tool(effect=WRITE, role=WORKER, limit="task_ops")
    async def masc_claim(ctx: Context, task_id: TaskId) -> Task:
        \"\"\"Claim a task before working on it, so that nobody else takes it.\"\"\"

The name is the function's, the description its docstring, the input contract its signature, the output contract its return
annotation. What is not written follows from effect and role: writing tools of role worker join their caller by themselves,
reading tools are idempotent.
"""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Literal, TypeVar

from attrs import field, frozen

from masc_core.errors import MascError, StartError

if TYPE_CHECKING:
    from masc_core.context import Context

__all__ = ["ADMIN", "DESTRUCTIVE", "READ", "READER", "WORKER", "WRITE", "CallerUse", "Effect", "Role", "Tool", "tool"]

_FIRST = re.compile(r"; |\. (?=[A-Z])")
TOOL_NAME = re.compile(r"[a-z][a-z0-9_]{2,63}\Z")


class Effect(enum.Enum):
    """What a tool does to stored state."""

    READ = "read"
    WRITE = "write"
    DESTRUCTIVE = "destructive"


class Role(enum.IntEnum):
    """What a caller must be; each role may do all that the lower ones may."""

    READER = 1
    WORKER = 2
    ADMIN = 3

    @property
    def label(self) -> str:
        """The role's name in contracts and messages."""
        return self._name_.lower()


class CallerUse(enum.Enum):
    """Whether a tool acts for an agent."""

    REQUIRED = "required"
    """Refused with `agent_name_required` when nobody is known."""
    OPTIONAL = "optional"
    """Uses the caller when known; otherwise the actor is ``anonymous``."""
    NONE = "none"
    """Takes no caller argument; a caller known by token, endpoint or process still counts as the actor."""


READ, WRITE, DESTRUCTIVE = Effect.READ, Effect.WRITE, Effect.DESTRUCTIVE
READER, WORKER, ADMIN = Role.READER, Role.WORKER, Role.ADMIN

Handler = Callable[..., Awaitable[Any]]
_DECLARATION = "__masc_tool__"
F = TypeVar("F", bound="Callable[Concatenate[Context, ...], Awaitable[object]]")
"""Type checkers refuse what takes no context or is not awaited; the rest of a signature is checked at the start."""


def _headline(result: Any, structured: Mapping[str, Any]) -> str:
    return result.masc_text(structured) if hasattr(result, "masc_text") else ""


@frozen
class Tool:
    """One callable operation, as declared. ``category`` and ``plugin`` are bound when its plugin is loaded."""

    name: str
    handler: Handler = field(eq=False, repr=False)
    description: str
    effect: Effect
    role: Role
    idempotent: bool
    limit: str
    """Rate category: read, broadcast, task_ops, file_lock or general."""
    caller: CallerUse
    caller_field: str
    auto_join: bool
    transactional: bool
    """False: the handler opens units of work itself with ``await ctx.transact(fn)`` and may have outside effects."""
    needs_room: bool
    """False: the handler copes with a room that does not exist (``ctx.room`` is ``None``)."""
    creates_room: Literal["never", "allowed", "always"]
    """Whether a call creates a missing room: where its directory is a git repository or was chosen explicitly, or always."""
    room_argument: str
    """Name of the argument that chooses the caller's room, or empty."""
    start_room: bool
    """Acts on the room the server was started for, whatever room the caller chose."""
    open_world: bool
    errors: tuple[type[MascError], ...]
    examples: tuple[Mapping[str, Any], ...]
    keywords: str = ""
    """Other words for what it does, the telling ones before a semicolon; searched in lean mode, listed nowhere."""
    counter: str = ""
    """The number series its calls take from, which is read with the first look at the room."""
    category: str = ""
    plugin: str = ""
    headline: Callable[[Any, Mapping[str, Any]], str] = field(default=_headline, eq=False, repr=False)
    """The first line of a result's text, from the result and its structured form; empty for none."""

    @property
    def reads(self) -> bool:
        """The tool changes nothing."""
        return self.effect is Effect.READ

    @property
    def terse(self) -> str:
        """The description up to the end of its first sentence, or its first semicolon."""
        return f"{_FIRST.split(self.description, maxsplit=1)[0].rstrip('.')}."

    def annotations(self) -> dict[str, bool]:
        """The MCP tool annotations, which follow from the declared effect."""
        hints: dict[str, bool] = {"readOnlyHint": self.reads}
        if not self.reads:
            hints["destructiveHint"] = self.effect is Effect.DESTRUCTIVE
        hints["idempotentHint"] = self.idempotent
        hints["openWorldHint"] = self.open_world
        return hints


def tool(
    *,
    effect: Effect,
    role: Role,
    idempotent: bool | None = None,
    limit: str | None = None,
    caller: CallerUse | None = None,
    caller_field: str = "agent_name",
    auto_join: bool | None = None,
    transactional: bool = True,
    needs_room: bool = True,
    creates_room: Literal["never", "allowed", "always"] | None = None,
    room_argument: str = "",
    start_room: bool = False,
    open_world: bool = False,
    errors: Sequence[type[MascError]] = (),
    examples: Sequence[Mapping[str, Any]] = ({},),
    keywords: str = "",
    counter: str = "",
) -> Callable[[F], F]:
    """Declare the decorated coroutine function a tool; registering it is the plugin's ``masc_tools`` hook.

    ``errors`` lists the codes beyond those every tool can return and those its parameters bring; ``examples`` are argument
    objects that the input contract accepts, kept in the tool's contract file. ``keywords`` are words for what the tool does
    that its name and description lack: the search of lean mode finds it by them, and no list has to carry them. Those
    that tell it from its neighbours stand before a semicolon and count more. ``counter`` names the number series that most
    calls take from with ``ctx.next_number``: it is read along with the room, which saves a look at the store.
    """
    reads = effect is Effect.READ

    def declare(function: F) -> F:
        declared = Tool(
            name=function.__name__,
            handler=function,
            description=" ".join((inspect.getdoc(function) or "").split("\n\n")[0].split()),
            effect=effect,
            role=role,
            idempotent=reads if idempotent is None else idempotent,
            limit=limit or ("read" if reads else "general"),
            caller=caller or (CallerUse.NONE if reads else CallerUse.REQUIRED),
            caller_field=caller_field,
            auto_join=(not reads and role is Role.WORKER) if auto_join is None else auto_join,
            transactional=transactional,
            needs_room=needs_room,
            creates_room=creates_room or ("never" if reads else "allowed"),
            room_argument=room_argument,
            start_room=start_room,
            open_world=open_world,
            errors=tuple(errors),
            examples=tuple(examples),
            keywords=keywords,
            counter=counter,
        )
        setattr(function, _DECLARATION, declared)
        return function

    return declare


def declaration(function: Callable[..., Any], plugin: str) -> Tool:
    """The declaration of a function that ``plugin`` registers as a tool.

    Raises :class:`masc_core.errors.StartError` naming both when the function is not declared completely.
    """
    found = getattr(function, _DECLARATION, None)
    name = getattr(function, "__name__", repr(function))
    if not isinstance(found, Tool):
        raise StartError(message=f"plugin {plugin}: tool {name} declares no effect and role; decorate it with @tool(…)")
    if not inspect.iscoroutinefunction(function):
        raise StartError(message=f"plugin {plugin}: tool {name} must be an async function")
    if not TOOL_NAME.match(found.name):
        raise StartError(message=f"plugin {plugin}: tool name {name!r} is malformed; use a-z, 0-9 and _, 3 to 64 long")
    for what, value, kind in (("effect", found.effect, Effect), ("role", found.role, Role)):
        if not isinstance(value, kind):
            raise StartError(
                message=f"plugin {plugin}: tool {name} declares no {what}; use a masc_core.{kind.__name__}"
            )
    if not found.description:
        raise StartError(message=f"plugin {plugin}: tool {name} has no description; give it a docstring")
    return found
