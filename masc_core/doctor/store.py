"""The store: whether it answers, how fast, by which clock, and whether it is whole."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import psutil

from masc_core.doctor.findings import Report
from masc_core.errors import MascError
from masc_core.records import ROOM_ID, ROOMS
from masc_core.rooms import OpenRoom
from masc_core.store.driver import Conflict, Driver, Key, Lease, Release
from masc_core.store.sealed import raw

__all__ = ["look_at_store"]

_ROUNDS = 5
_SLOW_MS = 250.0
_APART_SECONDS = 2.0
_LONG_SECONDS = 86_400.0
_PID = re.compile(r"pid (\d+)\Z")


async def look_at_store(report: Report, room: OpenRoom) -> bool:
    """Look at a store that is open; whether it has the room."""
    driver = raw(room.driver)
    try:
        (record,) = await _round_trip(report, driver)
        report.facts["schema"] = _schema(room)
        await _look_at_clock(report, driver)
        await _look_at_leases(report, driver)
    except MascError as error:
        report.error("store_unreachable", str(error), "see that the store runs and can be reached from here")
        return False
    if room.settings.storage.type == "sqlite":
        await asyncio.to_thread(_look_at_file, report, room.directory / "masc.db")
    return record is not None


async def _round_trip(report: Report, driver: Driver) -> list[object]:
    found: list[object] = []
    times = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        found = [*await driver.get([Key(ROOMS.name, ROOM_ID)])]
        times.append((time.perf_counter() - started) * 1000)
    took = report.facts["round_trip_ms"] = round(sorted(times)[_ROUNDS // 2], 3)
    if took > _SLOW_MS:
        report.warn("store_slow", f"the store takes {took:.0f} ms to answer", "run the servers nearer to the store")
    return found


def _schema(room: OpenRoom) -> int:
    """The number of the schema, which is the present one, or the store would not have opened."""
    if room.settings.storage.type == "postgres":
        from masc_core.store._postgres_schema import MIGRATIONS

        return len(MIGRATIONS)
    if room.settings.storage.type == "redis":
        from masc_core.store._redis_start import SCHEMA

        return SCHEMA
    from masc_core.store._sqlite_schema import MIGRATIONS as SQLITE

    return len(SQLITE)


async def _look_at_clock(report: Report, driver: Driver) -> None:
    apart = report.facts["clock_difference_s"] = round(driver.clock.now() - time.time(), 3)
    if abs(apart) > _APART_SECONDS:
        report.warn(
            "clock_differs",
            f"the store's clock is {apart:+.1f} s from this machine's; MASC follows the store's",
            "let both follow a time server (NTP)",
        )


async def _look_at_leases(report: Report, driver: Driver) -> None:
    leases = (await driver.dump()).leases
    report.facts["leases"] = len(leases)
    for lease in leases:
        left = lease.expires_at - driver.clock.now()
        owner = _PID.match(lease.owner)
        ended = driver.name == "sqlite" and owner is not None and not psutil.pid_exists(int(owner[1]))
        if ended or left > _LONG_SECONDS:
            fixed = report.fix and ended and await _give_back(driver, lease)
            report.warn(
                "lease_orphaned",
                f"the lease {lease.name!r} is held by {lease.owner!r} for {left:.0f} s more"
                + (", a process that has ended" if ended else ", longer than any lease is given for"),
                "wait until it is over" if ended else "see to the clock of the store, which was set back",
                fixed=fixed,
            )


async def _give_back(driver: Driver, lease: Lease) -> bool:
    try:
        await driver.commit([], [Release(lease.name, lease.fence)])
    except Conflict:
        return False
    return True


def _look_at_file(report: Report, path: Path) -> None:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as db:
            found = [str(row[0]) for row in db.execute("PRAGMA quick_check(3)")]
    except sqlite3.Error as error:
        found = [str(error)]
    if found != ["ok"]:
        report.error(
            "store_damaged",
            f"{path} is damaged: {'; '.join(found)[:300]}",
            f"stop the servers, move {path.name} and its -wal and -shm away, and masc restore a backup",
        )
