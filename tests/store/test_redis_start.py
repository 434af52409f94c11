"""When Redis may hold a room, what is said when it may not, and how a room is found there."""

from __future__ import annotations

import asyncio
import logging
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis_server import FIT, RedisServer, free_port

from masc_core.clock import SystemClock, steady
from masc_core.errors import MascError, StartError, StorageBusy, StorageUnavailable
from masc_core.frozen import evolve
from masc_core.settings import Settings, load_settings
from masc_core.store import _redis_start, opening
from masc_core.store._redis_clock import ServerClock
from masc_core.store._redis_keys import RoomKeys
from masc_core.store._redis_rows import RIGHTS, RightsMissing
from masc_core.store.driver import (
    Acquire,
    Append,
    Delete,
    Document,
    Driver,
    IndexEntry,
    Key,
    LogEntry,
    Put,
    Remove,
    Rewrite,
    RewriteEntry,
    Scan,
    Write,
)
from masc_core.store.opening import open_driver
from masc_core.store.redis import RedisDriver
from masc_core.testing import ManualClock

A = Key("things", "a")
SECRET = "s3cret-w0rd"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    """Starts servers with options, on data of the test's own."""
    servers: list[RedisServer] = []

    def start_one(*options: str) -> RedisServer:
        servers.append(RedisServer(tmp_path, *options))
        servers[-1].start()
        return servers[-1]

    yield start_one
    for server in servers:
        server.kill()


async def opened(url: str, **options: Any) -> None:
    async with RedisDriver(url, ManualClock(), opening=0.3, **options):
        pass


