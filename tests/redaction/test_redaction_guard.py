"""Where secrets are replaced: in every text of every call, before anything is stored."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
import pytest
from postgres_fixtures import local_stores
from redaction_corpus import secrets

from masc_core import WORKER, WRITE, AgentName, Bound, Context, FilePath, Log, TaskId, Verbatim, hookimpl, tool
from masc_core._texts import texts_of
from masc_core.call import Call
from masc_core.frozen import frozen
from masc_core.plugins import Registry, load
from masc_core.settings import Settings
from masc_core.store.driver import Scan
from masc_core.testing.app import MascApp, masc_app
from masc_core.values import Capabilities
from masc_plugin_redaction.engine import Redactor
from masc_plugin_redaction.settings import RedactionSettings

GITHUB = "gh" + "p_" + "a1B2" * 9
WORD = "0123456789abcdef" * 4


@frozen
class Option:
    """A record as an argument."""

    path: Annotated[str, Verbatim()]
    label: str


@frozen
class Kept:
    """A result, and what is stored."""

    data: dict[str, Any]
    seq: int = 0


KEPT = Log("kept", Kept)


@tool(effect=WRITE, role=WORKER)
async def probe_keep(
    ctx: Context,
    plain: str = "",
    name: Annotated[str, Verbatim()] = "",
    word: Annotated[str, Bound(pattern="^[A-Za-z0-9_:-]+$")] | None = None,
    password: str = "",
    state: dict[str, Any] | None = None,
    options: list[Option] | None = None,
    lines: list[str] | None = None,
    file_path: FilePath | None = None,
    anything: Any = None,
    choice: Literal["one", "two"] | None = None,
    number: int = 0,
) -> Kept:
    """Keep what was given."""
    given: dict[str, Any] = {
        "plain": plain,
        "name": name,
        "word": word,
        "password": password,
        "state": state,
        "options": options,
    }
    given |= {"lines": lines, "file_path": file_path, "anything": anything, "choice": choice, "number": number}
    kept = Kept({key: value for key, value in given.items() if value})
    ctx.log(KEPT).append(kept)
    return kept


class Category:
    """A third party's category."""

    @hookimpl
    def masc_tools(self, register: Any) -> None:
        register(probe_keep)

    @hookimpl
    def masc_records(self, register: Any) -> None:
        register(KEPT)


class Probe:
    """A third party's guard that knows a secret."""

    def __init__(self) -> None:
        self.asked: list[Sequence[str]] = []

    @hookimpl
    async def masc_known_secrets(self, ctx: Context, words: Sequence[str]) -> Mapping[str, Any]:
        self.asked.append(words)
        return {"secrets": [w for w in words if w == WORD]}


@pytest.fixture
def probe() -> Probe:
    return Probe()


@pytest.fixture
async def app(tmp_path: Path, probe: Probe) -> AsyncIterator[MascApp]:
    async with masc_app(tmp_path, backend="sqlite", extra=[("guard:probe", probe), ("probe", Category())]) as app:
        yield app


async def dump(app: MascApp) -> str:
    """Everything in the store."""
    driver = app.kernel.start_room.driver
    found = []
    for declared in app.kernel.registry.records:
        if isinstance(declared, Log):
            found += [entry.body for entry in await driver.read_log(declared.name, 0, 10_000)]
        else:
            found += [document.body for document in await driver.scan(Scan(declared.name, limit=10_000))]
    return b"\n".join(found).decode()


async def test_a_broadcast_with_a_github_token_says_so_and_leaves_it_nowhere(
    masc: MascApp, caplog: pytest.LogCaptureFixture
) -> None:
    """Acceptance 5."""
    with caplog.at_level(logging.DEBUG):
        sent = await masc.outcome("masc_broadcast", message=f"use {GITHUB} @gemini", agent_name="claude")
    assert sent.structured["redacted"] == {"github_token": 1}
    assert "github_token" in sent.text
    page = await masc.call("masc_messages", "gemini")
    assert [m["content"] for m in page["messages"] if m["type"] == "broadcast"] == [
        "use [REDACTED:github_token] @gemini"
    ]
    assert GITHUB not in await dump(masc) + caplog.text + sent.text + str(sent.structured)


async def test_a_state_stays_json_with_only_the_value_replaced(app: MascApp) -> None:
    """Acceptance 4, for any tool that takes an object."""
    kept = await app.call("probe_keep", "claude", state={"cfg": {"password": "hunter2x", "n": 1}})
    assert kept["data"] == {"state": {"cfg": {"password": "[REDACTED:password]", "n": 1}}}
    entry = (await app.kernel.start_room.driver.read_log("kept"))[0]
    assert orjson.loads(entry.body)["data"] == kept["data"]


