"""VACUUM of the tables that hold bodies and index values."""

from __future__ import annotations

import asyncio
import logging

from psycopg.errors import Diagnostic

from masc_core.errors import StorageBusy
from masc_core.store._postgres_pool import Connection, Pool

__all__ = ["scrub"]

logger = logging.getLogger(__name__)
_PAUSE = 0.02
_NEXT = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text"
# Autovacuum's own transactions are none that VACUUM waits for.
_OLDER = """SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND backend_type = 'client backend' AND age(backend_xmin) > age(%s::text::xid8::xid))"""
_VACUUM = "VACUUM masc.documents, masc.document_index, masc.entries, masc.entry_index"


async def scrub(pool: Pool, patience: float) -> None:
    """VACUUM on a connection of its own, for it takes as long as the tables are large.

    Waits ``patience`` seconds for older transactions and for the tables' locks, then raises :class:`StorageBusy`. Raises
    :class:`StorageUnavailable` when the database cannot be reached.
    """
    async with pool.beside() as db:
        await _wait_for_older(db, patience)
        if not pool.pooled:
            # Behind a pooler it would stay set for whoever comes next.
            await db.execute(f"SET lock_timeout = {max(1, int(patience * 1000))}".encode(), prepare=False)
        db.add_notice_handler(_log)
        await db.execute(_VACUUM, prepare=False)


async def _wait_for_older(db: Connection, patience: float) -> None:
    """Wait until no transaction can see what was replaced before this call: VACUUM would leave it."""
    loop = asyncio.get_running_loop()
    end = loop.time() + patience
    row = await (await db.execute(_NEXT, prepare=False)).fetchone()
    assert row is not None
    while True:
        older = await (await db.execute(_OLDER, row, prepare=False)).fetchone()
        if older == (False,):
            return
        if loop.time() > end:
            raise StorageBusy
        await asyncio.sleep(_PAUSE)


def _log(said: Diagnostic) -> None:
    if said.severity_nonlocalized == "WARNING":
        logger.warning("scrubbing: %s", said.message_primary)