class TestFitness:
    @pytest.mark.parametrize(
        ("options", "durability", "named"),
        [
            (("--appendonly", "no"), "full", "set appendonly yes"),
            (("--appendonly", "no"), "process", "set appendonly yes"),
            (("--appendonly", "yes", "--appendfsync", "everysec"), "full", "set appendfsync always"),
            (("--appendonly", "yes", "--appendfsync", "no"), "process", "set appendfsync everysec"),
            ((*FIT, "--maxmemory-policy", "allkeys-lru"), "full", "set maxmemory-policy noeviction"),
            ((*FIT, "--maxmemory-policy", "volatile-ttl"), "process", "set maxmemory-policy noeviction"),
            ((*FIT, "--no-appendfsync-on-rewrite", "yes"), "full", "set no-appendfsync-on-rewrite no"),
            ((*FIT, "--replicaof", "127.0.0.1 1"), "full", "is a replica"),
        ],
    )
    async def test_an_unfit_server_stops_the_start_and_the_setting_is_named(
        self, start: Any, options: tuple[str, ...], durability: str, named: str
    ) -> None:
        server = start(*options)
        with pytest.raises(StartError, match=named):
            await opened(server.url, durability=durability)
        if "--replicaof" not in options:
            assert server.ask("DBSIZE") == b":0\r\n"

    @pytest.mark.parametrize("sync", ["everysec", "always"])
    async def test_durability_process_takes_a_server_that_syncs_every_second(self, start: Any, sync: str) -> None:
        async with RedisDriver(
            start("--appendonly", "yes", "--appendfsync", sync).url, durability="process", cluster="c"
        ) as store:
            await use(store)
            assert await store.watch({"log": 0}) == {"log": 2}

    async def test_an_old_server_does_not_start(self, start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_redis_start, "_MINIMUM", (99, 0))
        with pytest.raises(StartError, match=r"is Redis \d.*install"):
            await opened(start().url)

    async def test_settings_that_may_not_be_read_stop_the_start(self, start: Any) -> None:
        server = start()
        server.ask("ACL", "SETUSER", "clerk", "on", ">pw", "allkeys", "allchannels", "+@all", "-config|get")
        with pytest.raises(StartError, match=r"\+config\|get"):
            await opened(server.url.replace("//", "//clerk:pw@"))

    async def test_the_rights_the_documentation_names_are_enough(self, start: Any) -> None:
        server = start()
        rights = (Path(__file__).parents[2] / "docs" / "storage.md").read_text(encoding="utf-8")
        (line,) = [line for line in rights.splitlines() if line.strip().startswith("ACL SETUSER masc ")]
        assert server.ask(*line.replace("PASSWORD", "pw").split()) == b"+OK\r\n"
        async with RedisDriver(server.url.replace("//", "//masc:pw@"), cluster="c") as store:
            await use(store)
            assert await store.watch({"log": 0}) == {"log": 2}
            async with store.line.turn(1):
                with pytest.raises(StorageBusy):
                    await store.line.turn(0.005).__aenter__()
            found = await store.dump()
            further = next(word for word in rights.split("`") if word.startswith("+watch "))
            assert further == RIGHTS
            assert server.ask("ACL", "SETUSER", "masc", *further.split()) == b"+OK\r\n"
            await store.exchange(lambda _: found)
            assert await store.dump() == found

    @pytest.mark.parametrize("missing", [*RIGHTS.replace("+", "").split(), "type"])
    async def test_a_room_is_not_put_in_place_without_a_right_and_that_is_said(self, start: Any, missing: str) -> None:
        server = start()
        server.ask("ACL", "SETUSER", "clerk", "on", ">pw", "allkeys", "allchannels", "+@all", f"-{missing}")
        async with RedisDriver(server.url, cluster="c") as store:
            await use(store)
            found = await store.dump()
        async with RedisDriver(server.url.replace("//", "//clerk:pw@"), cluster="c") as store:
            with pytest.raises(RightsMissing, match=rf"may not run {missing.upper()};.*\+rename") as refused:
                await store.exchange(lambda _: found)
            assert not refused.value.retryable and "try again" not in str(refused.value)
            assert await store.dump() == found

    async def test_a_right_that_a_script_lacks_is_said_too(self, start: Any) -> None:
        server = start()
        server.ask("ACL", "SETUSER", "clerk", "on", ">pw", "allkeys", "allchannels", "+@all", "-expire")
        async with RedisDriver(server.url.replace("//", "//clerk:pw@"), cluster="c") as store:
            await store.commit([], [Put(A, b"1")])
            with pytest.raises(RightsMissing, match="may not run a command of a script"):
                await store.exchange(lambda found: found)
            server.ask("ACL", "SETUSER", "clerk", "-hmget", "-hkeys")
            with pytest.raises(StorageUnavailable, match="its user may not run HKEYS"):
                await store.dump()

    async def test_an_unreachable_server_stops_the_start_within_its_time(self) -> None:
        port = free_port()
        started = time.monotonic()
        with pytest.raises(StartError, match="no connection"):
            await opened(f"redis://127.0.0.1:{port}")
        assert time.monotonic() - started < 5

    async def test_a_server_that_runs_somebodys_endless_script_stops_the_start(self, start: Any) -> None:
        server = start()
        server.ask("CONFIG", "SET", "busy-reply-threshold", "10")
        endless = asyncio.create_task(asyncio.to_thread(server.ask, "EVAL", "while true do end", "0"))
        while b"BUSY" not in await asyncio.to_thread(server.ask, "GET", "x"):
            await asyncio.sleep(0)
        with pytest.raises(StartError, match="BUSY"):
            await opened(server.url)
        server.ask("SCRIPT", "KILL")
        await endless
        await opened(server.url)

    async def test_a_server_that_is_still_starting_is_waited_for(self, start: Any) -> None:
        server = start()
        server.kill()
        server.start(wait=False)
        async with RedisDriver(server.url, opening=10) as store:
            await store.commit([], [Put(A, b"")])
            assert await store.get([A]) == [(A, 1, b"", "")]

    async def test_a_newer_schema_does_not_start_and_an_older_one_asks_for_its_upgrade(self, start: Any) -> None:
        server = start()
        async with RedisDriver(server.url, cluster="c") as store:
            await store.commit([], [Put(A, b"")])
        for number, advice in (("99", "install a newer MASC"), ("0", "run masc db upgrade")):
            server.ask("HSET", "masc:{c:default}:meta", "schema", number)
            with pytest.raises(StartError, match=f"schema {number}.*{advice}"):
                await opened(server.url, cluster="c")

    async def test_a_schema_that_changes_under_a_running_server_stops_its_writes(self, start: Any) -> None:
        server = start()
        async with RedisDriver(server.url, cluster="c") as store:
            await store.commit([], [Put(A, b"")])
            server.ask("HSET", "masc:{c:default}:meta", "schema", "2")
            with pytest.raises(StorageUnavailable):
                await store.commit([], [Put(A, b"")])


