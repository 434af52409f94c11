"""The acceptance list of auth.md, and what else its sentences promise."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from auth_support import HOUR, UNKNOWN, code, secured, why

from masc_core.frozen import evolve
from masc_core.identity import process_binding
from masc_core.settings import Settings
from masc_core.store.collections import View
from masc_core.store.transaction import Transaction, transact
from masc_core.testing import ManualClock
from masc_core.testing.app import MascApp, masc_app
from masc_core.transfer.lines import encode
from masc_plugin_auth.records import AUTH, STATE, AuthSettings, OpenBind


async def dump(masc: MascApp) -> bytes:
    """Every record that is stored, without the numbers given out and the digest around them."""
    return b"".join(list(encode(await masc.kernel.start_room.driver.dump()))[1:-1])


def unaudited(stored: bytes) -> list[bytes]:
    """A dump without what a refusal leaves on purpose."""
    return [line for line in stored.splitlines() if b'"audit' not in line[:40]]


def is_private(path: str) -> bool:
    found = Path(path).lstat()
    return stat.S_ISREG(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o600


async def test_enabling_puts_token_and_secret_into_two_private_files_and_not_into_the_result(masc: MascApp) -> None:
    result = await masc.call("masc_auth_enable")
    paths = [result["admin"]["token_path"], result["room_secret_path"]]
    assert len(set(paths)) == 2 and all(is_private(path) for path in paths)
    assert stat.S_IMODE((masc.path / ".masc" / "secrets").stat().st_mode) == 0o700
    values = [Path(path).read_text().strip() for path in paths]
    assert all(len(value) == 64 for value in values)
    assert not any(value in str(result) for value in values)
    stored = await dump(masc)
    assert not any(value.encode() in stored for value in values)
    assert result["admin"]["agent_name"] == "admin" and not result["already_enabled"]
    assert sorted(p.name for p in (masc.path / ".masc" / "secrets").iterdir()) == ["room-secret", "token-admin"]


async def test_with_deliver_result_token_and_secret_are_in_the_result_once_and_never_stored(masc: MascApp) -> None:
    room = await secured(masc)
    stored = await dump(masc)
    assert room.admin.encode() not in stored and room.secret.encode() not in stored
    again = await room.ask("masc_auth_enable", room.admin, require_token=True)
    assert again["already_enabled"] and again["require_token"] and "admin" not in again and "room_secret" not in again
    assert not (masc.path / ".masc" / "secrets").exists()


async def test_clients_of_another_machine_get_the_result_unless_they_ask_for_a_file(masc: MascApp) -> None:
    remote = masc.client(remote=True)
    result = (await masc.outcome("masc_auth_enable", remote)).structured
    assert len(result["room_secret"]) == 64 and "room_secret_path" not in result
    room = masc.client(remote=True, token=result["admin"]["token"])
    made = (await masc.outcome("masc_auth_create_token", room, agent_name="claude", deliver="file")).structured
    assert is_private(made["token_path"]) and "token" not in made


async def test_a_new_token_takes_the_place_of_the_old_file_and_follows_no_link(masc: MascApp, tmp_path: Path) -> None:
    room = await secured(masc)
    first = await room.ask("masc_auth_create_token", room.admin, agent_name="Claude")
    before = Path(first["token_path"]).read_text()
    victim = tmp_path / "victim"
    victim.write_text("mine")
    Path(first["token_path"]).unlink()
    os.symlink(victim, first["token_path"])
    second = await room.ask("masc_auth_create_token", room.admin, agent_name="claude")
    assert second["token_path"] == first["token_path"] and second["replaced"]
    assert victim.read_text() == "mine" and is_private(second["token_path"])
    assert Path(second["token_path"]).read_text() != before


async def test_a_secrets_directory_that_is_a_link_is_refused_and_nothing_is_issued(
    masc: MascApp, tmp_path: Path
) -> None:
    room = await secured(masc)
    (tmp_path / "elsewhere").mkdir()
    os.symlink(tmp_path / "elsewhere", masc.path / ".masc" / "secrets") if (masc.path / ".masc").exists() else None
    (masc.path / ".masc").mkdir(exist_ok=True)
    if not (masc.path / ".masc" / "secrets").is_symlink():
        os.symlink(tmp_path / "elsewhere", masc.path / ".masc" / "secrets")
    error = await room.error("masc_auth_create_token", room.admin, agent_name="claude")
    assert error["code"] == "storage_unavailable"
    assert not list((tmp_path / "elsewhere").iterdir())
    assert (await room.ask("masc_auth_list", room.admin))["count"] == 1


async def test_required_tokens(masc: MascApp, clock: ManualClock) -> None:
    """Acceptance 3."""
    room = await secured(masc, require_token=True)
    worker = await room.token("claude", expires_in_hours=1)
    assert why(await room.error("masc_status")) == ("unauthorized", "missing_token")
    assert (await room.error("masc_status", UNKNOWN))["code"] == "invalid_token"
    assert (await room.error("masc_status", "no token"))["code"] == "invalid_token"
    assert "error" not in await room.ask("masc_status", worker)
    await clock.advance(HOUR)
    expired = await room.error("masc_status", worker)
    assert expired["code"] == "token_expired" and expired["details"]["expired_at"].endswith("Z")


async def test_a_workers_token_names_nobody_else_and_an_admins_acts_for_others(masc: MascApp) -> None:
    """Acceptance 4."""
    room = await secured(masc)
    worker = await room.token("claude")
    await room.ask("masc_join", room.secret and worker)
    refused = await room.error("masc_broadcast", worker, agent_name="gemini", message="hello")
    assert why(refused) == ("forbidden", "other_agent") and refused["details"]["agent"] == "claude"
    assert "error" not in await room.ask("masc_broadcast", worker, agent_name="CLAUDE", message="hello")
    task = (await room.ask("masc_add_task", room.admin, agent_name="gemini", title="t"))["task"]
    assert task["created_by"] == "gemini"
    entries = await masc.kernel.start_room.driver.read_log("audit")
    acted = [entry for e in entries if (entry := json.loads(e.body)).get("on_behalf_of")]
    assert [(e["tool"], e["actor"], e["on_behalf_of"], e["auth"]) for e in acted] == [
        ("masc_add_task", "admin", "gemini", "token")
    ]
    assert room.admin.encode() not in await dump(masc) and worker.encode() not in await dump(masc)


async def test_the_endpoint_of_another_name_is_another_agent_too(masc: MascApp) -> None:
    room = await secured(masc)
    worker = await room.token("claude")
    for name, expected in (("gemini", "forbidden"), ("Claude", "ok")):
        client = room.client(worker, agent=name)
        assert code(dict((await masc.outcome("masc_add_task", client, title="t")).structured)) == expected
    admin = room.client(room.admin, agent="gemini")
    task = (await masc.outcome("masc_add_task", admin, title="t")).structured["task"]
    assert task["created_by"] == "gemini"


async def test_without_a_token_two_names_are_one_too_many(masc: MascApp) -> None:
    room = await secured(masc)
    client = room.client(agent="codex")
    result = (await masc.outcome("masc_add_task", client, title="t", agent_name="gemini")).structured
    assert why(result["error"]) == ("forbidden", "other_agent")


async def test_the_name_of_a_credential_is_its_tokens(masc: MascApp, clock: ManualClock) -> None:
    """Acceptance 5; free again when it has expired."""
    room = await secured(masc)
    await room.token("claude", expires_in_hours=1)
    for name in ("claude", "CLAUDE"):
        assert why(await room.error("masc_join", agent_name=name)) == ("unauthorized", "name_protected")
    await clock.advance(HOUR)
    assert "error" not in await room.ask("masc_join", agent_name="claude")


async def test_the_room_secret_gives_a_worker_token_that_works(masc: MascApp) -> None:
    """Acceptance 6."""
    room = await secured(masc, require_token=True)
    joined = await room.ask("masc_join", agent_name="gemini", room_secret=room.secret, deliver="result")
    assert joined["agent"] == "gemini" and joined["token_expires_at"]
    you = (await room.ask("masc_auth_status", joined["token"]))["you"]
    assert (you["agent_name"], you["role"]) == ("gemini", "worker")
    second = await room.ask("masc_join", agent_name="gemini", room_secret=room.secret, deliver="result")
    assert second["agent"] == "gemini-2" and second["renamed"], "its credential is another's"
    assert (await room.ask("masc_auth_status", second["token"]))["you"]["agent_name"] == "gemini-2"


async def test_guessing_the_room_secret_is_limited(masc: MascApp, clock: ManualClock) -> None:
    room = await secured(masc, require_token=True)
    for _ in range(10):
        assert (await room.error("masc_join", agent_name="gemini", room_secret=UNKNOWN))[
            "code"
        ] == "invalid_room_secret"
    limited = await room.error("masc_join", agent_name="gemini", room_secret=room.secret)
    assert limited["code"] == "rate_limited" and limited["details"]["category"] == "auth"
    assert 1 <= limited["details"]["retry_after"] <= 60
    assert (await room.error("masc_status"))["code"] == "rate_limited", "every attempt without a token from there"
    assert "error" not in await room.ask("masc_status", room.admin), "a token that is valid is heard"
    elsewhere = masc.client(token=UNKNOWN)
    elsewhere.source = "192.0.2.1"
    outcome = await masc.outcome("masc_status", elsewhere)
    assert outcome.error is not None and outcome.error.code == "invalid_token"
    await clock.advance(limited["details"]["retry_after"])
    assert "token_path" in await room.ask("masc_join", agent_name="gemini", room_secret=room.secret)


async def test_where_a_token_is_required_calling_without_one_is_limited_and_so_is_what_it_leaves_in_the_log(
    masc: MascApp, clock: ManualClock
) -> None:
    room = await secured(masc, require_token=True)
    for _ in range(10):
        assert why(await room.error("masc_status")) == ("unauthorized", "missing_token")
    for _ in range(100):
        assert (await room.error("masc_status"))["code"] == "rate_limited"
    assert "error" not in await room.ask("masc_status", room.admin)
    entries = await masc.kernel.start_room.driver.read_log("audit", limit=1000)
    outcomes = [json.loads(entry.body)["outcome"] for entry in entries]
    assert (outcomes.count("unauthorized"), outcomes.count("rate_limited")) == (10, 1)
    await clock.advance(60)
    assert why(await room.error("masc_status")) == ("unauthorized", "missing_token")


async def test_where_none_is_required_calling_without_a_token_is_no_failure(masc: MascApp) -> None:
    room = await secured(masc)
    for _ in range(20):
        assert "error" not in await room.ask("masc_status")
        assert why(await room.error("masc_gc")) == ("forbidden", "role")
    assert "error" not in await room.ask("masc_status")


async def test_wrong_tokens_and_wrong_refreshes_count_together(masc: MascApp) -> None:
    room = await secured(masc)
    for _ in range(5):
        assert (await room.error("masc_status", UNKNOWN))["code"] == "invalid_token"
        refused = await room.error("masc_auth_refresh", agent_name="admin", token=UNKNOWN)
        assert refused["code"] == "invalid_token"
    assert (await room.error("masc_auth_refresh", agent_name="admin", token=UNKNOWN))["code"] == "rate_limited"
    assert (await room.error("masc_status", UNKNOWN))["code"] == "rate_limited"
    assert "token" in await room.ask("masc_auth_refresh", agent_name="admin", token=room.admin, deliver="result")


async def test_the_last_usable_admin_stays(masc: MascApp, clock: ManualClock) -> None:
    """Acceptance 7."""
    room = await secured(masc)
    assert (await room.error("masc_auth_revoke", room.admin, agent_name="Admin"))["code"] == "last_admin"
    lowered = await room.error("masc_auth_create_token", room.admin, agent_name="admin", role="worker")
    assert lowered["code"] == "last_admin" and lowered["details"]["agent"] == "admin"
    assert "error" not in await room.ask("masc_status", room.admin), "a refused replacement replaces nothing"
    second = await room.token("boss", "admin", expires_in_hours=2)
    await room.token("boss", "admin", expires_in_hours=1)
    assert (await room.error("masc_status", second))["code"] == "invalid_token"
    await clock.advance(HOUR)
    error = await room.error("masc_auth_revoke", room.admin, agent_name="admin")
    assert error["code"] == "last_admin", "an expired admin is no usable one"


@pytest.mark.parametrize("way", ["revoke", "lower"])
async def test_two_admins_who_remove_each_other_do_not_both_succeed(masc: MascApp, way: str) -> None:
    room = await secured(masc)
    boss = await room.token("boss", "admin")

    async def remove(token: str, name: str) -> dict[str, Any]:
        if way == "revoke":
            return await room.ask("masc_auth_revoke", token, agent_name=name)
        return await room.ask("masc_auth_create_token", token, agent_name=name, role="reader")

    results = await asyncio.gather(remove(room.admin, "boss"), remove(boss, "admin"))
    listed = [c for t in (room.admin, boss) for c in (await room.ask("masc_auth_list", t)).get("credentials", [])]
    assert sum("error" not in r for r in results) == 1, results
    assert any(c["role"] == "admin" for c in listed)
    left = masc.path / ".masc" / "secrets"
    assert not left.exists() or all(not p.name.startswith(".") for p in left.iterdir()), "nothing of a lost attempt"


async def test_replaced_refreshed_and_revoked_tokens_are_invalid_at_once(masc: MascApp) -> None:
    """Acceptance 8."""
    room = await secured(masc)
    first = await room.token("claude")
    assert "error" not in await room.ask("masc_status", first), "a token that was good is not remembered as one"
    second = await room.token("claude")
    assert (await room.error("masc_status", first))["code"] == "invalid_token"
    assert "error" not in await room.ask("masc_status", second)
    third = (await room.ask("masc_auth_refresh", agent_name="claude", token=second, deliver="result"))["token"]
    for old in (first, second):
        assert (await room.error("masc_status", old))["code"] == "invalid_token"
    assert "error" not in await room.ask("masc_status", third)
    assert (await room.ask("masc_auth_revoke", room.admin, agent_name="claude"))["revoked"]
    assert (await room.error("masc_status", third))["code"] == "invalid_token"
    assert (await room.error("masc_auth_revoke", room.admin, agent_name="claude"))["code"] == "credential_not_found"


async def test_a_server_that_others_reach_keeps_requiring_tokens(masc: MascApp) -> None:
    """Acceptance 9."""
    room = await secured(masc, require_token=True)
    client = room.client(room.admin, exposed="0.0.0.0")
    for tool, arguments in (("masc_auth_disable", {}), ("masc_auth_enable", {"require_token": False})):
        outcome = await masc.outcome(tool, client, **arguments)
        assert outcome.error is not None and outcome.error.code == "bind_requires_auth"
        assert outcome.error.details == {"host": "0.0.0.0"}
    assert "error" not in (await masc.outcome("masc_status", client)).structured
    assert (await room.ask("masc_auth_disable", room.admin))["changed"], "from a server nobody else reaches it may"


async def test_a_room_is_not_bound_by_a_server_that_ended_or_by_a_machine_of_another_name(tmp_path: Path) -> None:
    async with masc_app(tmp_path, backend="sqlite") as masc:
        room = await secured(masc, require_token=True)
        for process, bound in (
            ("process:elsewhere:1:0.00", False),
            (process_binding().rsplit(":", 1)[0] + ":1.00", False),
            (process_binding(), True),
        ):
            await bind(masc, process)
            refused = (await room.ask("masc_auth_enable", room.admin, require_token=False)).get("error", {})
            assert refused.get("code") == ("bind_requires_auth" if bound else None), process
            await room.ask("masc_auth_enable", room.admin, require_token=True)


async def bind(masc: MascApp, process: str) -> None:
    """Note a server on an open address."""

    async def note(tx: Transaction) -> None:
        states = View(AUTH, tx)
        states.put(evolve(await states.get(STATE), open_binds=[OpenBind(process, "0.0.0.0")]))

    await transact(masc.kernel.start_room.driver, note)


async def test_a_server_that_others_reach_answers_nobody_where_auth_is_off(masc: MascApp) -> None:
    await masc.call("masc_init")
    outcome = await masc.outcome("masc_status", masc.client(exposed="0.0.0.0"))
    assert outcome.error is not None and why(outcome.error.as_dict()) == ("unauthorized", "missing_token")


async def test_off_everything_is_allowed_and_tokens_are_ignored(masc: MascApp) -> None:
    room = await secured(masc, require_token=True)
    assert (await room.ask("masc_auth_disable", room.admin)) == {"enabled": False, "changed": True}
    assert (await room.ask("masc_auth_disable", UNKNOWN)) == {"enabled": False, "changed": False}
    assert (await room.ask("masc_auth_list"))["count"] == 1, "credentials are kept"
    assert (await room.error("masc_auth_create_token", agent_name="x"))["code"] == "auth_disabled"
    assert (await room.error("masc_auth_refresh", agent_name="admin", token=room.admin))["code"] == "auth_disabled"
    joined = await room.ask("masc_join", agent_name="gemini", room_secret=room.secret)
    assert [w["code"] for w in joined["warnings"]] == ["room_secret_ignored"] and "token_path" not in joined
    again = await secured(masc)
    assert again.secret != room.secret and "error" not in await again.ask("masc_status", again.admin)
    assert (await again.error("masc_join", agent_name="kim", room_secret=room.secret))["code"] == "invalid_room_secret"


async def test_an_expired_token_is_renewed_for_a_week(masc: MascApp, clock: ManualClock) -> None:
    room = await secured(masc, require_token=True)
    token = await room.token("claude", "reader", expires_in_hours=1)
    assert (await room.error("masc_auth_refresh", agent_name="gemini", token=token))["code"] == "invalid_token"
    await clock.advance(168 * HOUR)
    renewed = await room.ask("masc_auth_refresh", agent_name="claude", token=token, deliver="result")
    assert renewed["role"] == "reader" and "error" not in await room.ask("masc_status", renewed["token"])
    await clock.advance((24 + 168) * HOUR)
    late = await room.error("masc_auth_refresh", renewed["token"], agent_name="claude")
    assert late["code"] == "token_expired", "as a bearer too"


async def test_the_default_role_and_expiry_come_from_the_settings(tmp_path: Path) -> None:
    chosen = evolve(Settings(), sections={AuthSettings: AuthSettings("reader", 2)})
    async with masc_app(tmp_path, settings=chosen) as masc:
        room = await secured(masc)
        refused = await room.error("masc_add_task", title="t")
        assert why(refused) == ("forbidden", "role")
        assert (refused["details"]["required_role"], refused["details"]["role"]) == ("worker", "reader")
        status = await room.ask("masc_auth_status")
        assert (status["default_role"], status["token_expiry_hours"], status["credentials"]) == ("reader", 2, 1)
        assert "you" not in status


async def test_events_tell_of_changes_and_hold_no_secret(masc: MascApp) -> None:
    room = await secured(masc)
    token = await room.token("claude")
    await room.ask("masc_auth_refresh", agent_name="claude", token=token)
    await room.ask("masc_auth_revoke", room.admin, agent_name="claude")
    entries = await masc.kernel.start_room.driver.read_log("events")
    actions = [e.body.decode().split('"action":"')[1].split('"')[0] for e in entries if b'"auth_changed"' in e.body]
    assert actions == ["enabled", "token_created", "token_refreshed", "revoked"]
    assert token.encode() not in await dump(masc)


async def test_credentials_are_listed_without_hashes_and_outlive_a_reset(masc: MascApp, clock: ManualClock) -> None:
    room = await secured(masc)
    await room.token("Zoe", "reader", expires_in_hours=1)
    await clock.advance(HOUR)
    await room.ask("masc_reset", room.admin, confirm=True)
    listed = await room.ask("masc_auth_list", room.admin)
    assert [(c["agent_name"], c["role"], c["created_by"], c["expired"]) for c in listed["credentials"]] == [
        ("admin", "admin", "anonymous", False),
        ("Zoe", "reader", "admin", True),
    ]
    assert set(listed["credentials"][0]) == {"agent_name", "role", "created_at", "created_by", "expires_at", "expired"}


@pytest.mark.parametrize(
    ("tool", "arguments", "field"),
    [
        ("masc_auth_create_token", {"agent_name": "a b"}, "agent_name"),
        ("masc_auth_create_token", {"agent_name": "human"}, "agent_name"),
        ("masc_auth_create_token", {"agent_name": "x", "role": "owner"}, "role"),
        ("masc_auth_create_token", {"agent_name": "x", "expires_in_hours": 8761}, "expires_in_hours"),
        ("masc_auth_create_token", {"agent_name": "x", "expires_in_hours": True}, "expires_in_hours"),
        ("masc_auth_create_token", {"agent_name": "x", "deliver": "mail"}, "deliver"),
        ("masc_auth_revoke", {}, "agent_name"),
        ("masc_auth_refresh", {"agent_name": "x", "token": "A" * 64}, "token"),
        ("masc_auth_refresh", {"agent_name": "x"}, "token"),
        ("masc_auth_enable", {"admin_name": "all"}, "admin_name"),
        ("masc_join", {"agent_name": "x", "room_secret": "short"}, "room_secret"),
    ],
)
async def test_odd_input_is_refused_and_changes_nothing(
    masc: MascApp, tool: str, arguments: dict[str, Any], field: str
) -> None:
    room = await secured(masc)
    before = unaudited(await dump(masc))
    error = await room.error(tool, None if tool == "masc_auth_refresh" else room.admin, **arguments)
    assert error["code"] in {"invalid_argument", "invalid_agent_name"} and error["details"]["field"] == field
    assert unaudited(await dump(masc)) == before
