"""Handlers of a wrong signature."""

from __future__ import annotations

from masc_core import READ, READER, Context, Title, frozen, tool


@frozen
class Note:
    title: str


@frozen
class Other:
    title: str


@tool(effect=READ, role=READER)  # error: mypy[type-var] pyright[reportArgumentType]
async def no_context(title: Title) -> Note:
    """Takes no context."""
    return Note(title)


@tool(effect=READ, role=READER)  # error: mypy[type-var] pyright[reportArgumentType]
async def nothing_at_all() -> Note:
    """Takes nothing."""
    return Note("")


@tool(effect=READ, role=READER)  # error: mypy[type-var] pyright[reportArgumentType]
def not_awaited(ctx: Context, title: Title) -> Note:
    """Is no coroutine."""
    return Note(title)


@tool(effect="read", role=READER)  # error: mypy[arg-type] pyright[reportArgumentType]
async def effect_as_text(ctx: Context) -> Note:
    """Has an effect that is none."""
    return Note(ctx.agent)


@tool(effect=READ)  # error: mypy[call-arg] pyright[reportCallIssue]
async def no_role(ctx: Context) -> Note:
    """Has no role."""
    return Note(ctx.agent)


@tool(effect=READ, role=READER, examples=("Remember",))  # error: mypy[arg-type] pyright[reportArgumentType]
async def example_as_text(ctx: Context) -> Note:
    """Has an example that is no object."""
    return Note(ctx.agent)


@tool(effect=READ, role=READER)
async def other_result(ctx: Context, title: Title) -> Note:
    """Gives something else than it says."""
    return Other(title)  # error: mypy[return-value] pyright[reportReturnType]


@tool(effect=READ, role=READER)
async def misspelt(ctx: Context) -> Note:
    """Asks the context for what it has not."""
    return Note(ctx.agentt)  # error: mypy[attr-defined] pyright[reportAttributeAccessIssue]


@tool(effect=READ, role=READER)
async def forgotten_await(ctx: Context) -> Note:
    """Takes a coroutine for what it gives."""
    return Note(str(ctx.next_number("note").bit_length()))  # error: mypy[attr-defined] pyright[reportAttributeAccessIssue]