class TestSecrets:
    async def test_no_message_and_no_log_shows_a_credential(
        self, start: Any, caplog: pytest.LogCaptureFixture, tmp_path: Path
    ) -> None:
        caplog.set_level(logging.DEBUG)
        server = start(*FIT, "--requirepass", "another")
        urls = [
            f"redis://:{SECRET}@127.0.0.1:{server.port}/0",
            f"redis://me:{SECRET}@127.0.0.1:1/0",
            f"http://me:{SECRET}@host/0",
            f"redis://me:{SECRET}@host:port/0",
            f"redis://me:{SECRET}@[::1/0",
            f"redis://me:{SECRET}@host/0?socket_timeout={SECRET}",
            f"redis://me:{SECRET}@host/0?nonsense={SECRET}",
            SECRET,
        ]
        for url in urls:
            with pytest.raises(StartError) as caught:
                await opened(url)
            error: BaseException | None = caught.value
            while error is not None:
                assert SECRET not in str(error)
                assert SECRET not in repr(error)
                error = error.__cause__
        assert SECRET not in caplog.text

    async def test_wrong_credentials_stop_the_start_at_once(self, start: Any) -> None:
        server = start(*FIT, "--requirepass", "right")
        for url in (server.url, server.url.replace("//", "//:wrong@")):
            with pytest.raises(StartError, match="refuses the credentials"):
                async with RedisDriver(url):
                    pass
        await opened(server.url.replace("//", "//:right@"))

    async def test_rediss_is_tls_and_checks_the_certificate(self, tmp_path: Path) -> None:
        subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        made = subprocess.run(
            [
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-keyout",
                "key.pem",
                "-out",
                "cert.pem",
                *subject,
            ],
            cwd=tmp_path,
            capture_output=True,
        )
        if made.returncode:
            pytest.skip("openssl cannot make a certificate")
        port = free_port()
        files = ("--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem", "--tls-ca-cert-file", "cert.pem")
        paths = [str(tmp_path / word) if word.endswith(".pem") else word for word in files]
        server = RedisServer(tmp_path, *FIT, "--tls-port", str(port), "--tls-auth-clients", "no", *paths)
        try:
            server.start()
            url = f"rediss://127.0.0.1:{port}/0"
            async with RedisDriver(f"{url}?ssl_ca_certs={tmp_path / 'cert.pem'}") as store:
                await use(store)
            for query, reason in (
                ("", "certificate is not trusted: self-signed certificate.*ssl_ca_certs=FILE"),
                (f"?ssl_ca_certs={tmp_path / 'none.pem'}", "is not there"),
                (f"?ssl_ca_certs={Path(__file__)}", "is no certificate"),
            ):
                with pytest.raises(StartError, match=reason):
                    async with asyncio.timeout(20), RedisDriver(url + query, opening=60):  # waiting would not help
                        pass
        finally:
            server.kill()