async def test_the_state_of_an_interrupt_stays_json(masc: MascApp) -> None:
    """Acceptance 4."""
    state = {"cfg": {"password": "hunter2x", "n": 1}}
    arguments = {"task_id": "task-001", "step": 1, "action": "deploy", "message": f"with {GITHUB}?", "state": state}
    raised = await masc.call("masc_interrupt", "claude", **arguments)
    assert raised["redacted"] == {"password": 1, "github_token": 1}
    stored = await dump(masc)
    assert '"state":{"cfg":{"password":"[REDACTED:password]","n":1}}' in stored
    assert "hunter2x" not in stored and GITHUB not in stored


async def test_every_text_of_a_task_is_redacted(masc: MascApp) -> None:
    text = "token=abcdefgh"
    await masc.call("masc_add_task", "claude", title=f"t {text}", description=f"d {text}")
    await masc.call("masc_start", "gemini", task_title=f"s {text}")
    await masc.call("masc_transition", "claude", task_id="task-001", action="claim")
    await masc.call("masc_transition", "claude", task_id="task-001", action="release", reason=f"r {text}")
    await masc.call("masc_claim", "claude", task_id="task-001")
    done = await masc.call("masc_done", "claude", task_id="task-001", notes=f"n {text}")
    assert done["redacted"] == {"token": 1}
    assert "abcdefgh" not in await dump(masc)
    assert (await dump(masc)).count("[REDACTED:token]") >= 5


async def test_every_text_of_portals_votes_and_interrupts_is_redacted(masc: MascApp) -> None:
    text = "token=abcdefgh"
    await masc.call("masc_join", "gemini")
    await masc.call("masc_portal_open", "claude", target_agent="gemini", initial_message=f"a {text}")
    await masc.call("masc_portal_send", "claude", message=f"b {text}")
    await masc.call("masc_portal_send", "gemini", message=f"c {text}", reply_to="a2a-000001", result_status="completed")
    await masc.call("masc_vote_create", "claude", topic=f"d {text}", options=[f"e {text}", "f"])
    cast = await masc.call("masc_vote_cast", "claude", vote_id="vote-001", choice=f"e {text}")
    assert cast["tally"] == {"e token=[REDACTED:token]": 1, "f": 0}
    for step in (1, 2):
        asked = {"task_id": "task-001", "step": step, "action": f"g {text}", "message": f"h {text}"}
        await masc.call("masc_interrupt", "claude", **asked, state={"i": text})
    approved = {"task_id": "task-001", "comment": f"j {text}", "edited_state": {"k": [text]}}
    gemini = masc.client("gemini", bindings=("agent:gemini",))
    await masc.outcome("masc_approve", gemini, **approved)
    await masc.outcome("masc_reject", gemini, task_id="task-001", reason=f"l {text}")
    await masc.call("masc_branch", "claude", task_id="task-001", source_step=1, branch_name=f"m {text}")
    stored = await dump(masc)
    kept = {letter for letter in "abcdeghjlm" if f"{letter} token=[REDACTED:token]" in stored}
    assert kept == set("abcdeghjlm") and "abcdefgh" not in stored


@local_stores
async def test_no_made_up_secret_of_any_kind_reaches_the_store(masc: MascApp) -> None:
    for secret in secrets():
        await masc.call("masc_add_task", "claude", title="Rotate", description=f"see\n{secret.text}\nbelow")
    stored = await dump(masc)
    lines = [line for s in secrets() if s.kind != "masc_token" for line in s.value.split("\n")]
    assert [line for line in lines if line in stored] == []


async def test_what_is_no_text_is_left_as_it_is(app: MascApp) -> None:
    given: dict[str, Any] = {
        "name": f"password={GITHUB}",
        "word": GITHUB,
        "file_path": f"src/{GITHUB}/password=hunter2x",
    }
    result = await app.call("probe_keep", "claude", **given, choice="one", number=7)
    assert result["data"] == {**given, "choice": "one", "number": 7} and "redacted" not in result


async def test_unmarked_arguments_of_other_plugins_are_text(app: MascApp) -> None:
    result = await app.call(
        "probe_keep", "claude", plain=GITHUB, password="hunter2x", lines=["pwd=hunter2x"], anything=[{"x": GITHUB}]
    )
    assert result["data"] == {
        "plain": "[REDACTED:github_token]",
        "password": "[REDACTED:password]",
        "lines": ["pwd=[REDACTED:password]"],
        "anything": [{"x": "[REDACTED:github_token]"}],
    }
    assert result["redacted"] == {"github_token": 2, "password": 2}


async def test_fields_of_records_are_told_apart(app: MascApp) -> None:
    options = [{"path": GITHUB, "label": GITHUB}]
    result = await app.call("probe_keep", "claude", options=options)
    assert result["data"]["options"] == [{"path": GITHUB, "label": "[REDACTED:github_token]"}]


async def test_a_rooms_own_secret_is_replaced(app: MascApp, probe: Probe) -> None:
    other = "f" * 64
    result = await app.call("probe_keep", "claude", plain=f"{WORD.upper()} {other}", name=WORD)
    assert result["data"]["plain"] == f"[REDACTED:masc_token] {other}"
    assert (result["redacted"], probe.asked) == ({"masc_token": 1}, [[WORD, other]])


