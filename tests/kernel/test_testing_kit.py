"""The testing kit does what it tells plugin authors."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from mcp.client.client import Client
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

import masc_plugin_health
import masc_plugin_redaction
from masc_core import (
    READ,
    READER,
    WORKER,
    WRITE,
    Collection,
    Context,
    Endpoint,
    Refused,
    Title,
    Visit,
    error,
    hookimpl,
    prompt,
    resource,
    tool,
)
from masc_core.cli import main
from masc_core.errors import StartError
from masc_core.frozen import frozen
from masc_core.testing import AppFactory, ManualClock, assert_contract


@frozen
class Wish:
    id: str
    text: str
    at: str


WISHES = Collection("wishes", Wish, lambda wish: wish.id)


@frozen
class Wished:
    wish: Wish


@frozen
class Wishes:
    wishes: list[Wish]


@frozen
class WishSettings:
    most: int = 100


@tool(effect=WRITE, role=WORKER)
async def wish_add(ctx: Context, text: Title) -> Wished:
    """Wish for something."""
    number = await ctx.next_number("wish")
    return Wished(await ctx.collection(WISHES).add(Wish(f"wish-{number}", text, ctx.now)))


@tool(effect=READ, role=READER)
async def wish_list(ctx: Context) -> Wishes:
    """List what was wished for."""
    return Wishes(await ctx.collection(WISHES).scan(limit=ctx.settings.of(WishSettings).most))


@resource("wishes://all")
async def wish_all(ctx: Context) -> str:
    """All wishes."""
    return ", ".join(wish.text for wish in await ctx.collection(WISHES).scan())


@resource("wishes://star", mime_type="image/png")
async def wish_star(ctx: Context) -> bytes:
    """The star to wish on."""
    return b"\x89PNG"


@prompt()
async def wish_better(ctx: Context, focus: Title) -> str:
    """Ask for a better wish."""
    return f"Wish for {focus}."


async def wish_page(request: Request, visit: Visit) -> Response:
    outcome = await visit.call("wish_list", {})
    return JSONResponse({"agent": visit.agent, **outcome.structured})


class WishesPlugin:
    """A category nobody has installed."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    @hookimpl
    def masc_tools(self, register: Callable[[Any], None]) -> None:
        register(wish_add)
        register(wish_list)

    @hookimpl
    def masc_records(self, register: Callable[[Any], None]) -> None:
        register(WISHES)

    @hookimpl
    def masc_settings(self, register: Callable[[str, type], None]) -> None:
        register("wishes", WishSettings)

    @hookimpl
    def masc_resources(self, register: Callable[[Any], None]) -> None:
        register(wish_all)
        register(wish_star)

    @hookimpl
    def masc_prompts(self, register: Callable[[Any], None]) -> None:
        register(wish_better)

    @hookimpl
    def masc_routes(self, register: Callable[[str, Endpoint, Sequence[str]], None]) -> None:
        register("/page", wish_page, ["GET"])

    @hookimpl
    async def masc_due(self) -> None:
        self.asked.append("due")

    @hookimpl
    async def masc_events(self, events: Sequence[Any]) -> None:
        self.asked += [event.type for event in events]

    @hookimpl
    async def masc_sweep(self) -> None:
        self.asked.append("sweep")

    @hookimpl
    async def masc_health(self) -> Mapping[str, Any]:
        return {"name": "well", "ok": not self.asked, "detail": "has water"}


@pytest.fixture
def wishes() -> tuple[str, WishesPlugin]:
    return "wishes", WishesPlugin()


async def test_an_agent_joins_and_calls_and_the_clock_is_the_tests(
    masc_app: AppFactory, masc_clock: ManualClock, wishes: tuple[str, WishesPlugin]
) -> None:
    async with masc_app(wishes) as app:
        ada = await app.agent("ada")
        first = (await ada.call("wish_add", text="tea"))["wish"]
        await app.clock.advance(60)
        second = (await ada.call("wish_add", text="more tea"))["wish"]
        assert ada.name == "ada"
        assert (await ada.call("wish_list"))["wishes"] == [first, second]
        assert app.clock is masc_clock
        assert (first["at"], second["at"]) == ("2023-11-14T22:13:20.000Z", "2023-11-14T22:14:20.000Z")
        assert [agent["name"] for agent in (await ada.call("masc_agents"))["agents"]] == ["ada"]


