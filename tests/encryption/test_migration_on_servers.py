"""Conversions of rooms on PostgreSQL and Redis, killed half way and kept from their end."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from postgres_support import soon
from redis import Redis
from room_support import ENVIRONMENT, KEY, MASC, Ran, convert, convert_in_background, inner, masc, sealed_driver
from sealed_support import random_word

from masc_core.clock import SystemClock
from masc_core.errors import StorageBusy
from masc_core.settings import Settings, StorageSettings
from masc_core.store.driver import Append, Driver, Key
from masc_core.store.envelope import is_sealed, key_id
from masc_core.store.opening import open_driver
from masc_core.store.postgres import PostgresDriver
from masc_core.store.sealing import PROGRESS, STATE_ID
from masc_core.sweep import due_once
from masc_core.testing import MascApp

RECORDS = 1000
PROGRESS_KEY = Key(PROGRESS.name, STATE_ID)
_NAMES = {"postgres": ("MASC_POSTGRES_URL", "application_name"), "redis": ("MASC_REDIS_URL", "client_name")}
"""Where the URL of a store is, and what in it names a connection."""


class Room:
    """A room that processes reach by their environment, and this test past the sealing."""

    def __init__(self, path: Path, env: dict[str, str]) -> None:
        self.path = path
        self.env = env

    def masc(self, *arguments: str) -> Ran:
        ran = masc(self.path, *arguments, key=KEY, **self.env)
        assert ran.status == 0, ran
        return ran

    def driver(self) -> Driver:
        storage = StorageSettings(type=self.env["MASC_STORAGE_TYPE"])
        settings = Settings(cluster=self.env["MASC_CLUSTER_NAME"], storage=storage)
        return open_driver(settings, self.path, SystemClock(), self.env)

    async def bodies(self, log: str = "messages") -> list[bytes]:
        async with self.driver() as driver:
            return [entry.body for entry in await driver.read_log(log, 0, 10 * RECORDS)]

    async def kill_half_way(self, *arguments: str) -> int:
        """Start a conversion and end it with SIGKILL among the messages; how many records it had done."""

        async def progress() -> dict[str, Any]:
            (found,) = await driver.get([PROGRESS_KEY])
            return dict(orjson.loads(found.body)) if found else {}

        async with self.driver() as driver:
            before = (await progress()).get("migration")
            name = random_word()
            environment = {**ENVIRONMENT, **self.env, **self._calling_itself(name), "MASC_ENCRYPTION_KEY": KEY}
            with subprocess.Popen(
                [*MASC, *arguments], cwd=self.path, env=environment, stderr=subprocess.PIPE
            ) as process:
                try:
                    while (now := await progress()).get("migration") == before or now["name"] != "messages":
                        assert process.poll() is None, process.communicate()
                finally:
                    os.kill(process.pid, signal.SIGKILL)
            # What a killed process has sent is carried out all the same.
            await soon(lambda: not self._is_connected(name))
            done = int((await progress())["done"])
        assert 0 < done < RECORDS
        return done

    def _calling_itself(self, name: str) -> dict[str, str]:
        variable, option = _NAMES[self.env["MASC_STORAGE_TYPE"]]
        url = self.env[variable]
        return {variable: f"{url}{'&' if '?' in url else '?'}{option}={name}"}

    def _is_connected(self, name: str) -> bool:
        """Whether the server has not yet noticed the end of the process that called itself so."""
        if (url := self.env.get("MASC_REDIS_URL")) is not None:
            with Redis.from_url(url) as redis:
                return name in {client["name"] for client in redis.client_list()}
        with psycopg.connect(self.env["MASC_POSTGRES_URL"]) as db:
            found = db.execute("SELECT 1 FROM pg_stat_activity WHERE application_name = %s", (name,))
            return found.fetchone() is not None


@pytest.fixture(params=["postgres", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Room:
    env = {"MASC_STORAGE_TYPE": str(request.param), "MASC_CLUSTER_NAME": secrets.token_hex(8)}
    if request.param == "postgres":
        env["MASC_POSTGRES_URL"] = request.getfixturevalue("postgres_url")
    else:
        env["MASC_REDIS_URL"] = request.getfixturevalue("redis_server").url
    return Room(tmp_path, env)


async def test_killed_half_way_a_conversion_is_carried_to_its_end(place: Room) -> None:
    """Sealing, rotating and opening, each killed with SIGKILL: what was there is there, in the one form or the other, and
    the next run ends it."""
    word = random_word()
    place.masc("call", "masc_init")
    texts = [b'{"content":"%s %d"}' % (word.encode(), n) for n in range(RECORDS)]
    async with place.driver() as driver:
        for start in range(0, RECORDS, 500):
            await driver.commit([], [Append("messages", text) for text in texts[start : start + 500]])
    place.masc("call", "masc_encryption_enable")
    done = await place.kill_half_way("encryption", "migrate")
    half = place.masc("encryption", "status", "--json").json
    assert (half["state"], half["migration"]["done"]) == ("converting", done)
    stored = await place.bodies()
    assert {is_sealed(body) for body in stored} == {True, False}
    assert [body for body in stored if not is_sealed(body)] == [
        text for text, body in zip(texts, stored, strict=True) if not is_sealed(body)
    ]
    ended = place.masc("encryption", "migrate", "--json").json
    assert (ended["state"], ended["plain"]) == ("on", 0)
    assert all(map(is_sealed, await place.bodies()))

    old = ended["active_key_id"]
    await place.kill_half_way("encryption", "rotate")
    assert len({key_id(body) for body in await place.bodies()}) == 2
    ended = place.masc("encryption", "migrate", "--json").json
    assert ended["key_ids"] == [ended["active_key_id"]] != [old]
    assert {key_id(body).hex() for body in await place.bodies()} == {ended["active_key_id"]}

    await place.kill_half_way("encryption", "migrate", "--to", "plain")
    ended = place.masc("encryption", "migrate", "--json").json
    assert (ended["state"], ended["sealed"]) == ("off", 0)
    assert await place.bodies() == texts


@pytest.fixture
def reader(postgres_url: str) -> Iterator[psycopg.Connection[object]]:
    """A transaction of somebody else's that may still read what is replaced."""
    with psycopg.connect(postgres_url) as db:
        db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        db.execute("SELECT count(*) FROM masc.entries")
        yield db
        db.rollback()