async def test_nobody_is_asked_for_secrets_without_a_word_like_one(app: MascApp, probe: Probe) -> None:
    await app.call("probe_keep", "claude", plain=WORD[1:] + " x", name=WORD)
    assert probe.asked == []


async def test_limits_are_checked_on_the_given_text(app: MascApp) -> None:
    long = "password=" + "h" * 4 + "x" * 492
    assert len(long) == 505
    assert (await app.error("masc_add_task", "claude", title=long))["code"] == "invalid_argument"
    short = "pwd=abcdef " * 45
    assert len(short) < 500
    assert (await app.call("masc_add_task", "claude", title=short))["redacted"] == {"password": 45}


async def test_a_failing_redaction_fails_the_call_and_stores_nothing(
    app: MascApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    await app.call("masc_join", "claude")

    def broken(*_: Any, **__: Any) -> str:
        raise RuntimeError("broken")

    monkeypatch.setattr(Redactor, "redact", broken)
    assert (await app.error("masc_broadcast", "claude", message="unheard token"))["code"] == "internal_error"
    assert "unheard" not in await dump(app)


async def test_other_texts_go_through_the_same_guard(app: MascApp) -> None:
    """A tool has texts that are no arguments redacted by asking the hook, under names of its own."""
    client = app.client("claude")
    active = await app.kernel.active(client)
    call = Call(app.kernel.registry.contracts["masc_status"], {}, client, app.kernel.bindings, active)
    ctx = app.kernel.context(call, app.kernel.start_room, None, None)
    texts: dict[str, Any] = {"comment": GITHUB, "lines": ("kept", "as it is")}
    assert await ctx.ask("masc_redact", ctx=ctx, arguments=texts) == [{"github_token": 1}]
    assert texts == {"comment": "[REDACTED:github_token]", "lines": ("kept", "as it is")}


@pytest.mark.parametrize("enabled", [True, False])
async def test_the_settings_of_the_room_apply(tmp_path: Path, registry: Registry, enabled: bool) -> None:
    section = RedactionSettings(enabled, [{"name": "ticket", "regex": "T-[0-9]+"}], ["hunter2x"])
    settings = Settings(cluster="test", sections={RedactionSettings: section})
    async with masc_app(tmp_path, settings=settings, registry=registry) as app:
        text = f"T-17 {GITHUB} password=hunter2x"
        result = await app.call("masc_add_task", "claude", title=text)
        alone = await app.call("masc_add_task", "claude", title="T-18 alone")
    assert alone["task"]["title"] == f"{'[REDACTED:ticket]' if enabled else 'T-18'} alone"
    kept = "[REDACTED:ticket] [REDACTED:github_token] password=hunter2x"
    assert result["task"]["title"] == (kept if enabled else text)
    assert result.get("redacted") == ({"ticket": 1, "github_token": 1} if enabled else None)


def test_the_guard_is_loaded_whatever_is_enabled() -> None:
    assert "redaction" in [p.name for p in load(enabled=["core"]).plugins if p.guard]


@pytest.mark.parametrize(
    ("annotation", "texts"),
    [
        (str, True),
        (str | None, True),
        (Any, True),
        (dict[str, Any], True),
        (Annotated[str, Bound(maxLength=20)], True),
        (Annotated[str, Bound(pattern="^https://.*$")], True),
        (Annotated[str, Bound(pattern="[a-z]+")], True),
        (Annotated[str, Bound(pattern="^a2a-[0-9]{6,15}$")], False),
        (Annotated[str, Bound(pattern="^[0-9a-f]{64}$")], False),
        (Annotated[str, Bound(enum=["a"])], False),
        (AgentName, False),
        (TaskId | None, False),
        (Capabilities, False),
        (list[TaskId], False),
        (list[str], True),
        (dict[str, int], False),
        (dict[str, TaskId], False),
        (int | str, True),
        (bool | None, False),
        (list[Option] | None, {"path": False, "label": True}),
    ],
)
def test_texts_are_known_from_the_declared_type(annotation: Any, texts: Any) -> None:
    assert texts_of(annotation) == texts


def test_the_texts_of_the_tools_are_those_of_the_specification(registry: Registry) -> None:
    found = {
        f"{name}.{argument}"
        for name, contract in registry.contracts.items()
        for argument, where in contract.texts.items()
        if where is not False and contract.tool.category not in {"auth", "ratelimit", "encryption"}
    }
    assert found == {
        *("masc_start.task_title", "masc_add_task.title", "masc_add_task.description", "masc_archive_view.query"),
        *("masc_transition.notes", "masc_transition.reason", "masc_done.notes", "masc_broadcast.message"),
        *("masc_portal_open.initial_message", "masc_portal_send.message"),
        *("masc_vote_create.topic", "masc_vote_create.options", "masc_vote_cast.choice"),
        *("masc_interrupt.action", "masc_interrupt.message", "masc_interrupt.state"),
        *("masc_approve.comment", "masc_approve.edited_state", "masc_reject.reason", "masc_branch.branch_name"),
    }
