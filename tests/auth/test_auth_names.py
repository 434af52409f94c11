"""Every way to borrow a name or a role, closed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from auth_support import UNKNOWN, Secured, code, secured, why

from masc_core.frozen import evolve
from masc_core.identity import Client
from masc_core.store.driver import Key
from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app


def stdio(room: Secured, token: str | None = None, **facts: Any) -> Client:
    """A stdio process that is told apart by its own number."""
    client = room.client(token, bindings=(f"process:here:{facts.pop('pid', 1)}:0.00",), **facts)
    client.transport = "stdio"
    return client


async def result(room: Secured, tool: str, client: Client, **arguments: Any) -> dict[str, Any]:
    return dict((await room.masc.outcome(tool, client, **arguments)).structured)


async def test_through_requested_name_and_type(masc: MascApp) -> None:
    room = await secured(masc)
    await masc.call("masc_join", "gemini")
    renamed = await masc.call("masc_join", "gemini", agent_type="oracle")
    assert renamed["agent"] == "gemini-2"
    await room.token("gemini-2")
    assert why(await room.error("masc_add_task", agent_name="oracle", title="t")) == ("unauthorized", "name_protected")
    assert why(await room.error("masc_heartbeat", agent_name="Gemini-2")) == ("unauthorized", "name_protected")


async def test_through_a_session_id(masc: MascApp) -> None:
    room = await secured(masc)
    await masc.call("masc_join", "gemini")
    second = await masc.call("masc_join", "gemini")
    await room.token("gemini-2")
    joined = await room.ask("masc_join", agent_name="gemini", session_id=second["session_id"])
    assert joined["agent"] != "gemini-2" and not joined["rejoined"]


async def test_through_the_name_a_stdio_process_last_joined_with(masc: MascApp) -> None:
    room = await secured(masc)
    process = stdio(room)
    await result(room, "masc_join", process, agent_name="claude")
    assert code(await result(room, "masc_add_task", process, title="t")) == "ok"
    await room.token("claude")
    refused = await result(room, "masc_add_task", process, title="t")
    assert why(refused["error"]) == ("unauthorized", "name_protected")


async def test_through_the_free_name_that_renaming_would_give(masc: MascApp) -> None:
    room = await secured(masc)
    await room.token("gemini-2")
    await masc.call("masc_join", "gemini")
    assert (await masc.call("masc_join", "gemini"))["agent"] == "gemini-3"


async def test_through_joining_by_the_way(masc: MascApp) -> None:
    room = await secured(masc)
    await room.token("claude")
    for tool, more in (("masc_add_task", {"title": "t"}), ("masc_start", {}), ("masc_broadcast", {"message": "m"})):
        assert why(await room.error(tool, agent_name="claude", **more)) == ("unauthorized", "name_protected")
    assert not (await room.ask("masc_status"))["agents"]


async def test_through_an_endpoint_name(masc: MascApp) -> None:
    room = await secured(masc)
    await room.token("claude")
    for name in ("claude", "CLAUDE"):
        client = room.client(agent=name, bindings=(f"agent:{name.lower()}",))
        refused = await result(room, "masc_status", client)
        assert why(refused["error"]) == ("unauthorized", "name_protected")


async def test_a_persons_name_is_no_agents(masc: MascApp) -> None:
    room = await secured(masc)
    for name in ("human:root", "human", "system"):
        assert (await room.error("masc_join", agent_name=name))["code"] == "invalid_agent_name"


async def test_a_token_rejoins_its_own_agent_whoever_holds_the_name(masc: MascApp) -> None:
    room = await secured(masc)
    await masc.call("masc_join", "claude")
    token = await room.token("claude")
    joined = await room.ask("masc_join", token)
    assert (joined["agent"], joined["rejoined"], joined["renamed"]) == ("claude", True, False)
    elsewhere = stdio(room, token, pid=7)
    assert (await result(room, "masc_join", elsewhere))["agent"] == "claude"


async def test_a_token_gets_no_nickname(masc: MascApp) -> None:
    room = await secured(masc)
    joined = await room.ask("masc_join", await room.token("claude"), nickname=True)
    assert joined["agent"] == "claude" and joined["warnings"][0]["code"] == "nickname_ignored"


async def test_the_agents_role_is_not_the_requests_to_choose(masc: MascApp) -> None:
    room = await secured(masc)
    reader = await room.token("eve", "reader")
    assert why(await room.error("masc_auth_create_token", reader, agent_name="eve", role="admin")) == (
        "forbidden", "role",
    )  # fmt: skip
    renewed = await room.ask("masc_auth_refresh", agent_name="eve", token=reader, deliver="result")
    assert renewed["role"] == "reader"


async def test_the_room_secret_gives_no_name_that_anybody_owns_even_expired(masc: MascApp, clock: ManualClock) -> None:
    room = await secured(masc)
    await room.token("claude", expires_in_hours=1)
    await clock.advance(3600)
    joined = await room.ask("masc_join", agent_name="claude", room_secret=room.secret)
    assert joined["agent"] == "claude-2"
    assert (await room.ask("masc_join", agent_name="admin", room_secret=room.secret))["agent"] == "admin-2"


async def test_a_token_and_the_room_secret_make_no_second_credential(masc: MascApp) -> None:
    room = await secured(masc)
    token = await room.token("claude")
    joined = await room.ask("masc_join", token, room_secret=room.secret)
    assert joined["agent"] == "claude" and "token_path" not in joined
    assert joined["warnings"][0]["code"] == "room_secret_unneeded"
    assert (await room.error("masc_join", token, room_secret=UNKNOWN))["code"] == "invalid_room_secret"


async def test_a_stdio_process_goes_on_with_the_token_it_was_issued(masc: MascApp) -> None:
    room = await secured(masc, require_token=True)
    process = stdio(room, room_secret=room.secret)
    process.adopt = lambda token: setattr(process, "token", token)
    assert (await result(room, "masc_join", process, agent_name="gemini"))["agent"] == "gemini"
    assert process.token is not None
    assert (await result(room, "masc_auth_status", process))["you"]["agent_name"] == "gemini"
    before = process.token
    await result(room, "masc_auth_refresh", process, agent_name="gemini")
    assert process.token != before and "error" not in await result(room, "masc_status", process)
    again = await result(room, "masc_join", process)
    assert again["rejoined"] and "token_path" not in again, "the secret is for those without a token"


async def test_a_revoked_credential_ends_its_membership(masc: MascApp) -> None:
    room = await secured(masc)
    token = await room.token("claude")
    await room.ask("masc_join", token)
    await room.ask("masc_auth_revoke", room.admin, agent_name="claude")
    joined = await room.ask("masc_join", agent_name="claude", room_secret=room.secret)
    assert (joined["agent"], joined["rejoined"]) == ("claude", True)


async def test_going_to_a_room_without_auth_needs_an_admin_of_this_one(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    async with masc_app(here, backend="sqlite") as masc:
        room = await secured(masc)
        worker = await room.token("claude")
        for tool in ("masc_set_room", "masc_start"):
            anonymous = stdio(room)
            refused = await result(room, tool, anonymous, path=str(there), **_named(tool))
            assert why(refused["error"]) == ("forbidden", "role"), tool
            refused = await result(room, tool, stdio(room, worker), path=str(there))
            assert why(refused["error"]) == ("forbidden", "role"), tool
            assert (await result(room, "masc_status", anonymous))["path"] == str(here)
        assert not (there / ".masc").exists()
        admin = stdio(room, room.admin)
        assert (await result(room, "masc_set_room", admin, path=str(there)))["path"] == str(there)
        assert (await result(room, "masc_status", admin))["path"] == str(there)


def _named(tool: str) -> dict[str, str]:
    return {"agent_name": "x"} if tool == "masc_start" else {}


async def test_a_room_with_auth_is_entered_with_its_own_token_alone(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    async with masc_app(there, backend="sqlite") as other:
        await secured(other)
    async with masc_app(here, backend="sqlite") as masc:
        room = Secured(masc, "", "")
        refused = await result(room, "masc_set_room", stdio(room), path=str(there))
        assert why(refused["error"]) == ("unauthorized", "missing_token")
        refused = await result(room, "masc_set_room", stdio(room, UNKNOWN), path=str(there))
        assert refused["error"]["code"] == "invalid_token"
        assert code(await result(room, "masc_init", stdio(room))) == "ok", "it stays where it is"


async def test_a_waiting_call_of_a_revoked_credential_ends(masc: MascApp) -> None:
    room = await secured(masc)
    token = await room.token("claude")
    waiting = asyncio.create_task(room.ask("masc_listen", token, timeout=50))
    while not any(a["status"] == "listening" for a in (await room.ask("masc_status"))["agents"]):
        await asyncio.sleep(0)
    await room.ask("masc_auth_revoke", room.admin, agent_name="claude")
    async with asyncio.timeout(20):
        assert (await waiting)["error"]["code"] == "invalid_token"


async def test_somebody_elses_revocation_disturbs_no_waiting(masc: MascApp, clock: ManualClock) -> None:
    room = await secured(masc)
    token = await room.token("claude")
    await room.token("gemini")
    waiting = asyncio.create_task(room.ask("masc_listen", token, timeout=50))
    while not any(a["status"] == "listening" for a in (await room.ask("masc_status"))["agents"]):
        await asyncio.sleep(0)
    await room.ask("masc_auth_revoke", room.admin, agent_name="gemini")
    await room.ask("masc_broadcast", room.admin, message="still there?")
    async with asyncio.timeout(20):
        assert [m["content"] for m in (await waiting)["messages"]] == ["still there?"]


async def test_a_mode_hides_the_tools_and_switches_nothing_off(masc: MascApp) -> None:
    """Acceptance 8 of the modes."""
    room = await secured(masc)
    await room.token("claude")
    client = evolve(room.client(), selection=masc.kernel.modes.check("minimal", (), "url"))
    refused = await result(room, "masc_join", client, agent_name="claude")
    assert why(refused["error"]) == ("unauthorized", "name_protected")


async def test_an_agents_mode_is_its_own(masc: MascApp) -> None:
    """Acceptance 5 of the modes."""
    room = await secured(masc)
    claude, gemini = await room.token("claude"), await room.token("gemini")

    def free(token: str | None) -> Client:
        return evolve(room.client(token), selection=None)

    switched = await result(room, "masc_switch_mode", free(claude), mode="full")
    assert (switched["mode"], switched["mode_source"], switched["changed"]) == ("full", "agent", True)
    for token, mode, source in (
        (claude, "full", "agent"),
        (gemini, "standard", "default"),
        (None, "standard", "default"),
    ):
        config = await result(room, "masc_get_config", free(token))
        assert (config["mode"], config["mode_source"]) == (mode, source)
    for token, scope, expected in (
        (None, "agent", ("unauthorized", "missing_token")),
        (None, None, ("forbidden", "role")),
        (gemini, "room", ("forbidden", "role")),
    ):
        client = free(token)
        refused = await result(room, "masc_switch_mode", client, mode="solo", scope=scope)
        assert why(refused["error"]) == expected
    room_wide = await result(room, "masc_switch_mode", free(room.admin), mode="minimal", scope="room")
    assert room_wide["mode_source"] == "room"
    inherited = await result(room, "masc_switch_mode", free(claude), mode="inherit")
    assert (inherited["previous_mode"], inherited["mode"], inherited["mode_source"]) == ("full", "minimal", "room")
    assert (await result(room, "masc_get_config", free(claude)))["mode"] == "minimal"


@pytest.mark.parametrize("broken", ["masc_plugin_auth.guard.auth_state", "masc_plugin_auth.guard.verified"])
async def test_a_check_that_breaks_refuses(masc: MascApp, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    room = await secured(masc)

    async def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("broken")

    monkeypatch.setattr(broken, fail)
    assert (await room.error("masc_status", room.admin))["code"] == "forbidden"


async def test_records_of_auth_that_cannot_be_read_refuse(masc: MascApp) -> None:
    from masc_core.store.driver import Key, Put

    room = await secured(masc)
    await masc.kernel.start_room.driver.commit([], [Put(Key("auth", "settings"), b"{", ())])
    for token in (room.admin, None):
        assert (await room.error("masc_status", token))["code"] == "forbidden"


async def test_a_tool_without_a_role_is_refused_for_everybody(masc: MascApp) -> None:
    from masc_core.call import Call, run

    room = await secured(masc)
    contract = masc.kernel.registry.contracts["masc_status"]
    nobody: Any = None
    unmapped = evolve(contract, tool=evolve(contract.tool, role=nobody))
    for client in (room.client(room.admin), room.client(), evolve(room.client(), transport="local")):
        active = await masc.kernel.active(client)
        outcome = await run(masc.kernel, Call(unmapped, {}, client, masc.kernel.bindings, active))
        assert outcome.error is not None and why(outcome.error.as_dict()) == ("forbidden", "unmapped_tool")


async def test_a_token_is_no_other_agent_whose_session_it_names(masc: MascApp) -> None:
    room = await secured(masc)
    await masc.call("masc_join", "claude")
    second = await masc.call("masc_join", "claude")
    assert second["agent"] == "claude-2"
    joined = await room.ask("masc_join", await room.token("claude"), session_id=second["session_id"])
    assert joined["agent"] == "claude"


async def test_an_admin_who_joins_another_agent_is_not_tied_to_it(masc: MascApp) -> None:
    room = await secured(masc)
    assert (await room.ask("masc_join", room.admin, agent_name="gemini"))["agent"] == "gemini"
    joined = await room.ask("masc_join", agent_name="gemini", room_secret=room.secret)
    assert joined["agent"] == "gemini-2", "it is somebody else's still"
    (gemini,) = await masc.kernel.start_room.driver.get([Key("agents", "gemini")])
    assert gemini is not None and b"credential:admin" not in gemini.body
