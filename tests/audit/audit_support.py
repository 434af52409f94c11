"""What the tests of the audit guard share: the log as plain entries, and a hand in the raw SQLite file."""

from __future__ import annotations

import sqlite3
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from masc_core.testing import MascApp
from masc_plugin_audit.chain import Broken
from masc_plugin_audit.verifying import Anchor, Verified, verify_room

LOADED = "masc_plugins_loaded"


async def log(app: MascApp) -> list[dict[str, Any]]:
    """Every entry, oldest first."""
    return [orjson.loads(e.body) for e in await app.kernel.start_room.driver.read_log("audit", 0, 100_000)]


async def calls(app: MascApp) -> list[dict[str, Any]]:
    """The entries of calls, oldest first."""
    return [entry for entry in await log(app) if entry["tool"] != LOADED]


async def told(app: MascApp) -> list[tuple[str, str]]:
    """Tool and outcome of each call, oldest first."""
    return [(entry["tool"], entry["outcome"]) for entry in await calls(app)]


async def verified(app: MascApp, *anchors: Anchor, key: str | None = None) -> Verified:
    """Verify the room's log."""
    return await verify_room(app.kernel.start_room.driver, anchors, key, lambda count: None)


async def fault(app: MascApp, *anchors: Anchor, key: str | None = None) -> tuple[int, str] | None:
    """Number and reason of the first bad entry, ``None`` where the log holds."""
    try:
        await verified(app, *anchors, key=key)
    except Broken as broken:
        return broken.seq, broken.reason
    return None


def hashed(entry: dict[str, Any]) -> bytes:
    """An entry's body with its hash made anew, as somebody who rewrites the log would."""
    plain = {name: value for name, value in entry.items() if name != "hash"}
    digest = sha256(orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return orjson.dumps({**plain, "hash": digest}, option=orjson.OPT_SORT_KEYS)


class Raw:
    """The SQLite file behind MASC's back."""

    def __init__(self, path: Path) -> None:
        self._path = path / ".masc" / "masc.db"

    def run(self, statement: str, *values: object) -> None:
        """One statement, committed."""
        db = sqlite3.connect(self._path)
        with db:
            db.execute(statement, values)
        db.close()

    def body(self, seq: int) -> bytes:
        """An entry's body."""
        db = sqlite3.connect(self._path)
        (body,) = db.execute("SELECT body FROM entries WHERE log = 'audit' AND seq = ?", (seq,)).fetchone()
        db.close()
        return bytes(body)

    def write(self, seq: int, body: bytes) -> None:
        """Replace an entry's body."""
        self.run("UPDATE entries SET body = ? WHERE log = 'audit' AND seq = ?", body, seq)

    def change(self, seq: int, /, *, rehash: bool = False, **fields: Any) -> None:
        """Change fields of an entry, its hash too when ``rehash``."""
        entry = {**orjson.loads(self.body(seq)), **fields}
        self.write(seq, hashed(entry) if rehash else orjson.dumps(entry, option=orjson.OPT_SORT_KEYS))

    def remove(self, first: int, last: int) -> None:
        """Delete entries."""
        self.run("DELETE FROM entries WHERE log = 'audit' AND seq BETWEEN ? AND ?", first, last)

    def move(self, seq: int, to: int) -> None:
        """Give an entry another number."""
        self.run("UPDATE entries SET seq = ? WHERE log = 'audit' AND seq = ?", to, seq)

    def set_last(self, seq: int) -> None:
        """Have the store believe that this was the last number."""
        self.run("UPDATE heads SET last = ? WHERE log = 'audit'", seq)
