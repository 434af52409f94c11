"""The kernel's own tools, for mode lean: find a tool by words, then have it called.

What an invoker names runs as if it had been called itself: the kernel puts the named tool in its place before anything is
looked at (:meth:`masc_core.modes.Modes.asked`), so guards, limits, audit and dialogs see only that one. An invoker that runs
here has named nothing that it can run, and says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NoReturn

from masc_core.call import Outcome, failure
from masc_core.context import Context
from masc_core.contracts import Contract, contract_of
from masc_core.errors import InvalidArgument, ToolNotFound, in_words
from masc_core.frozen import evolve, frozen
from masc_core.plugins import KERNEL_TOOLS, LEAN
from masc_core.render import render
from masc_core.tools import DESTRUCTIVE, READ, READER, CallerUse, declaration, tool
from masc_core.values import Bound

if TYPE_CHECKING:
    from masc_core.identity import Client
    from masc_core.modes import Modes

__all__ = ["contracts", "explained"]

_LIMIT = 8

Query = Annotated[str, Bound(minLength=1, maxLength=200)]
ToolName = Annotated[str, Bound(minLength=1, maxLength=64)]


@frozen
class FoundTool:
    """One tool; ``allowed`` is false where the caller's role is too low."""

    name: str
    category: str
    summary: str
    role: str
    effect: str
    allowed: bool
    input_schema: dict[str, Any] | None = None


@frozen
class CategoryTools:
    """One installed category."""

    name: str
    tools: list[str] | None = None


@frozen
class Found:
    """Result of masc_find_tools."""

    tools: list[FoundTool]
    total: int
    more: bool
    categories: list[CategoryTools] | None = None


@frozen
class Anything:
    """The result of the tool that was named."""

    masc_open: ClassVar[bool] = True


@tool(effect=READ, role=READER, needs_room=False, start_room=True, examples=({"query": "vote"}, {"category": "comm"}))
async def masc_find_tools(
    ctx: Context,
    query: Query | None = None,
    category: str | None = None,
    detail: Literal["schema", "summary"] = "schema",
    limit: Annotated[int, Bound(minimum=1, maximum=20)] | None = None,
) -> Found:
    """Find tools, with their arguments, by words for what you want to do; without query, list a category's or all."""
    modes = ctx.modes
    if category is not None and category not in modes.installed:
        known = f"must be one of {in_words(modes.installed)}"
        raise InvalidArgument(field="category", reason="unknown", expected=known)
    if query is None and category is None:
        return Found([], 0, False, [_category(modes, name) for name in modes.installed])
    found = modes.contracts([category] if category else modes.installed)
    if query is not None:
        finder = await modes.made_finder()
        found = [c for c in finder.find(query) if category in (None, c.tool.category)]
    most = limit or (_LIMIT if query else len(found))
    shown = [_found(ctx, contract, detail) for contract in found[:most]]
    names = None if found else [CategoryTools(name) for name in modes.installed]
    return Found(shown, len(found), len(found) > most, names)


def _category(modes: Modes, name: str) -> CategoryTools:
    return CategoryTools(name, [contract.tool.name for contract in modes.contracts([name])])


def _found(ctx: Context, contract: Contract, detail: str) -> FoundTool:
    declared = contract.tool
    schema = contract.listed(ctx.call.client.caller_known) if detail == "schema" else None
    return FoundTool(
        declared.name,
        declared.category,
        declared.description,
        declared.role.label,
        declared.effect.value,
        ctx.granted >= declared.role,
        schema,
    )


@tool(
    effect=READ,
    role=READER,
    needs_room=False,
    start_room=True,
    errors=(ToolNotFound,),
    examples=({"name": "masc_tasks"},),
)
async def masc_call_read(ctx: Context, name: ToolName, arguments: dict[str, Any] | None = None) -> Anything:
    """Call a tool of effect read by name, as masc_find_tools shows it."""
    _refuse(ctx, name)


@tool(
    effect=DESTRUCTIVE,
    role=READER,
    needs_room=False,
    start_room=True,
    caller=CallerUse.NONE,
    creates_room="never",
    errors=(ToolNotFound,),
    examples=({"name": "masc_claim", "arguments": {"task_id": "task-001"}},),
)
async def masc_call_write(ctx: Context, name: ToolName, arguments: dict[str, Any] | None = None) -> Anything:
    """Call any tool by name, as masc_find_tools shows it; for what changes things."""
    _refuse(ctx, name)


def _refuse(ctx: Context, name: str) -> NoReturn:
    if name in KERNEL_TOOLS:
        raise InvalidArgument(field="name", reason="lean_tool", expected=f"{name} is called directly")
    ctx.modes.contract(name)
    raise InvalidArgument(field="name", reason="not_a_read", expected=f"{name} changes things; use masc_call_write")


def contracts() -> dict[str, Contract]:
    """The three tools' contracts, by name."""
    functions = (masc_find_tools, masc_call_read, masc_call_write)
    declared = (evolve(declaration(function, LEAN), category=LEAN) for function in functions)
    return {declared_tool.name: contract_of(declared_tool) for declared_tool in declared}


def explained(outcome: Outcome, contract: Contract, client: Client) -> Outcome:
    """A refusal for wrong arguments with the tool's schema, which the client has not seen in its list."""
    error = outcome.error
    if not isinstance(error, InvalidArgument):
        return outcome
    schema = contract.listed(client.caller_known or client.token is not None)
    refused = failure(
        InvalidArgument(field=error.field, reason=error.reason, expected=error.expected, input_schema=schema)
    )
    return evolve(refused, text=f"{refused.text}\n{render({'input_schema': schema})}")