class TestPlace:
    @pytest.mark.parametrize("path", ["/main", "/1/2", "/-1", "/0x1", "/1.0", "/%31"])
    def test_a_database_that_is_no_number_is_never_taken_for_another(self, path: str) -> None:
        with pytest.raises(StartError, match="URL cannot be used"):
            RedisDriver(f"redis://127.0.0.1:6379{path}")

    async def test_all_keys_of_a_room_are_in_one_slot_and_scripts_name_each(self, start: Any) -> None:
        """A cluster refuses a script that touches another slot, and a key it has not named elsewhere."""
        server = start(*FIT, "--cluster-enabled", "yes", "--cluster-port", str(free_port()))
        server.ask("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        while b"cluster_state:ok" not in server.ask("CLUSTER", "INFO"):
            time.sleep(0.01)
        async with RedisDriver(server.url, cluster="c") as store:
            await use(store)
        keys = server.ask("KEYS", "*").split(b"\r\n")[2::2]
        assert len(keys) >= 8
        assert all(key.startswith(b"masc:{c:default}:") for key in keys)

    def test_no_two_rooms_share_a_key_whatever_their_names(self) -> None:
        names = ["a", "a:b", "b", "a}", "{", "%", "%3A", "", "é"]
        prefixes = [RoomKeys(cluster, room).prefix for cluster in names for room in names]
        assert len(set(prefixes)) == len(prefixes)
        assert all(prefix.count(b"{") == prefix.count(b"}") == 1 for prefix in prefixes)

    async def test_databases_of_one_server_are_apart(self, start: Any) -> None:
        server = start()
        async with RedisDriver(server.url) as one, RedisDriver(server.url[:-1] + "1") as other:
            await one.commit([], [Put(A, b"")])
            assert await other.get([A]) == [None]


class TestClock:
    async def test_without_a_clock_of_its_own_the_store_follows_the_servers(self, start: Any) -> None:
        async with RedisDriver(start().url) as store:
            assert abs(store.clock.now() - time.time()) < 1  # The same machine has the same time.
            (lease,) = (await store.commit([], [Acquire("l", "me", 60)])).leases
            assert abs(lease.expires_at - store.clock.now() - 60) < 1
            assert await store.leases(["l"]) == [lease]

    def test_a_difference_that_travel_explains_is_not_taken_over(self) -> None:
        clock, here = ServerClock(), steady()
        clock.seen(here + 100, here, here)
        first = clock.now() - steady()
        assert abs(first - 100) < 0.1
        clock.seen(here + 100.04, here, here + 0.1)
        clock.seen(here + 100.004, here, here)
        assert abs(clock.now() - steady() - first) < 0.001
        clock.seen(here + 90, here, here + 0.1)
        assert abs(clock.now() - steady() - 89.95) < 0.01

    async def test_setting_this_machines_clock_changes_nothing(
        self, start: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = time.time
        async with RedisDriver(start().url) as store:
            for step in (3600, -3600):
                monkeypatch.setattr(time, "time", lambda step=step: real() + step)
                assert abs(store.clock.now() - real()) < 60


class TestOpening:
    def _settings(self, **storage: Any) -> Settings:
        plain = Settings(cluster="c")
        return evolve(plain, storage=evolve(plain.storage, type="redis", **storage))

    async def test_the_environment_says_where_it_is_and_the_fallback_comes_second(
        self, start: Any, tmp_path: Path
    ) -> None:
        url = start().url
        for environ in ({"MASC_REDIS_URL": url, "REDIS_URL": "redis://127.0.0.1:1"}, {"REDIS_URL": url}):
            async with open_driver(self._settings(), tmp_path, ManualClock(), environ) as store:
                await use(store)
                assert store.name == "redis"
        assert [path.name for path in tmp_path.iterdir() if path.name == "masc.db"] == []

    def test_without_an_address_the_variable_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(StartError, match="MASC_REDIS_URL is not set"):
            open_driver(self._settings(), tmp_path, ManualClock(), {})

    def test_without_its_package_the_extra_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "redis"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.delitem(sys.modules, "masc_core.store.redis")
        monkeypatch.delattr("masc_core.store.redis", raising=False)
        for name in [name for name in sys.modules if name.startswith("masc_core.store._redis_")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setattr(sys, "meta_path", [_Without("redis"), *sys.meta_path])
        with pytest.raises(StartError, match=r"masc\[redis\]"):
            open_driver(self._settings(), tmp_path, ManualClock(), {"MASC_REDIS_URL": "redis://host"})

    def test_a_system_clock_gives_way_to_the_servers(self, tmp_path: Path) -> None:
        environ = {"MASC_REDIS_URL": "redis://host"}
        assert isinstance(open_driver(self._settings(), tmp_path, SystemClock(), environ).clock, ServerClock)
        mine = ManualClock()
        assert open_driver(self._settings(), tmp_path, mine, environ).clock is mine

    def test_settings_choose_redis_and_the_cluster(self, tmp_path: Path) -> None:
        found = load_settings(tmp_path, {"MASC_STORAGE_TYPE": "redis", "MASC_CLUSTER_NAME": "ours"})
        assert (found.storage.type, found.cluster) == ("redis", "ours")

    def test_an_unreachable_redis_ends_the_server_with_one_sentence_and_makes_no_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        environ = {"MASC_STORAGE_TYPE": "redis", "MASC_REDIS_URL": f"redis://:{SECRET}@127.0.0.1:1"}
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        command = [
            sys.executable,
            "-c",
            "from masc_core.cli import main; main()",
            "serve",
            "--stdio",
            "--project",
            str(tmp_path),
        ]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1
        assert "redis://127.0.0.1:1/0 cannot be used (no connection); start Redis" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert SECRET not in done.stderr + done.stdout
        assert list(tmp_path.iterdir()) == []


class _Without:
    """An import finder for which a package is not installed."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] == self._package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


async def use(store: Driver) -> None:
    """Every verb, and every kind of write and index, once."""
    entry = (IndexEntry("by", secrets.token_hex(2), "g"),)
    key = Key("things", secrets.token_hex(4))
    before = (await store.heads(["log"]))[0].last
    writes: list[Write] = [Put(key, b"1", entry), Append("log", b"1", entry), Append("log", b"2", entry)]
    committed = await store.commit([], [*writes, Acquire(key.id, "me", 10)])
    assert committed.appended == (before + 1, before + 2)
    await store.commit([], [Put(key, b"2", ()), Remove("log", (before + 1,))])
    assert await store.get([key, Key("others", "b")]) == [Document(key, 2, b"2"), None]
    assert (await store.scan(Scan("things", reverse=True)))[0].version >= 1
    assert await store.scan(Scan("things", "by")) == []
    assert len(await store.scan_log(Scan("log", "by"))) >= 1
    assert await store.count("log", "by") == {"g": len(await store.read_log("log"))}
    assert await store.count_log("log", "by", entry[0].value) == 1
    assert await store.leases([key.id]) == list(committed.leases)
    await store.commit([], [Rewrite(key, b"3"), RewriteEntry("log", before + 2, b"3")])
    assert await store.get([key]) == [Document(key, 2, b"3")]
    assert await store.read_log("log", before + 1) == [LogEntry(before + 2, b"3")]
    found = await store.contents()
    assert set(found.collections) == {"things"}
    assert found.logs == {"log": len(await store.read_log("log"))}
    await store.scrub()
    await store.commit([], [Delete(key)])


def test_every_error_here_is_one_of_ours() -> None:
    assert issubclass(StartError, MascError)
    assert opening.open_driver is open_driver
