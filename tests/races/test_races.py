"""Pairs of calls that could get in each other's way, one committed in every gap of the other, both ways round.

To add a pair, add a :class:`Story`; whatever it does, the outcome must be that of some order.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from race_support import Answer, Call, Rooms, Story, ends_in_order, in_every_gap

from masc_core.contracts import contract_of
from masc_core.identity import Client, process_binding
from masc_core.plugins import Registry
from masc_core.settings import Settings, StorageSettings
from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app
from masc_core.tools import declaration
from masc_plugin_auth.local import masc_auth_reset


def person(masc: MascApp, before: Sequence[Answer]) -> Client:
    """Whoever sits at the machine."""
    return Client(transport="local", source="local", bindings=("process:here",), person="human:root")


def session(masc: MascApp, before: Sequence[Answer]) -> Client:
    """One open MCP session."""
    binding = f"session:one@{process_binding().partition(':')[2]}"
    masc.kernel.bindings.sessions.add(binding)
    return masc.client(bindings=(binding,))


def bound(agent: str) -> Callable[[MascApp, Sequence[Answer]], Client]:
    """The client at the endpoint of an agent."""
    return lambda masc, before: masc.client(agent, bindings=(f"agent:{agent}",))


def with_token(place: int, *path: str) -> Callable[[MascApp, Sequence[Answer]], Client]:
    """A client with the token that an earlier answer has."""

    def of(masc: MascApp, before: Sequence[Answer]) -> Client:
        found: Any = before[place]
        for name in path:
            found = found[name]
        return masc.client(token=found)

    return of


def joining_by_secret(masc: MascApp, before: Sequence[Answer]) -> Client:
    return Client(
        transport="stdio", source="stdio", bindings=("process:elsewhere:1:1",), room_secret=before[0]["room_secret"],
        selection=masc.kernel.modes.check("full", (), "process"),
    )  # fmt: skip


def call(tool: str, agent: str | None = None, /, **arguments: Any) -> Call:
    return Call(tool, agent, arguments)


def by(of: Callable[[MascApp, Sequence[Answer]], Client], tool: str, **arguments: Any) -> Call:
    return Call(tool, None, arguments, of)


HERE = tuple(call("masc_join", name) for name in ("ann", "bob", "cleo"))
BOARD = (
    *HERE,
    call("masc_add_task", "ann", title="one"),
    call("masc_add_task", "ann", title="two"),
    call("masc_add_task", "ann", title="three", depends_on=["task-001", "task-002"]),
    call("masc_claim", "ann", task_id="task-002"),
    call("masc_claim", "ann", task_id="task-001"),
)
FREE = (*HERE, call("masc_add_task", "ann", title="one"))
LOCKED = (*HERE, call("masc_lock", "ann", file_path="src/a.py", ttl_seconds=60))
PORTAL = (*HERE, call("masc_portal_open", "ann", target_agent="bob", initial_message="look"))
VOTE = (
    *HERE,
    call("masc_vote_create", None, proposer="ann", topic="t", options=["x", "y"]),
    call("masc_vote_cast", "ann", vote_id="vote-001", choice="x"),
)
ENABLE = Call("masc_auth_enable", None, {"deliver": "result"}, person)
ADMIN = with_token(0, "admin", "token")
AUTH = (
    ENABLE,
    by(person, "masc_auth_create_token", agent_name="second", role="admin", deliver="result"),
)
SECOND = with_token(1, "token")
RESET = Call(contract_of(declaration(masc_auth_reset, "auth")), None, {"deliver": "result"}, person)
ASK = {"task_id": "task-001", "step": 1, "action": "drop", "message": "sure?"}
ASKED = (call("masc_join", "ann"), by(bound("ann"), "masc_interrupt", **ASK))
DONE = call("masc_done", "ann", task_id="task-001")
NEXT = call("masc_claim_next", "bob")
LEAVE = call("masc_leave", "ann")
RELEASE = call("masc_transition", "ann", task_id="task-002", action="release")
APPROVE = by(bound("bob"), "masc_approve", task_id="task-001")
NEW_ADMIN = {"agent_name": "third", "role": "admin", "deliver": "result"}

STORIES = [
    Story(
        "overlapping locks",
        HERE,
        call("masc_lock", "ann", file_path="src/"),
        call("masc_lock", "bob", file_path="src/a.py"),
    ),
    Story(
        "a lock on an expired lock, and its renewal",
        LOCKED,
        call("masc_lock", "bob", file_path="src/"),
        call("masc_lock", "ann", file_path="src/a.py"),
        seconds=60,
    ),
    Story("leave and lock", HERE, LEAVE, call("masc_lock", "ann", file_path="a.py")),
    Story("leave and renew", LOCKED, LEAVE, call("masc_lock", "ann", file_path="src/a.py")),
    Story("leave and claim", FREE, LEAVE, call("masc_claim", "ann", task_id="task-001")),
    Story("leave and claim next", FREE, LEAVE, call("masc_claim_next", "ann")),
    Story("leave and open a portal", HERE, LEAVE, call("masc_portal_open", "ann", target_agent="bob")),
    Story(
        "leave and be sent to", HERE, LEAVE, call("masc_portal_open", "bob", target_agent="ann", initial_message="m")
    ),
    Story("leave and reserve", HERE, LEAVE, call("masc_add_task", "bob", title="t", assignee="ann")),
    Story(
        "leave and reserve by type",
        (call("masc_join", "ann-one", agent_type="ann"), call("masc_join", "bob")),
        call("masc_leave", "ann-one"),
        call("masc_add_task", "bob", title="t", assignee="ann"),
    ),
    Story("leave with tasks and release", BOARD, call("masc_leave", "ann", keep_tasks=True), RELEASE),
    Story("leave and send", PORTAL, LEAVE, call("masc_portal_send", "bob", message="m")),
    Story("leave and start anew", BOARD, LEAVE, call("masc_start", "ann", task_title="one")),
    Story("two claims", FREE, call("masc_claim", "ann", task_id="task-001"), NEXT),
    Story("two claims of the next", FREE, call("masc_claim_next", "ann"), NEXT),
    Story("claim next and a priority", FREE, NEXT, call("masc_update_priority", "ann", task_id="task-001", priority=1)),
    Story(
        "claim next and a less urgent task",
        FREE,
        NEXT,
        call("masc_update_priority", "ann", task_id="task-001", priority=5),
    ),
    Story("done and claim next", BOARD, DONE, NEXT),
    Story("the last two dependencies", BOARD, DONE, call("masc_done", "ann", task_id="task-002")),
    Story(
        "the last two dependencies, of two agents",
        (
            *HERE,
            call("masc_add_task", "ann", title="one"),
            call("masc_add_task", "ann", title="two"),
            call("masc_add_task", "ann", title="three", depends_on=["task-001", "task-002"]),
            call("masc_claim", "ann", task_id="task-001"),
            call("masc_claim", "bob", task_id="task-002"),
        ),
        DONE,
        call("masc_done", "bob", task_id="task-002"),
    ),
    Story("done and release", BOARD, DONE, RELEASE),
    Story(
        "an admin's cancel and a release",
        BOARD,
        by(person, "masc_transition", task_id="task-001", action="cancel"),
        RELEASE,
    ),
    Story("done and a dependent", BOARD, DONE, call("masc_add_task", "bob", title="t", depends_on=["task-001"])),
    Story("done and a tagged lock", BOARD, DONE, call("masc_lock", "ann", file_path="a.py", task_id="task-001")),
    Story(
        "join again and an admin's release",
        (
            *BOARD,
            call("masc_transition", "ann", task_id="task-002", action="start"),
            call("masc_leave", "ann", keep_tasks=True),
        ),
        call("masc_join", "ann"),
        by(person, "masc_transition", task_id="task-001", action="release"),
    ),
    Story("two of one name", HERE, call("masc_join", "dan"), call("masc_join", "dan")),
    Story(
        "one client twice under a taken name",
        HERE,
        by(session, "masc_join", agent_name="ann"),
        by(session, "masc_join", agent_name="ann"),
    ),
    Story(
        "two nicknames of one client",
        HERE,
        by(session, "masc_join", nickname=True),
        by(session, "masc_join", nickname=True),
    ),
    Story(
        "start the same task twice",
        HERE,
        call("masc_start", "ann", task_title="t"),
        call("masc_start", "ann", task_title="t"),
    ),
    Story(
        "two last votes",
        VOTE,
        call("masc_vote_cast", "bob", vote_id="vote-001", choice="x"),
        call("masc_vote_cast", "cleo", vote_id="vote-001", choice="y"),
    ),
    Story(
        "a last vote and the end",
        VOTE,
        call("masc_vote_cast", "bob", vote_id="vote-001", choice="x"),
        call("masc_vote_cast", "ann", vote_id="vote-001", cancel=True),
    ),
    Story(
        "two that open one portal",
        HERE,
        call("masc_portal_open", "ann", target_agent="bob"),
        call("masc_portal_open", "bob", target_agent="ann"),
    ),
    Story("close and send", PORTAL, call("masc_portal_close", "bob"), call("masc_portal_send", "ann", message="m")),
    Story(
        "close and answer",
        PORTAL,
        call("masc_portal_close", "ann"),
        call("masc_portal_send", "bob", message="m", reply_to="a2a-000001", result_status="completed"),
    ),
    Story(
        "close and a second portal",
        PORTAL,
        call("masc_portal_close", "bob", to="ann"),
        call("masc_portal_open", "cleo", target_agent="bob"),
    ),
    Story("approve and reject", ASKED, APPROVE, by(bound("cleo"), "masc_reject", task_id="task-001")),
    Story(
        "one question, twice",
        (call("masc_join", "ann"),),
        by(bound("ann"), "masc_interrupt", **ASK),
        by(bound("ann"), "masc_interrupt", **ASK),
    ),
    Story("approve and ask again", ASKED, APPROVE, by(bound("ann"), "masc_interrupt", **ASK)),
    Story(
        "two branches",
        (*ASKED, APPROVE),
        call("masc_branch", "ann", task_id="task-001", source_step=1, branch_name="a"),
        call("masc_branch", "bob", task_id="task-001", source_step=1, branch_name="b"),
    ),
    Story(
        "the last two admins go",
        AUTH,
        by(person, "masc_auth_revoke", agent_name="admin"),
        by(person, "masc_auth_revoke", agent_name="second"),
    ),
    Story(
        "two admins revoke each other",
        AUTH,
        by(ADMIN, "masc_auth_revoke", agent_name="second"),
        by(SECOND, "masc_auth_revoke", agent_name="admin"),
        refusals_alike=True,
    ),
    Story(
        "the last two admins become workers",
        AUTH,
        by(person, "masc_auth_create_token", agent_name="admin", deliver="result"),
        by(person, "masc_auth_create_token", agent_name="second", deliver="result"),
    ),
    Story(
        "a revoked admin makes another",
        AUTH,
        by(SECOND, "masc_auth_create_token", **NEW_ADMIN),
        by(ADMIN, "masc_auth_revoke", agent_name="second"),
    ),
    Story("begin anew and a new token", AUTH, RESET, by(person, "masc_auth_create_token", **NEW_ADMIN)),
    Story("begin anew and an admin's new token", AUTH, RESET, by(SECOND, "masc_auth_create_token", **NEW_ADMIN)),
    Story("begin anew and join", AUTH, RESET, by(joining_by_secret, "masc_join", agent_name="dan", deliver="result")),
    Story(
        "two tokens of one agent",
        AUTH,
        by(person, "masc_auth_create_token", **NEW_ADMIN),
        by(person, "masc_auth_create_token", **NEW_ADMIN),
    ),
    Story("auth on twice", (), ENABLE, ENABLE),
]


ON_FILES = (
    "overlapping locks",
    "leave and lock",
    "leave and open a portal",
    "two claims of the next",
    "one question, twice",
    "two nicknames of one client",
    "the last two admins go",
)
"""Those whose two calls are made by two servers on one SQLite file as well."""


def _named(story: Story) -> str:
    return story.name.replace(" ", "-")


@pytest.fixture(autouse=True)
def _the_same_nicknames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "shuffle", lambda pairs: None)


async def _check(rooms: Rooms, story: Story) -> None:
    allowed = await ends_in_order(rooms, story)
    gaps = 0
    async for gap, outcome in in_every_gap(rooms, story):
        gaps += 1
        assert outcome in allowed, f"{story.name}: the other call in gap {gap}"
    assert gaps >= 2


@pytest.mark.parametrize("turn", ["as-told", "reversed"])
@pytest.mark.parametrize("story", STORIES, ids=_named)
async def test_two_calls_end_as_if_one_came_after_the_other(story: Story, turn: str, registry: Registry) -> None:
    @asynccontextmanager
    async def rooms() -> AsyncIterator[tuple[MascApp, MascApp]]:
        async with masc_app(Path("/nonexistent"), clock=ManualClock(), registry=registry) as masc:
            yield masc, masc

    await _check(rooms, story if turn == "as-told" else story.reversed)


@pytest.mark.parametrize("story", [story for story in STORIES if story.name in ON_FILES], ids=_named)
async def test_so_do_the_calls_of_two_servers_on_one_file(story: Story, registry: Registry, tmp_path: Path) -> None:
    settings = Settings(cluster="races", storage=StorageSettings(durability="process"))
    numbers = count()

    @asynccontextmanager
    async def rooms() -> AsyncIterator[tuple[MascApp, MascApp]]:
        path, clock = tmp_path / str(next(numbers)), ManualClock()
        path.mkdir()
        async with AsyncExitStack() as both:
            one, other = [
                await both.enter_async_context(
                    masc_app(path, backend="sqlite", clock=clock, settings=settings, registry=registry)
                )
                for _ in range(2)
            ]
            yield one, other

    await _check(rooms, story)


def test_every_story_of_the_files_is_told() -> None:
    assert {story.name for story in STORIES} >= set(ON_FILES)
    assert len({story.name for story in STORIES}) == len(STORIES)
