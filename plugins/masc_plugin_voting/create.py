"""masc_vote_create: put a question to the agents of the room."""

from __future__ import annotations

from typing import Annotated

from masc_core import WORKER, WRITE, Bound, Context, Parsed, Title, tool
from masc_core.errors import InvalidArgument
from masc_core.frozen import frozen
from masc_core.values import agent_name, one_line
from masc_plugin_voting.records import Vote
from masc_plugin_voting.resolution import quoted, votes_of
from masc_plugin_voting.rules import likeness

__all__ = ["Created", "masc_vote_create"]


def _options(field: str, value: list[str]) -> list[str]:
    options = [one_line(f"{field}.{i}", option) for i, option in enumerate(value)]
    _ensure_distinct(field, options)
    return options


def _ensure_distinct(field: str, options: list[str]) -> None:
    looks = [likeness(option) for option in options]
    if "" in looks:
        raise InvalidArgument(field=f"{field}.{looks.index('')}", reason="blank", expected="must be more than blanks")
    if len(set(looks)) < len(looks):
        raise InvalidArgument(
            field=field, reason="duplicate", expected="must be distinct to the eye, ignoring case, secrets taken out"
        )


def _names(field: str, value: list[str]) -> list[str]:
    """Agent names, each once, ignoring case; the first spelling stays."""
    distinct: dict[str, str] = {}
    for i, item in enumerate(value):
        name = agent_name(f"{field}.{i}", item)
        distinct.setdefault(name.lower(), name)
    return list(distinct.values())


Options = Annotated[
    list[Annotated[str, Bound(minLength=1, maxLength=200)]], Bound(minItems=2, maxItems=20), Parsed(_options)
]
Names = Annotated[
    list[Annotated[str, Bound(minLength=1, maxLength=64, pattern="^[A-Za-z0-9_-]+$")]],
    Bound(minItems=1, maxItems=100),
    Parsed(_names),
]
RequiredVotes = Annotated[int, Bound(minimum=1, maximum=1000)]
DeadlineSeconds = Annotated[int, Bound(minimum=10, maximum=604_800)]


@frozen
class Created:
    """A new vote, and whom of its voters nobody knows yet."""

    vote: Vote
    unknown_eligible: list[str]


@tool(
    effect=WRITE,
    role=WORKER,
    caller_field="proposer",
    examples=(
        {
            "proposer": "claude",
            "topic": "Which database?",
            "options": ["SQLite", "PostgreSQL"],
            "deadline_seconds": 600,
        },
    ),
    keywords=(
        "create start call ask let everyone choose between propose decide democratic opinions preferences arrange "
        "vote options decision; open hold new team group disagree disagreement consensus majority choice alternative "
        "question think collect agreement organise organize run together set settle jointly design date multiple "
        "deadline undecided matter either"
    ),
    counter="vote",
)
async def masc_vote_create(
    ctx: Context,
    topic: Title,
    options: Options,
    required_votes: RequiredVotes = 2,
    deadline_seconds: DeadlineSeconds | None = None,
    eligible: Names | None = None,
) -> Created:
    """Put a decision to the vote; it ends when required_votes agents have voted and one option leads."""
    _ensure_distinct("options", options)  # again: redaction makes options the same that differ in a secret
    if eligible is not None and required_votes > len(eligible):
        most = len(eligible)
        raise InvalidArgument(
            field="required_votes", reason="maximum", expected=f"must be at most {most}, the number of eligible agents"
        )
    eligible, unknown = await _known(ctx, eligible)
    vote = await votes_of(ctx).add(
        Vote(
            id=f"vote-{await ctx.next_number('vote'):03d}",
            proposer=ctx.agent,
            topic=topic,
            options=options,
            required_votes=required_votes,
            created_at=ctx.now,
            eligible=eligible,
            deadline=None if deadline_seconds is None else ctx.after(deadline_seconds),
        )
    )
    _announce(ctx, vote)
    return Created(vote, unknown)


async def _known(ctx: Context, names: list[str] | None) -> tuple[list[str] | None, list[str]]:
    """The names as their agents write them, and those without an agent."""
    if names is None:
        return None, []
    agents = await ctx.agents.peek([name.lower() for name in names])
    known = [agent.name if agent else name for name, agent in zip(names, agents, strict=True)]
    return known, [name for name, agent in zip(names, agents, strict=True) if agent is None]


def _announce(ctx: Context, vote: Vote) -> None:
    limits = {"eligible": vote.eligible, "deadline": vote.deadline}
    given = {name: value for name, value in limits.items() if value is not None}
    ctx.event("vote_created", vote.id, status=vote.status, required_votes=vote.required_votes, **given)
    until = f" until {vote.deadline}" if vote.deadline else ""
    voters = f" from {', '.join(vote.eligible)}" if vote.eligible else ""
    choices = " | ".join(map(quoted, vote.options))
    ctx.system_message(
        f"{vote.id} by {vote.proposer}: {quoted(vote.topic)} [{choices}] needs {vote.required_votes} votes{voters}{until}"
    )
