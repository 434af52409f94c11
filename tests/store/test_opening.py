"""How settings and environment choose a room's store."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from cli_support import add_task, masc

from masc_core.clock import SystemClock
from masc_core.errors import StartError
from masc_core.kernel import Kernel, local_client
from masc_core.plugins import Registry
from masc_core.rooms import Base
from masc_core.settings import Settings, StorageSettings, load_settings
from masc_core.store._postgres_clock import ServerClock
from masc_core.store.opening import open_driver, store_exists, upgrade_store
from masc_core.wire.mcp import Adapter

POSTGRES = Settings(storage=StorageSettings("postgres"))
CLOCK = SystemClock()


def env(url: str, **more: str) -> dict[str, str]:
    return {"MASC_STORAGE_TYPE": "postgres", "MASC_POSTGRES_URL": url, **more}


class TestChoice:
    @pytest.mark.parametrize(("text", "name"), [("sqlite", "sqlite"), ("fs", "sqlite"), ("memory", "memory")])
    def test_a_local_store_looks_at_no_address(self, tmp_path: Path, text: str, name: str) -> None:
        settings = load_settings(tmp_path, {"MASC_STORAGE_TYPE": text})
        driver = open_driver(settings, tmp_path, CLOCK, {"DATABASE_URL": "nonsense", "MASC_POSTGRES_URL": "nonsense"})
        assert driver.name == name
        assert driver.clock is CLOCK

    def test_postgres_follows_its_own_clock_and_its_own_variable_first(self, tmp_path: Path) -> None:
        settings = load_settings(tmp_path, {"MASC_STORAGE_TYPE": "postgres"})
        url = "postgres://someone@nowhere/db"
        for environ in ({"MASC_POSTGRES_URL": url, "DATABASE_URL": "nonsense"}, {"DATABASE_URL": url}):
            driver = open_driver(settings, tmp_path, CLOCK, environ)
            assert driver.name == "postgres"
            assert isinstance(driver.clock, ServerClock)

    @pytest.mark.parametrize("environ", [{}, {"MASC_POSTGRES_URL": "", "DATABASE_URL": ""}])
    async def test_postgres_without_an_address_names_the_variable(
        self, tmp_path: Path, environ: dict[str, str]
    ) -> None:
        with pytest.raises(StartError, match="MASC_POSTGRES_URL is not set"):
            open_driver(POSTGRES, tmp_path, CLOCK, environ)
        with pytest.raises(StartError, match="MASC_POSTGRES_URL is not set"):
            await upgrade_store(POSTGRES, environ)

    async def test_a_missing_package_names_the_extra(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in [name for name in sys.modules if name.startswith("masc_core.store") and "postgres" in name]:
            monkeypatch.delitem(sys.modules, module)
        monkeypatch.setitem(sys.modules, "psycopg", None)
        with pytest.raises(StartError, match=r"pip install 'masc\[postgres\]'"):
            open_driver(POSTGRES, tmp_path, CLOCK, env("postgresql://h/d"))
        with pytest.raises(StartError, match=r"pip install 'masc\[postgres\]'"):
            await upgrade_store(POSTGRES, env("postgresql://h/d"))

    def test_only_a_file_can_be_missing(self, tmp_path: Path) -> None:
        assert not store_exists(Settings(), tmp_path)
        (tmp_path / "masc.db").touch()
        assert store_exists(Settings(), tmp_path)
        assert store_exists(POSTGRES, tmp_path / "none")

    async def test_local_stores_need_no_upgrade(self) -> None:
        assert await upgrade_store(Settings(), {}) == "sqlite needs no upgrade by hand"


class TestRoom:
    async def test_a_room_exists_when_its_record_does_and_follows_the_servers_clock(
        self,
        tmp_path: Path,
        registry: Registry,
        postgres_url: str,
        postgres_cluster: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("MASC_POSTGRES_URL", postgres_url)
        settings = Settings(cluster=postgres_cluster, storage=StorageSettings("postgres"))

        def kernel() -> Kernel:
            return Kernel(Base(tmp_path, may_create=True), registry, settings_of=lambda _: settings)

        async with kernel() as one, kernel() as two:
            assert await one.room_record() is None
            assert isinstance(one.start_room.clock, ServerClock)
            status = (await one.call("masc_status", {}, local_client(None))).structured
            assert not status["initialised"]
            assert [*tmp_path.iterdir()] == []
            await one.call("masc_add_task", {"title": "t"}, local_client("claude"))
            assert {p.name for p in (tmp_path / ".masc").iterdir()} == {".gitignore", "config.toml"}
            status = (await two.call("masc_status", {}, local_client(None))).structured
            assert (status["initialised"], status["backend"]) == (True, "postgres")
            assert [task["title"] for task in status["tasks"]] == ["t"]

    async def test_health_names_the_store_and_its_round_trip(
        self,
        tmp_path: Path,
        registry: Registry,
        postgres_url: str,
        postgres_cluster: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("MASC_POSTGRES_URL", postgres_url)
        for kind in ("postgres", "sqlite"):
            settings = Settings(cluster=postgres_cluster, storage=StorageSettings(kind))
            kernel = Kernel(Base(tmp_path, may_create=True), registry, settings_of={tmp_path: settings}.__getitem__)
            async with kernel:
                status, body = await Adapter(kernel, transport="http").health()
            assert (status, body["status"], body["store"]["backend"]) == (200, "ok", kind)
            # A room in a file that was never made has nothing to go to.
            assert ("round_trip_ms" in body["store"]) == (kind == "postgres")
            assert body["store"].get("round_trip_ms", 1) > 0


class TestCommands:
    def test_two_checkouts_with_one_cluster_name_share_a_room(
        self, tmp_path: Path, new_database: Iterator[str]
    ) -> None:
        url = next(new_database)
        here, there = tmp_path / "here", tmp_path / "there"
        for path in (here, there):
            path.mkdir()
        shared = env(url, MASC_CLUSTER_NAME="acme")
        first = masc(here, "db", "upgrade", env=shared)
        assert (first.status, first.out) == (0, "made schema masc, number 1\n")
        again = masc(here, "db", "upgrade", "--json", env=shared)
        assert again.json == {"done": "schema masc is at 1 already"}
        assert masc(here, "call", "masc_add_task", '{"title": "both"}', "--project", ".", env=shared).status == 0
        seen = masc(there, "status", "--json", env=shared).json
        assert (seen["backend"], [task["title"] for task in seen["tasks"]]) == ("postgres", ["both"])
        assert 0 < seen["round_trip_ms"] < 10_000
        assert "postgres (" in masc(there, "status", env=shared).out
        assert masc(there, "status", "--json", env=env(url, MASC_CLUSTER_NAME="other")).json["initialised"] is False
        assert not [*tmp_path.rglob("masc.db")]

    def test_sqlite_says_its_round_trip_too(self, project: Path) -> None:
        add_task(project, "one")
        assert "sqlite (" in masc(project, "status").out
        assert masc(project, "db", "upgrade").out == "sqlite needs no upgrade by hand\n"

    def test_an_unreachable_server_ends_the_start_with_one_sentence_and_no_file(self, project: Path) -> None:
        ran = masc(project, "serve", "--http", "--port", "0", env=env("postgresql://me:hunter2@127.0.0.1:1/db"))
        assert (ran.status, ran.out) == (1, "")
        assert ran.err.startswith("masc: PostgreSQL at 127.0.0.1:1/db did not answer within 10 s")
        assert ran.err.count("\n") == 1
        assert "hunter2" not in ran.err
        assert [p.name for p in project.iterdir()] == [".git"]

    def test_a_schema_that_is_not_upgraded_ends_the_start(self, project: Path, new_database: Iterator[str]) -> None:
        url = next(new_database)
        assert masc(project, "db", "upgrade", env=env(url)).status == 0
        with psycopg.connect(url, autocommit=True) as db:
            db.execute("UPDATE masc.meta SET number = 2")
        for command in (["serve", "--stdio"], ["status"], ["db", "upgrade"]):
            ran = masc(project, *command, env=env(url))
            assert (ran.status, ran.out) == (1, "")
            assert "install a newer MASC" in ran.err
            assert ran.err.count("\n") == 1
