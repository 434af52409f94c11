"""The schema of a PostgreSQL database, its address, its roles, its clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from postgres_support import A, Make

from masc_core.clock import steady
from masc_core.errors import StartError
from masc_core.store import _postgres_schema
from masc_core.store._postgres_clock import ServerClock
from masc_core.store._postgres_pool import Target
from masc_core.store._postgres_start import upgrade_database
from masc_core.store.driver import (
    Acquire,
    Append,
    Held,
    Put,
)
from masc_core.store.postgres import PostgresDriver
from masc_core.testing import ManualClock


class TestSchema:
    async def test_a_fresh_database_is_set_up_at_the_start_by_all_who_come_at_once(
        self, new_database: Iterator[str]
    ) -> None:
        url = next(new_database)
        drivers = [PostgresDriver(url) for _ in range(5)]
        await asyncio.gather(*(d.__aenter__() for d in drivers))
        assert sorted([(await d.commit([], [Append("log", b"")])).appended[0] for d in drivers]) == [1, 2, 3, 4, 5]
        for d in drivers:
            await d.__aexit__(None, None, None)
        assert await upgrade_database(url) == (1, 1)

    async def test_a_newer_schema_stops_the_start(self, new_database: Iterator[str]) -> None:
        url = next(new_database)
        await upgrade_database(url)
        with psycopg.connect(url, autocommit=True) as db:
            db.execute("UPDATE masc.meta SET number = 99")
        for attempt in (PostgresDriver(url).__aenter__(), upgrade_database(url)):
            with pytest.raises(StartError, match=r"schema 99.*newer"):
                await attempt

    async def test_an_older_schema_stops_the_start_until_it_is_upgraded_and_a_copy_is_kept(
        self, new_database: Iterator[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = next(new_database)
        async with PostgresDriver(url) as store:
            await store.commit([], [Put(A, b"kept")])
        added = (*_postgres_schema.MIGRATIONS, ("ALTER TABLE masc.documents ADD COLUMN shape text",))
        monkeypatch.setattr(_postgres_schema, "MIGRATIONS", added)
        with pytest.raises(StartError, match=r"schema 1 .* needs 2; .*`masc db upgrade`"):
            await PostgresDriver(url).__aenter__()
        assert await upgrade_database(url) == (1, 2)
        assert await upgrade_database(url) == (2, 2)
        async with PostgresDriver(url) as store:
            assert await store.get([A]) == [(A, 1, b"kept", "")]
        with psycopg.connect(url) as db:
            assert db.execute("SELECT body FROM masc_bak_1.documents").fetchall() == [(b"kept",)]

    async def test_an_upgrade_that_fails_changes_nothing(
        self, new_database: Iterator[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = next(new_database)
        await upgrade_database(url)
        added = (*_postgres_schema.MIGRATIONS, ("ALTER TABLE masc.documents ADD COLUMN shape text", "SELECT 1 / 0"))
        with monkeypatch.context() as patch:
            patch.setattr(_postgres_schema, "MIGRATIONS", added)
            with pytest.raises(StartError, match="division by zero"):
                await upgrade_database(url)
        async with PostgresDriver(url) as store:
            await store.commit([], [Put(A, b"")])

    async def test_one_role_upgrades_and_another_only_reads_and_writes(
        self, new_database: Iterator[str], request: pytest.FixtureRequest
    ) -> None:
        url = next(new_database)
        role = f"masc_serve_{urlsplit(url).path[1:]}"
        with psycopg.connect(url, autocommit=True) as db:
            db.execute(f"CREATE ROLE {role} LOGIN".encode())
        serving = urlunsplit(urlsplit(url)._replace(netloc=f"{role}@{urlsplit(url).netloc.rpartition('@')[2]}"))
        try:
            for attempt in (PostgresDriver(serving).__aenter__(), upgrade_database(serving)):
                with pytest.raises(StartError, match=r"may not create|permission denied"):
                    await attempt
            assert await upgrade_database(url) == (0, 1)
            with pytest.raises(StartError, match="USAGE"):
                await PostgresDriver(serving).__aenter__()
            with psycopg.connect(url, autocommit=True) as db:
                db.execute(f"GRANT USAGE ON SCHEMA masc TO {role}".encode())
                db.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA masc TO {role}".encode())
            async with PostgresDriver(serving) as store:
                await store.commit([], [Put(A, b""), Append("log", b""), Acquire("lease", "me", 5)])
        finally:
            with psycopg.connect(url, autocommit=True) as db:
                db.execute(f"DROP OWNED BY {role}".encode())
                db.execute(f"DROP ROLE {role}".encode())

    async def test_somebody_elses_schema_is_left_alone(self, new_database: Iterator[str]) -> None:
        url = next(new_database)
        with psycopg.connect(url, autocommit=True) as db:
            db.execute("CREATE SCHEMA masc; CREATE TABLE masc.cups (n int)")
        for attempt in (PostgresDriver(url).__aenter__(), upgrade_database(url)):
            with pytest.raises(StartError, match="not MASC's"):
                await attempt


class TestClock:
    async def test_without_a_clock_times_are_the_servers(
        self, make_postgres: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = time.time
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda: real() - 5000)  # this machine's clock is slow
            async with make_postgres() as store:
                assert abs(store.clock.now() - real()) < 2
                (lease,) = (await store.commit([], [Acquire("lease", "me", 100)])).leases
                assert abs(lease.expires_at - real() - 100) < 2
                assert await store.leases(["lease"]) == [lease]
        async with make_postgres() as store:
            await store.commit([Held("lease", lease.fence)], [])

    async def test_a_given_clock_is_followed(self, make_postgres: Make) -> None:
        clock = ManualClock()
        async with make_postgres(clock=clock) as store:
            (lease,) = (await store.commit([], [Acquire("lease", "me", 100)])).leases
            assert (store.clock, lease.expires_at) == (clock, clock.now() + 100)

    def test_the_distance_changes_only_when_it_is_proved_wrong(self) -> None:
        clock, here = ServerClock(), steady()
        clock.observe(here + 100, here - 1, here + 1)
        assert 99 < clock.now() - steady() < 101
        before = clock._offset
        clock.observe(here + 100.5, here - 1, here + 1)
        assert clock._offset == before
        clock.observe(here + 50, here - 0.1, here + 0.1)
        assert 49 < clock.now() - steady() < 51

    async def test_setting_this_machines_clock_changes_nothing(
        self, make_postgres: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = time.time
        async with make_postgres() as store:
            for step in (3600, -3600):
                monkeypatch.setattr(time, "time", lambda step=step: real() + step)
                assert abs(store.clock.now() - real()) < 60


class TestAddress:
    @pytest.mark.parametrize(
        "url",
        [
            "host=here password=hunter2",
            "mysql://me:hunter2@here/db",
            "postgresql://me:hunter2@here:hunter2/db",
            "postgresql://me:hunter2@here/db?hunter2=1",
            "postgresql://me:hunter2/secret@here/db",
            "postgresql://me:secret@hunter2@here/db",
            "",
        ],
    )
    def test_a_bad_address_is_refused_without_repeating_it(self, url: str) -> None:
        with pytest.raises(StartError, match="PostgreSQL URL") as caught:
            PostgresDriver(url)
        assert "hunter2" not in str(caught.value)
        assert caught.value.__context__ is None

    def test_a_password_is_taken_out_of_messages(self) -> None:
        target = Target("postgres://me:hunter%2F2@here/db")
        assert target.clean("it was\n hunter/2, me") == "it was ***, me"

    @pytest.mark.parametrize(
        ("password", "text", "shown"),
        [
            ("a", "cannot reach the database at all", None),
            ("a", "password=a host=far", "password=*** host=far"),
            ("a", "password='a' host=far", "password='***' host=far"),
            ("a", "postgresql://masc:a@far/data", "postgresql://masc:***@far/data"),
            ("ser", 'no user "ser" on server', 'no user "***" on server'),
            ("!", "postgresql://masc:!@far/data", "postgresql://masc:***@far/data"),
            ("longpassword", "notlongpasswords", "not***s"),
        ],
    )
    def test_a_short_password_is_not_taken_out_of_words(self, password: str, text: str, shown: str | None) -> None:
        target = Target(f"postgresql://masc:{password}@far/data")
        assert target.clean(text) == (shown or text)

    def test_of_two_passwords_the_longer_is_taken_out_first(self) -> None:
        target = Target("postgresql://masc:key@far/data?sslpassword=key-of-keys")
        assert target.clean("password=key sslpassword=key-of-keys.") == "password=*** sslpassword=***."
        assert "hunter" not in str(target) + repr(target)
