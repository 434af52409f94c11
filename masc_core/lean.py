"""The kernel's own tools, for mode lean: find a tool by words, then have it called.

What an invoker names runs as if it had been called itself: the kernel puts the named tool in its place before anything is
looked at (:meth:`masc_core.modes.Modes.asked`), so guards, limits, audit and dialogs see only that one. An invoker that runs
here has named nothing that it can run, and says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NoReturn

from masc_core._opposites import Opposites
from masc_core._thesaurus import ALIKE, ASKING, CHANGING, COMMON, SAME
from masc_core.call import Outcome, failure
from masc_core.context import Context
from masc_core.contracts import Contract, contract_of
from masc_core.errors import InvalidArgument, ToolNotFound, in_words
from masc_core.frozen import evolve, frozen
from masc_core.plugins import KERNEL_TOOLS, LEAN
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
_ASIDE = 1.4
"""What a tool counts more for an order that is charged as a reading one but leaves something behind, such as a heartbeat."""
_SWITCH = re.compile(r"\b(?:switch|turn)(?:ed|ing)?\b(.{1,40}?)\b(on|off)\b")
_LEADS = (
    "hey|hi|hello|please|pls|now|just|and|so|then|well|also|quickly",
    "(?:can|could|would|will) (?:you|we|i|somebody|someone)",
    "i(?: woul|')d like(?: you)?(?: to)?",
    "i(?: really)?(?: want| need| have|'ve got| wish| am going|'m going|'m about| am about| must| should)(?: you)? to",
    "i must|i should|we (?:want|need|have) to|we (?:should|must)",
    "it(?: i|')s time to|time to|go ahead and|help me(?: to)?",
    "(?:how|where) (?:do|can|should|could|would) (?:i|we|you|one)|how to|(?:is there )?an?y? way to|to",
    "(?:give|get|tell|show|bring|hand|send|notify|let)(?: me| us)?(?: an?| the)?(?: short| full| quick)?"
    "(?= (?:as soon|when|what|which|who|how|know|overview|list|summary|roster|snapshot|digest|total|history|breakdown)\\b)",
)
_LEAD = re.compile(rf"\W*(?:(?:{'|'.join(_LEADS)})\b[\s,]*)+")
"""What people say before they say what they want."""
_CLAUSE = re.compile(r"[;,.:!?]\s+|\b(?:and|so|but|then|please)\s+")
"""Where a sentence may come to its point."""
_NUMBERED = re.compile(r"\b([a-z]+)[- ]#?\d+\b")
_TAKES = 1.5
"""What a tool counts more that takes what a query names with a number, such as task-7."""
_PATH = re.compile(r"\S*(?:\w[./]\w|\w/)\S*|(?<!\S)(?:\.|[.~]*/)\S*\w\S*")
_SUFFIX = re.compile(r"[^/]\.\w+\W*$|^\.\w+\W*$")
"""A path ends in a suffix if it is a file's; any other may be where a room or a project is, which no tool for files takes."""
_PAUSE = re.compile(
    r"\b(?:pause|suspend|sleep|hold|rest|idle|block|stay|sit|do nothing)"
    r"(?: me| myself| here| still| on| everything)* (?=(?:until|till)\b)"
)
"""What is done until something happens is to wait, whatever it is called."""
_DOING = re.compile(r"\b(what(?: is| are|'s|'re)?(?: \w+){1,3}) (?:doing|up to|busy with)\b")
"""Words that say nothing elsewhere and are all there is here."""
_ABOUT = re.compile(
    r"(?<=\w )(?:(?<!what )(?<!how )(?<!me )(?<!us )(?<!know )(?<!knows )(?:about|regarding|concerning) (?!to\b)"
    r"|before (?=(?:i|we|you|he|she|it|they)\b))([^;,.:!?]+?)(?= (?:in|from|with|for|to|at|by)\b|[;,.:!?]|$)"
)
"""What something is about, or comes before, is not what is wanted now."""
_TITLE = re.compile(r"\"[^\"]+\"|\u201c[^\u201d]+\u201d|`[^`]+`|(?<!\w)'[^']+'(?!\w)")

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
        self._modes = modes
        self._contracts = modes.contracts(modes.installed)
        numbered = list(enumerate(self._contracts))
        self._shows = {i: _FAVOUR for i, contract in numbered if contract.tool.limit == "read"}
        self._changes = {i: _FAVOUR for i, _ in numbered if i not in self._shows}
        self._changes |= {i: _ASIDE for i in self._shows if not self._contracts[i].tool.reads}
        self._index = Index([_text(contract) for contract in self._contracts], _WEIGHTS, ALIKE, SAME, COMMON)
        self._opposites = Opposites(
            [contract.tool.name.removeprefix("masc_") for contract in self._contracts], self._index.meanings
        )
        self._takes = [frozenset(self._index.words(_things(contract))) for contract in self._contracts]

    def find(self, query: str) -> list[Contract]:
        """The tools for a query, best first; one that is named exactly goes before all others."""
        name = "_".join(query.lower().split())
        exact = [c for c in self._contracts if c.tool.name in {name, f"masc_{name}"}]
        query = _plain(query)
        intent = self._intent(query)
        # Who asks whether something is on or off wants neither switch.
        against = {} if intent is self._shows else self._opposites.factors(query)
        named = frozenset(self._index.words(" ".join(_NUMBERED.findall(query))))
        factors = {
            i: intent.get(i, 1.0) * against.get(i, 1.0) * (_TAKES if named & takes else 1.0)
            for i, takes in enumerate(self._takes)
        }
        aside = " ".join(_ABOUT.findall(query))
        ranked = self._index.ranked(_ABOUT.sub(" ", query) if aside else query, factors, aside)
        return exact + [c for i in ranked if (c := self._contracts[i]) not in exact]

    def _intent(self, query: str) -> Mapping[int, float]:
        """What the first word that says it makes count more."""
        for clause in _CLAUSE.split(query):
            word = clause.lstrip().partition(" ")[0].partition("'")[0].strip(",")
            if word in ASKING:
                return self._shows
            if word in CHANGING:
                return self._changes
        return {}


def _plain(query: str) -> str:
    """A query that begins with what is wanted, whose "turn the light on" says "turn on", and that names no file and no
    title: which one, no tool's words can tell."""
    query = query.lower().replace("\u2019", "'")
    query = _TITLE.sub(" ", query).strip() or query
    query = _SWITCH.sub(lambda found: f"turn {found[2]}{found[1]}", query)
    query = _DOING.sub(r"\1 happening", _PAUSE.sub("wait ", query))
    query = " ".join(_PATH.sub(lambda found: " file " if _SUFFIX.search(found[0]) else " directory ", query).split())
    lead = _LEAD.match(query)
    return query[lead.end() :] if lead else query


def _things(contract: Contract) -> str:
    """What the arguments of a tool number or identify: task for ``task_id``, step for ``source_step``."""
    return " ".join(name.removesuffix("_id").split("_")[-1] for name in contract.input["properties"])


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
        found = [c for c in modes.finder.find(query) if category in (None, c.tool.category)]
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
