"""The mode's tools."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from attrs import field

from masc_core import ADMIN, READ, READER, WRITE, Bound, CallerUse, Context, Verbatim, tool
from masc_core.errors import BudgetTooSmall, InvalidArgument, ModeFixed, NotInitialised, Unauthorized
from masc_core.frozen import evolve, frozen
from masc_core.modes import MAX_TOKENS, Active, Selection
from masc_core.presets import Mode
from masc_core.records import AGENT_MODES, AgentMode
from masc_core.remembered import Rows, share
from masc_core.tokens import TOKENIZER
from masc_plugin_core.advice import Advice, advice, by_use

__all__ = ["masc_get_config", "masc_switch_mode"]

ModeName = Literal["minimal", "solo", "standard", "parallel", "full", "custom", "lean", "budget", "inherit"]
MaxTokens = Annotated[int, Bound(minimum=MAX_TOKENS[0], maximum=MAX_TOKENS[-1])]


MOST_DESCRIBED = 64
"""Sets of categories whose description is kept."""
_GONE = "its plugin is not installed any more, so mode standard is in force"
_CHOSEN = {"custom": "the categories you chose", "budget": "the categories that fit the tokens you allow"}


@frozen
class CategoryInfo:
    """One installed category; ``tokens`` in this client's form of the list."""

    name: str
    plugin: str
    version: str
    tools: int
    tokens: int
    estimated: bool
    enabled: bool


@frozen
class ModeInfo:
    """One mode that can be switched to."""

    name: str
    description: str
    categories: list[str]
    tool_count: int
    tokens: int


@frozen
class Config:
    """Result of masc_get_config."""

    mode: str
    mode_source: str
    mode_description: str
    enabled_categories: list[str]
    disabled_categories: list[str]
    enabled_tool_count: int
    tool_tokens: int
    tokenizer: str
    categories: list[CategoryInfo] = field(factory=list)
    available_modes: list[ModeInfo] = field(factory=list)
    plugins_missing: list[str] | None = None
    max_tokens: int | None = None
    order: str | None = None
    advice: Advice | None = None


@frozen
class Switched(Config):
    """Result of masc_switch_mode."""

    previous_mode: str = ""
    changed: bool = False


class _Described(dict[Any, Any]):
    """What there is to choose from, which stays the same while the process runs: the modes by whether the caller is known,
    the categories by that and by which are enabled."""


def _choices(ctx: Context, active: Active) -> tuple[list[CategoryInfo], list[ModeInfo]]:
    known, described = ctx.call.client.caller_known, ctx.remember(_Described)
    if len(described) >= MOST_DESCRIBED:
        described.clear()
    if known not in described:
        described[known] = Rows(_mode(ctx, mode, known) for mode in ctx.modes.presets.values())
    asked = known, active.categories
    if asked not in described:
        enabled = active.categories
        described[asked] = Rows(_category(ctx, name, known, name in enabled) for name in ctx.modes.installed)
    # Each time: what is marked as shared may be forgotten.
    return share(described[asked]), share(described[known])


def _category(ctx: Context, name: str, known: bool, enabled: bool) -> CategoryInfo:
    plugin, cost = ctx.plugin_of(name), ctx.modes.cost([name], known)
    tools = len(ctx.modes.contracts([name]))
    return CategoryInfo(name, plugin.distribution, plugin.version, tools, cost.tokens, cost.estimated, enabled)


def _mode(ctx: Context, mode: Mode, known: bool) -> ModeInfo:
    shown = ctx.modes.resolve(Selection(mode.name)).categories
    tools, cost = len(ctx.modes.contracts(shown)), ctx.modes.cost(shown, known)
    return ModeInfo(mode.name, mode.description, list(shown), tools, cost.tokens)


async def _describe(ctx: Context, active: Active) -> Config:
    modes, known = ctx.modes, ctx.call.client.caller_known
    infos, available = _choices(ctx, active)
    selection = active.selection
    name = selection.mode
    return Config(
        mode=name,
        mode_source=active.selection.source,
        mode_description=modes.presets[name].description if name in modes.presets else _CHOSEN.get(name, _GONE),
        enabled_categories=list(active.categories),
        disabled_categories=[c for c in modes.installed if c not in active.categories],
        enabled_tool_count=len(modes.contracts(active.categories)),
        tool_tokens=modes.cost(active.categories, known).tokens,
        tokenizer=TOKENIZER,
        categories=infos,
        available_modes=available,
        plugins_missing=list(active.missing) or None,
        max_tokens=selection.max_tokens,
        order=selection.order,
        advice=await advice(ctx, active),
    )