@pytest.mark.parametrize("masc", ["postgres"], indirect=True)
async def test_a_long_transaction_puts_the_end_of_a_conversion_off(
    masc: MascApp, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was plain is not declared gone while somebody can read it; everything works meanwhile, and the end comes."""
    monkeypatch.setenv("MASC_ENCRYPTION_KEY", KEY)
    await masc.call("masc_join", "claude")
    await masc.call("masc_broadcast", "claude", message="before")
    driver = inner(masc)
    assert isinstance(driver, PostgresDriver)
    driver._patience = 0.1
    reader: psycopg.Connection[object] = request.getfixturevalue("reader")
    await masc.call("masc_encryption_enable")
    await convert_in_background(masc)  # logs that it is put off
    await convert_in_background(masc)
    with pytest.raises(StorageBusy):
        await convert(masc)
    status = await masc.call("masc_encryption_status")
    assert (status["state"], status["plain"]) == ("converting", 0)
    await masc.call("masc_broadcast", "claude", message="meanwhile")
    shown = (await masc.call("masc_messages", "claude"))["messages"]
    assert {"before", "meanwhile"} <= {message["content"] for message in shown}
    reader.rollback()
    await convert_in_background(masc)
    assert (await masc.call("masc_encryption_status"))["state"] == "on"
    assert sealed_driver(masc).known.state.migration is None
    await due_once(masc.kernel, masc.kernel.start_room)
