"""The schema ``masc`` of a PostgreSQL database: what is in it, how it is made and brought forward."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection

from masc_core.errors import StartError
from masc_core.store._postgres_functions import FUNCTIONS

__all__ = ["MIGRATIONS", "ensure", "room_id", "upgrade"]

_MINIMUM = 140_000
_LOCK = "SELECT pg_advisory_xact_lock(1296126787, 0)"

# Names are bytea: any text fits, and they sort by their bytes. A record repeats its index entries as terms, so that
# replacing them needs no search. Tombstones have a table of their own so that a scan never has to step over them.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE masc.rooms (
            id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, cluster bytea NOT NULL, name bytea NOT NULL,
            fence bigint NOT NULL DEFAULT 0, UNIQUE (cluster, name))""",
        """CREATE TABLE masc.documents (
            room int NOT NULL, collection bytea NOT NULL, key bytea NOT NULL, version bigint NOT NULL,
            terms bytea[] NOT NULL, groups bytea[] NOT NULL, body bytea NOT NULL,
            PRIMARY KEY (room, collection, key)) WITH (fillfactor = 80)""",
        """CREATE TABLE masc.tombstones (
            room int NOT NULL, collection bytea NOT NULL, key bytea NOT NULL, version bigint NOT NULL,
            PRIMARY KEY (room, collection, key))""",
        """CREATE TABLE masc.document_index (
            room int NOT NULL, collection bytea NOT NULL, term bytea NOT NULL, key bytea NOT NULL,
            PRIMARY KEY (room, collection, term, key))""",
        """CREATE TABLE masc.heads (
            room int NOT NULL, log bytea NOT NULL, last bigint NOT NULL,
            PRIMARY KEY (room, log)) WITH (fillfactor = 50)""",
        """CREATE TABLE masc.entries (
            room int NOT NULL, log bytea NOT NULL, seq bigint NOT NULL,
            terms bytea[] NOT NULL, groups bytea[] NOT NULL, body bytea NOT NULL,
            PRIMARY KEY (room, log, seq))""",
        """CREATE TABLE masc.entry_index (
            room int NOT NULL, log bytea NOT NULL, term bytea NOT NULL, seq bigint NOT NULL,
            PRIMARY KEY (room, log, term, seq))""",
        """CREATE TABLE masc.tallies (
            room int NOT NULL, collection bytea NOT NULL, term bytea NOT NULL, n bigint NOT NULL,
            PRIMARY KEY (room, collection, term)) WITH (fillfactor = 50)""",
        """CREATE TABLE masc.leases (
            room int NOT NULL, name bytea NOT NULL, owner bytea NOT NULL, fence bigint NOT NULL, expires float8 NOT NULL,
            PRIMARY KEY (room, name)) WITH (fillfactor = 50)""",
        *FUNCTIONS,
    ),
)
"""What each schema number adds. A fresh schema runs all of them, an older one those it lacks."""

_FOUND = """SELECT current_database(),
    EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace('masc') AND relname = 'meta'),
    EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace('masc')),
    CASE WHEN to_regnamespace('masc') IS NULL THEN has_database_privilege(current_database(), 'CREATE')
        ELSE has_schema_privilege('masc', 'CREATE') END,
    to_regnamespace('masc') IS NULL OR has_schema_privilege('masc', 'USAGE')"""


async def ensure(db: AsyncConnection[Any]) -> None:
    """Check that the schema is the present one; make it in a database that has none, if this role may.

    Raises :class:`StartError` for a server, role or schema that will not do, and ``psycopg.Error``.
    """
    _check_server(db)
    found, may_create = await _schema(db)
    if found == 0 and may_create:
        await upgrade(db)
    elif found == 0:
        raise StartError(
            message="the database has no schema masc and this role may not create it; "
            "run `masc db upgrade` once with a role that may"
        )
    elif found < len(MIGRATIONS):
        raise StartError(
            message=f"the database has MASC's schema {found} and this version needs {len(MIGRATIONS)}; "
            "stop the servers and run `masc db upgrade`"
        )


async def upgrade(db: AsyncConnection[Any]) -> tuple[int, int]:
    """Bring the schema to the present number in one transaction: the numbers before (0: none) and after.

    The tables of an older schema are copied to ``masc_bak_<number>`` first. Raises as :func:`ensure` does.
    """
    _check_server(db)
    async with db.transaction():
        await db.execute(_LOCK)  # Another process may be at it.
        found, _ = await _schema(db)
        if 0 < found < len(MIGRATIONS):
            await _copy(db, f"masc_bak_{found}")
        if found == 0:
            await db.execute("CREATE SCHEMA IF NOT EXISTS masc")
            await db.execute("CREATE TABLE masc.meta (number int NOT NULL)")
            await db.execute("INSERT INTO masc.meta VALUES (0)")
        for script in MIGRATIONS[found:]:
            for statement in script:
                await db.execute(statement.encode())
        if found < len(MIGRATIONS):
            await db.execute("UPDATE masc.meta SET number = %s", (len(MIGRATIONS),))
    return found, len(MIGRATIONS)


async def room_id(db: AsyncConnection[Any], cluster: str, room: str) -> int:
    """The number of a room in this database, given out at the first opening. Raises ``psycopg.Error``."""
    names = (cluster.encode(), room.encode())
    query = "SELECT id FROM masc.rooms WHERE cluster = %s AND name = %s"
    row = await (await db.execute(query, names)).fetchone()
    if row is None:
        await db.execute("INSERT INTO masc.rooms (cluster, name) VALUES (%s, %s) ON CONFLICT DO NOTHING", names)
        row = await (await db.execute(query, names)).fetchone()
    assert row is not None
    return int(row[0])


def _check_server(db: AsyncConnection[Any]) -> None:
    if db.info.server_version < _MINIMUM:
        raise StartError(message=f"PostgreSQL {db.info.server_version // 10_000} is too old; use 14 or newer")


async def _schema(db: AsyncConnection[Any]) -> tuple[int, bool]:
    """The schema's number, 0 without one, and whether this role may make it."""
    row = await (await db.execute(_FOUND)).fetchone()
    assert row is not None
    name, is_ours, is_used, may_create, may_use = row
    if not may_use:
        raise StartError(
            message=f"this role may not use the schema masc of database {name}; grant it USAGE on the schema"
        )
    if not is_ours:
        if is_used:
            raise StartError(message=f"database {name} has a schema masc that is not MASC's; use another database")
        return 0, may_create
    row = await (await db.execute("SELECT max(number) FROM masc.meta")).fetchone()
    found = int(row[0]) if row and row[0] is not None else 0
    if found > len(MIGRATIONS):
        raise StartError(
            message=f"the database has MASC's schema {found}, this version knows {len(MIGRATIONS)}; install a newer MASC"
        )
    return found, may_create


async def _copy(db: AsyncConnection[Any], target: str) -> None:
    await db.execute(f"DROP SCHEMA IF EXISTS {target} CASCADE".encode())
    await db.execute(f"CREATE SCHEMA {target}".encode())
    tables = await (
        await db.execute(
            "SELECT quote_ident(relname) FROM pg_class WHERE relnamespace = 'masc'::regnamespace AND relkind = 'r'"
        )
    ).fetchall()
    for (table,) in tables:
        await db.execute(f"CREATE TABLE {target}.{table} AS TABLE masc.{table}".encode())