async def test_a_refusal_is_the_error_and_the_wrong_expectation_fails(
    masc_app: AppFactory, wishes: tuple[str, WishesPlugin]
) -> None:
    async with masc_app(wishes) as app:
        ada = await app.agent("ada")
        refused = await ada.refused("wish_add", text="")
        assert (refused["code"], refused["retryable"]) == ("invalid_argument", False)
        assert refused["details"]["field"] == "text"
        with pytest.raises(AssertionError, match=r"wish_add refused ada: invalid_argument: .*text"):
            await ada.call("wish_add", text="")
        with pytest.raises(AssertionError, match=r"wish_list was to refuse ada and gave .*wishes"):
            await ada.refused("wish_list")
        assert "tea" in await ada.text("wish_add", text="tea")
        assert (await ada.text("wish_add", text="")).startswith("invalid_argument")


async def test_an_agent_sees_the_tools_of_its_mode(masc_app: AppFactory, wishes: tuple[str, WishesPlugin]) -> None:
    async with masc_app(wishes) as app:
        ada, bob = await app.agent("ada"), await app.agent("bob", mode="minimal")
        assert (await ada.tools())[-2:] == ["wish_add", "wish_list"]
        assert "masc_claim" in await bob.tools()
        assert "wish_list" not in await bob.tools()
        assert (await bob.refused("wish_list"))["code"] == "tool_not_enabled"


async def test_two_apps_on_one_file_are_two_processes_in_one_room(
    masc_app: AppFactory, wishes: tuple[str, WishesPlugin], tmp_path: Path
) -> None:
    async with (
        masc_app(wishes, store="sqlite") as one,
        masc_app(wishes, store="sqlite") as two,
        masc_app(wishes, store="sqlite", path=tmp_path / "elsewhere") as other,
    ):
        await (await one.agent("ada")).call("wish_add", text="tea")
        assert len((await (await two.agent("bob")).call("wish_list"))["wishes"]) == 1
        assert (await (await other.agent("cy")).call("wish_list"))["wishes"] == []


async def test_elapsing_time_does_what_a_server_does_by_itself(
    masc_app: AppFactory, wishes: tuple[str, WishesPlugin]
) -> None:
    async with masc_app(wishes) as app:
        await app.agent("ada")
        before = app.clock.now()
        await app.elapse(90)
        assert app.clock.now() == before + 90
        await app.agent("bob")
        await app.elapse(0)
    assert wishes[1].asked == ["due", "sweep", "due", "agent_join", "sweep"]


async def test_resources_and_prompts_are_read_as_a_client_does(
    masc_app: AppFactory, wishes: tuple[str, WishesPlugin]
) -> None:
    async with masc_app(wishes) as app:
        ada, bob = await app.agent("ada"), await app.agent("bob", mode="minimal")
        await ada.call("wish_add", text="tea")
        assert await ada.read("wishes://all") == "tea"
        assert await ada.read("wishes://star") == b"\x89PNG"
        assert await ada.prompt("wish_better", focus="cake") == "Wish for cake."
        with pytest.raises(AssertionError, match="wish_better refused ada: invalid_argument"):
            await ada.prompt("wish_better", focus=" ")
        with pytest.raises(AssertionError, match="wish_all refused bob: tool_not_enabled"):
            await bob.read("wishes://all")
        with pytest.raises(LookupError, match="wishes://none"):
            await ada.read("wishes://none")
        with pytest.raises(LookupError, match="wish_worse"):
            await ada.prompt("wish_worse")


async def test_the_room_is_served_to_real_clients(masc_app: AppFactory, wishes: tuple[str, WishesPlugin]) -> None:
    async with masc_app(wishes) as app, app.serve() as url:
        async with Client(f"{url}/mcp?mode=full&agent=ada") as client:
            done = await client.call_tool("wish_add", {"text": "tea"})
            assert done.structured_content is not None
            assert done.structured_content["wish"]["text"] == "tea"
        async with httpx.AsyncClient(base_url=url) as web:
            page = (await web.get("/x/wishes/page?agent=bob")).json()
            assert (page["agent"], [wish["text"] for wish in page["wishes"]]) == ("bob", ["tea"])
            health = (await web.get("/health")).json()
            assert health["checks"] == [{"plugin": "wishes", "name": "well", "ok": True}], health


async def test_health_checks_are_asked(masc_app: AppFactory, wishes: tuple[str, WishesPlugin]) -> None:
    async with masc_app(wishes) as app:
        assert await app.health() == []
        await app.agent("ada")
        assert await app.health() == [{"plugin": "wishes", "name": "well", "ok": True, "detail": "has water"}]