@tool(
    effect=WRITE,
    role=READER,
    idempotent=True,
    caller=CallerUse.NONE,
    start_room=True,
    errors=(ModeFixed, Unauthorized, BudgetTooSmall),
    examples=({"mode": "full"},),
    keywords=(
        "enable disable tools reduce context more activate categories; going mode minimal standard solo parallel lean "
        "full preset show limit save tokens fewer budget hide load unload vote portal not fit default toolset "
        "functions feature bigger smaller larger whole profile shrink cut trim window expose unlock capability switch "
        "expand extend add remove unavailable missing hidden access toolbox offered needless short visible turn"
    ),
)
async def masc_switch_mode(
    ctx: Context,
    mode: ModeName,
    categories: Annotated[list[str], Bound(maxItems=64), Verbatim()] | None = None,
    max_tokens: MaxTokens | None = None,
    order: Literal["value", "use"] | None = None,
    scope: Literal["agent", "room"] | None = None,
) -> Switched:
    """Choose which tool categories exist; custom takes categories, budget max_tokens."""
    selection = ctx.call.active.selection
    if selection.fixed:
        raise ModeFixed(mode=selection.mode, fixed_by=selection.source)
    if mode == "inherit" and (categories or max_tokens):
        field_name, goes_with = ("categories", "custom") if categories else ("max_tokens", "budget")
        raise InvalidArgument(field=field_name, reason="conflict", expected=f"goes with mode {goes_with}, not inherit")
    if order is not None and (mode != "budget" or categories):
        raise InvalidArgument(field="order", reason="conflict", expected="goes with mode budget")
    authenticated = ctx.caller.auth == "token"
    if scope == "agent" and not authenticated:
        raise Unauthorized(reason="missing_token")
    own = scope == "agent" or (scope is None and authenticated)
    if not own:
        ctx.ensure_role(ADMIN)
    chosen = None
    if mode != "inherit":
        chosen = ctx.modes.check(
            "custom" if categories else mode,
            categories or [],
            "agent" if own else "room",
            max_tokens,
            by_use=await by_use(ctx) if order == "use" else None,
            caller_known=own,
        )
    previous, wanted, changed = await (_switch_own(ctx, chosen) if own else _switch_room(ctx, chosen))
    config = await _describe(ctx, ctx.modes.resolve(wanted))
    return Switched(**{a: getattr(config, a) for a in Config.__annotations__}, previous_mode=previous, changed=changed)


async def _switch_room(ctx: Context, chosen: Selection | None) -> tuple[str, Selection, bool]:
    """Store the room's mode; the mode before, the one in force, and whether that is a change."""
    room = ctx.room
    if room is None:
        raise NotInitialised(path=str(ctx.base))
    before = ctx.modes.stored(room)
    stored = evolve(
        room,
        mode=chosen.mode if chosen else None,
        mode_categories=list(chosen.categories) or None if chosen else None,
        mode_max_tokens=chosen.max_tokens if chosen else None,
        mode_order=chosen.order if chosen else None,
    )
    wanted = ctx.modes.stored(stored)
    if stored != room:
        ctx.save_room(stored)
        ctx.event("mode_switched", room.id, old=before.mode, new=wanted.mode, categories=list(wanted.categories))
    return before.mode, wanted, stored != room


async def _switch_own(ctx: Context, chosen: Selection | None) -> tuple[str, Selection, bool]:
    """As :func:`_switch_room`, for the agent whose token it is."""
    agent = ctx.caller.by or ctx.agent
    modes = ctx.collection(AGENT_MODES)
    kept = await modes.find(agent.lower())
    before = ctx.modes.stored(ctx.room, kept)
    if chosen is None:
        stored = None
        if kept is not None:
            modes.delete(kept)
    else:
        stored = evolve(
            kept or AgentMode(agent, ""),
            mode=chosen.mode,
            categories=list(chosen.categories) or None,
            max_tokens=chosen.max_tokens,
            order=chosen.order,
        )
        if stored != kept:
            modes.put(stored)
    wanted = ctx.modes.stored(ctx.room, stored)
    if stored != kept:
        ctx.event("mode_switched", agent, old=before.mode, new=wanted.mode, categories=list(wanted.categories))
    return before.mode, wanted, stored != kept


@tool(
    effect=READ,
    role=READER,
    needs_room=False,
    start_room=True,
    keywords=(
        "configuration mode tokens cost tools show unused categories plugins choose; enable switch available current "
        "activate not install version server set options preferences setup profile information count overhead context "
        "load preset present effective consume waste find heavy"
    ),
)
async def masc_get_config(ctx: Context) -> Config:
    """Show the mode, its categories, what the tool list costs and which of it is never used."""
    return await _describe(ctx, ctx.call.active)
