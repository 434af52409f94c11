"""The kernel's own tools, for mode lean: find a tool by words, then have it called.

What an invoker names runs as if it had been called itself: the kernel puts the named tool in its place before anything is
looked at (:meth:`masc_core.modes.Modes.asked`), so guards, limits, audit and dialogs see only that one. An invoker that runs
here has named nothing that it can run, and says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NoReturn

from masc_core._thesaurus import ALIKE, ASKING, CHANGING, SAME
from masc_core.call import Outcome, failure
from masc_core.context import Context
from masc_core.contracts import Contract, contract_of
from masc_core.errors import InvalidArgument, ToolNotFound, in_words
from masc_core.frozen import evolve, frozen
from masc_core.plugins import KERNEL_TOOLS, LEAN
from masc_core.questions import Questions, questions_for
from masc_core.search import Index
from masc_core.tools import DESTRUCTIVE, READ, READER, CallerUse, declaration, tool
from masc_core.values import Bound

if TYPE_CHECKING:
    from masc_core.identity import Client
    from masc_core.modes import Modes

__all__ = ["Finder", "contracts", "explained"]

_LIMIT = 8
_WEIGHTS = {
    "name": (6.0, 0.5),
    "core": (4.0, 0.3),
    "keywords": (1.5, 0.3),
    "description": (0.5, 0.5),
    "arguments": (0.2, 0.5),
}
_FAVOUR = 1.6
"""What a tool that only shows counts more for a question, and one that changes something for an order."""
_HARMLESS = 1.3
"""What a tool that only shows counts more where nothing tells, as in "encryption": to be shown too much costs little."""
_SWITCH = re.compile(r"\b(switch|turn)(?:ed|ing)?\b(.{1,40}?) (on|off)\b")
_CLAUSE = re.compile(r"[;,.:!?]\s+|\b(?:and|so|but|then|please)\s+")
"""Where a sentence may come to its point."""
_TRUST = 0.2
"""The weight of what is known to be asked of the tools, against their own words: they are in no relation of probability."""
_UNASKED = 1e-4
"""The least share of a tool whose questions are known: they are never all."""
_UNKNOWN = 0.85
"""What a tool counts that nobody is known to ask for like this, where little is known of it."""
_MANY = 50
"""From how many questions on much is known of a tool, so that it tells against it not to be asked like this."""
_SURE = 0.9
"""The share from which a tool is what is wanted, though no word of the question is its own."""
_TOKEN = re.compile(r"\w+")
_FILE = re.compile(r"\S*[./]\w\S*")

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


class Finder:
    """Searches the installed tools."""

    def __init__(self, modes: Modes) -> None:
        self._contracts = modes.contracts(modes.installed)
        numbered = list(enumerate(self._contracts))
        self._shows = {i: _FAVOUR for i, contract in numbered if contract.tool.limit == "read"}
        self._harmless = {i: _HARMLESS for i, contract in numbered if contract.tool.reads}
        self._changes = {i: _FAVOUR for i, _ in numbered if i not in self._shows}
        self._index = Index([_text(contract) for contract in self._contracts], _WEIGHTS, ALIKE, SAME)
        self._names = [(contract.tool.name, _words(contract.tool.name)) for contract in self._contracts]
        asked = questions_for([contract.tool for contract in self._contracts])
        self._questions = Questions(asked)
        self._little_known = frozenset(i for i, questions in asked.items() if len(questions) < _MANY)

    def find(self, query: str) -> list[Contract]:
        """The tools for a query, best first; those that are named go before all others."""
        query = _SWITCH.sub(r"\1 \3\2", query.lower().replace("\u2019", "'"))
        shares = self._questions.shares(query)
        ranked = self._index.ranked(query, self._factors(query, shares))
        sure = [i for i, share in shares.items() if share >= _SURE]
        found = dict.fromkeys([*self._named(query), *(i for i in sure if i not in ranked), *ranked])
        return [self._contracts[i] for i in found]

    def _factors(self, query: str, shares: Mapping[int, float]) -> Mapping[int, float]:
        """What each tool counts more, or less, than its words alone say."""
        factors = dict(self._intent(query))
        for i in range(len(self._contracts)) if shares else ():
            asked = (shares[i] + _UNASKED) ** _TRUST if i in shares else _UNKNOWN
            factors[i] = factors.get(i, 1.0) * (max(asked, _UNKNOWN) if i in self._little_known else asked)
        return factors

    def _named(self, query: str) -> list[int]:
        """The tools that are named: by all words of their names in any order, or as clients write them, wherever it is."""
        words = _words(query)
        if whole := [i for i, (_, own) in enumerate(self._names) if own == words]:
            return whole
        tokens = (token.strip("_") for token in _TOKEN.findall(_FILE.sub(" ", query)))
        return [
            i for token in tokens for i, (name, _) in enumerate(self._names)
            if "_" in name and (token == name or token.endswith(f"_{name}"))
        ]  # fmt: skip

    def _intent(self, query: str) -> Mapping[int, float]:
        """What the first word that says it makes count more."""
        for clause in _CLAUSE.split(query):
            word = clause.lstrip().partition(" ")[0].partition("'")[0].strip(",")
            if word in ASKING:
                return self._shows
            if word in CHANGING:
                return self._changes
        return self._harmless


def _words(name: str) -> list[str]:
    """The words of a name, in the order of the alphabet."""
    return sorted(_TOKEN.findall(name.removeprefix("masc_").replace("_", " ")))


def _text(contract: Contract) -> Mapping[str, str]:
    tool = contract.tool
    properties = contract.input["properties"]
    core, _, others = tool.keywords.rpartition(";")
    choices = (str(choice) for schema in properties.values() for choice in schema.get("enum", ()))
    return {
        "name": tool.name.removeprefix("masc_"),
        "description": tool.description,
        "core": core,
        "keywords": others,
        "arguments": " ".join([*(name for name in properties if name != tool.caller_field), *choices]),
    }


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
    return failure(
        InvalidArgument(field=error.field, reason=error.reason, expected=error.expected, input_schema=schema)
    )