class Breaking:
    @hookimpl
    async def masc_due(self) -> None:
        raise RuntimeError("the well is dry")

    @hookimpl
    async def masc_unread(self) -> Mapping[str, Any]:
        return {"wishes": "many"}


class Guard:
    @hookimpl
    async def masc_before_call(self, ctx: Context) -> None:
        if ctx.call.tool.name == "masc_broadcast":
            raise NoShouting()


@error
class NoShouting(Refused):
    code = "no_shouting"
    text = "speak to one agent"


async def test_what_a_server_would_go_on_without_fails_the_test(masc_app: AppFactory) -> None:
    async with masc_app(("breaking", Breaking())) as app:
        ada = await app.agent("ada")
        with pytest.raises(AssertionError, match="masc_heartbeat refused ada: internal_error"):
            await ada.call("masc_heartbeat")
        with pytest.raises(RuntimeError, match="the well is dry"):
            await app.elapse(1)


async def test_a_guard_that_nobody_installed_is_a_pair_too(masc_app: AppFactory) -> None:
    async with masc_app(("guard:quiet", Guard())) as app:
        ada = await app.agent("ada")
        assert (await ada.refused("masc_broadcast", message="Hello"))["code"] == "no_shouting"
    with pytest.raises(StartError, match=r"quiet.*for guards"):
        masc_app(("quiet", Guard()))


async def test_an_agent_goes_on_with_the_token_it_was_given(masc_app: AppFactory) -> None:
    async with masc_app() as app:
        ada = await app.agent("ada")
        enabled = await ada.call("masc_auth_enable", require_token=True, deliver="result")
        bob = await app.agent("bob", room_secret=enabled["room_secret"], deliver="result")
        assert (await bob.call("masc_add_task", title="Fix login"))["task"]["created_by"] == "bob"
        assert (await ada.refused("masc_add_task", title="Fix login"))["code"] == "unauthorized"


async def test_settings_of_a_plugin_are_objects_of_its_class(
    masc_app: AppFactory, wishes: tuple[str, WishesPlugin]
) -> None:
    async with masc_app(wishes, sections=[WishSettings(most=1)]) as app:
        ada = await app.agent("ada")
        for text in ("tea", "cake"):
            await ada.call("wish_add", text=text)
        assert [wish["text"] for wish in (await ada.call("wish_list"))["wishes"]] == ["tea"]


async def test_a_plugin_is_its_module_or_its_name_and_guards_are_always_there(masc_app: AppFactory) -> None:
    async with masc_app(masc_plugin_health, masc_plugin_redaction, "cost") as app:
        names = {plugin.name for plugin in app.kernel.registry.plugins}
        assert names >= {"core", "health", "cost", "redaction", "audit"}


@pytest.mark.parametrize(
    ("plugin", "shown"), [("nosuch", "nosuch"), (shlex, "shlex"), (WishesPlugin(), "WishesPlugin")]
)
def test_what_nobody_installed_is_named_with_what_to_do(masc_app: AppFactory, plugin: object, shown: str) -> None:
    with pytest.raises(StartError, match=rf"has the plugin {shown}: pip install"):
        masc_app(plugin)


def test_contracts_are_compared_both_ways_and_the_message_writes_them(tmp_path: Path) -> None:
    """The command of the message, run as it is printed, mends what it complains of."""
    directory = tmp_path / "schemas"
    with pytest.raises(AssertionError, match=r"missing: .*health/masc_agents\.json") as missing:
        assert_contract(masc_plugin_health, directory)
    command = str(missing.value).rpartition("if meant: masc ")[2]
    written = CliRunner().invoke(main, shlex.split(command))
    assert written.exit_code == 0, written.output
    assert_contract(masc_plugin_health, directory)
    assert sorted(p.parent.name for p in directory.rglob("*.*")) == ["health"] * 4  # and no token figures
    (directory / "health" / "masc_agents.json").write_text("{}")
    (directory / "health" / "masc_gone.json").write_text("{}")
    with pytest.raises(AssertionError, match=r"changed: .*masc_agents\.json\n  orphan: .*masc_gone\.json"):
        assert_contract("health", directory)


def test_contracts_of_what_is_not_installed_are_compared_too(tmp_path: Path, wishes: tuple[str, WishesPlugin]) -> None:
    with pytest.raises(AssertionError, match=r"missing: .*wishes/wish_add\.json"):
        assert_contract(wishes, tmp_path)


def test_the_command_wants_a_directory_for_a_plugin() -> None:
    refused = CliRunner().invoke(main, ["schemas", "--check", "--plugin", "health"])
    assert refused.exit_code == 2
    assert "which directory" in refused.output
