"""A room on Redis is sealed like any other."""

from __future__ import annotations

import secrets

import orjson
import pytest
from redis_server import RedisServer
from room_support import KEY, convert, inner, sealed_driver

from masc_core.store.driver import Scan
from masc_core.store.envelope import is_sealed
from masc_core.store.redis import RedisDriver
from masc_core.store.sealing import CLEAR
from masc_core.testing import MascApp


async def bodies(app: MascApp) -> list[bytes]:
    """Every body as it is stored, but those of encryption itself."""
    driver = inner(app)
    assert isinstance(driver, RedisDriver)
    found = await driver.contents()
    documents = [d.body for name in found.collections if name not in CLEAR for d in await driver.scan(Scan(name))]
    return documents + [entry.body for log in found.logs for entry in await driver.read_log(log, 0, 10_000)]


@pytest.mark.parametrize("masc", ["redis"], indirect=True)
async def test_a_room_on_redis_is_sealed_and_readable_before_and_after(
    masc: MascApp, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASC_ENCRYPTION_KEY", KEY)
    word = secrets.token_hex(16)
    await masc.call("masc_join", "claude")
    await masc.call("masc_add_task", "claude", title=f"task {word}")
    await masc.call("masc_broadcast", "claude", message=f"before {word}")
    shown = await masc.call("masc_messages", "claude")
    assert word in orjson.dumps(shown).decode()

    assert "error" not in await masc.call("masc_encryption_enable")
    await convert(masc)
    assert sealed_driver(masc).known.state.state == "on"
    stored = await bodies(masc)
    assert len(stored) >= 4
    assert all(map(is_sealed, stored))
    assert await masc.call("masc_messages", "claude") == shown

    assert (await masc.call("masc_encryption_disable"))["state"] == "off"
    await masc.call("masc_broadcast", "claude", message="after")
    entries = await inner(masc).read_log("messages")
    assert not is_sealed(entries[-1].body)
    assert all(is_sealed(entry.body) for entry in entries[:-1])
    contents = [message["content"] for message in (await masc.call("masc_messages"))["messages"]]
    assert f"before {word}" in contents
    assert "after" in contents
