"""The SQLite file: where it may lie, what is in it, how an older one is brought forward."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

from masc_core.errors import StartError
from masc_core.store._sqlite_access import roll_back

__all__ = ["APPLICATION_ID", "MIGRATIONS", "check_place", "connect", "create_file", "prepare", "room_id"]

APPLICATION_ID = 0x4D415343
"""``MASC`` in the file's header, so that ``file`` and we know our own."""

_MINIMUM = (3, 38, 0)
_NETWORK = {"9p", "afs", "beegfs", "ceph", "cifs", "davfs", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "prl_fs"}
_NETWORK |= {"smb3", "smbfs", "vboxsf"}
_NETWORK |= {f"fuse.{kind}" for kind in ("ceph", "davfs2", "glusterfs", "rclone", "s3fs", "sshfs")}

# Bodies come last in a row: SQLite reads a row from the front, and stops before the pages a long body spills to.
# `indexed` repeats a record's index entries as JSON, so that replacing them needs no search. Tombstones have a table of
# their own so that a scan never has to step over them.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE rooms (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, fence INTEGER NOT NULL DEFAULT 0)",
        """CREATE TABLE documents (
            id INTEGER PRIMARY KEY, room INTEGER NOT NULL, collection TEXT NOT NULL, key TEXT NOT NULL,
            version INTEGER NOT NULL, indexed TEXT NOT NULL, body BLOB NOT NULL,
            UNIQUE (room, collection, key))""",
        """CREATE TABLE tombstones (
            room INTEGER NOT NULL, collection TEXT NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL,
            PRIMARY KEY (room, collection, key)) WITHOUT ROWID""",
        """CREATE TABLE document_index (
            room INTEGER NOT NULL, collection TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, key TEXT NOT NULL,
            document INTEGER NOT NULL,
            PRIMARY KEY (room, collection, name, value, key)) WITHOUT ROWID""",
        """CREATE TABLE heads (
            room INTEGER NOT NULL, log TEXT NOT NULL, last INTEGER NOT NULL,
            PRIMARY KEY (room, log)) WITHOUT ROWID""",
        # In the order they come, whatever their log: what one commit appends is then on one page, the last.
        """CREATE TABLE entries (
            id INTEGER PRIMARY KEY, room INTEGER NOT NULL, log TEXT NOT NULL, seq INTEGER NOT NULL,
            indexed TEXT NOT NULL, body BLOB NOT NULL,
            UNIQUE (room, log, seq))""",
        """CREATE TABLE entry_index (
            room INTEGER NOT NULL, log TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, seq INTEGER NOT NULL,
            entry INTEGER NOT NULL,
            PRIMARY KEY (room, log, name, value, seq)) WITHOUT ROWID""",
        """CREATE TABLE tallies (
            room INTEGER NOT NULL, collection TEXT NOT NULL, name TEXT NOT NULL, grp TEXT NOT NULL, n INTEGER NOT NULL,
            PRIMARY KEY (room, collection, name, grp)) WITHOUT ROWID""",
        """CREATE TABLE leases (
            room INTEGER NOT NULL, name TEXT NOT NULL, owner TEXT NOT NULL, fence INTEGER NOT NULL,
            expires REAL NOT NULL,
            PRIMARY KEY (room, name)) WITHOUT ROWID""",
    ),
)
"""What each schema number adds. A fresh file runs all of them, an older one those it lacks."""


def check_place(path: Path, *, allow_network_fs: bool, mounts: Path = Path("/proc/self/mounts")) -> None:
    """Raise :class:`StartError` when SQLite is too old or ``path`` lies where its locks and shared memory fail.

    Where there is no ``mounts`` (not Linux), any file system passes.
    """
    if sqlite3.sqlite_version_info < _MINIMUM:
        wanted = ".".join(map(str, _MINIMUM[:2]))
        raise StartError(message=f"SQLite {sqlite3.sqlite_version} is too old; install {wanted} or newer")
    if allow_network_fs or not mounts.exists():
        return
    here, best, kind = os.path.realpath(path), "", ""
    for line in mounts.read_bytes().decode(errors="surrogateescape").splitlines():
        _, point, fs = line.split(" ")[:3]
        for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
            point = point.replace(code, char)
        inside = here == point or here.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, fs
    if kind in _NETWORK:
        raise StartError(
            message=f"{path} is on a network file system ({kind} at {best}), where SQLite loses data; "
            "use a local disk, or postgres, or set storage.allow_network_fs"
        )


def create_file(path: Path) -> None:
    """Make sure that ``path`` exists, is writable and nobody else's to read. Raises :class:`StartError`."""
    try:
        # Only ever a new file is opened and closed here: closing an existing one would take away the locks that other
        # connections of this process hold (https://sqlite.org/howtocorrupt.html, 2.2).
        # SQLite gives its -wal and -shm files the mode of the main file, so this one decides for all three.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        try:
            status = path.stat()
        except OSError as error:
            raise StartError(
                message=f"{path} is a link to nothing ({error.strerror}); bring back what it names, or move it away"
            ) from None
        if not stat.S_ISREG(status.st_mode):
            raise StartError(message=f"{path} is not a regular file; move it away") from None
        if status.st_mode & 0o077 and status.st_uid == os.geteuid():
            path.chmod(status.st_mode & 0o700)
        if not os.access(path, os.R_OK | os.W_OK):
            raise StartError(message=f"{path} is not writable; change its owner or mode") from None
    except OSError as error:
        raise StartError(message=f"cannot create {path}: {error.strerror}") from error


def connect(path: Path, *, durability: str) -> sqlite3.Connection:
    """A connection to an existing file, with no transaction handling of Python's and no waiting of SQLite's."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    db = sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=256)
    try:
        # Checkpoints run beside the commits, in a thread: inside one they would add tens of milliseconds to it.
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute(f"PRAGMA synchronous = {'NORMAL' if durability == 'process' else 'FULL'}")
        db.execute("PRAGMA cache_size = -8192")
        db.execute("PRAGMA trusted_schema = OFF")
    except BaseException:
        db.close()
        raise
    return db


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Bring the file behind ``db`` to the present schema.

    Raises :class:`StartError` for a newer schema, somebody else's database or a truncated one, and ``sqlite3.Error``
    for what SQLite itself finds, a taken lock included; calling again goes on where it stopped.
    """
    # Of use only while the file is empty. A commit touches many pages and little of each, and what it costs is the
    # bytes it has to sync: with pages of 4096 it takes a fifth longer.
    db.execute("PRAGMA page_size = 2048")
    db.execute("BEGIN")  # One state: another process may be writing the schema just now.
    try:
        found = _schema(db, path)
    finally:
        roll_back(db)
    if db.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        raise StartError(message=f"{path} cannot use a write-ahead log; is its file system able to share memory?")
    if found == len(MIGRATIONS):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        found = _schema(db, path)  # Another process may have been first.
        if 0 < found < len(MIGRATIONS):
            _back_up(path, path.with_name(f"{path.name}.bak-{found}"))
        for script in MIGRATIONS[found:]:
            for statement in script:
                db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        db.execute("COMMIT")
    finally:
        roll_back(db)


def room_id(db: sqlite3.Connection, room: str) -> int:
    """The number of a room in this file, given out at the first opening. Raises ``sqlite3.Error``."""
    row = db.execute("SELECT id FROM rooms WHERE name = ?", (room,)).fetchone()
    if row is None:
        db.execute("INSERT INTO rooms (name) VALUES (?) ON CONFLICT DO NOTHING", (room,))
        row = db.execute("SELECT id FROM rooms WHERE name = ?", (room,)).fetchone()
    return int(row[0])


def _schema(db: sqlite3.Connection, path: Path) -> int:
    owner = int(db.execute("PRAGMA application_id").fetchone()[0])
    found = int(db.execute("PRAGMA user_version").fetchone()[0])
    tables = int(db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
    if owner != APPLICATION_ID and (owner or found or tables):
        raise StartError(message=f"{path} is a SQLite database, but not one of MASC's; move it away")
    if found > len(MIGRATIONS):
        raise StartError(
            message=f"{path} has schema {found}, this version of MASC knows {len(MIGRATIONS)}; install a newer MASC"
        )
    pages, size = (int(db.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "page_size"))
    wal = Path(f"{path}-wal")
    if not (wal.exists() and wal.stat().st_size) and path.stat().st_size < pages * size:
        raise StartError(
            message=f"{path} is cut short ({path.stat().st_size} of {pages * size} bytes); restore a backup"
        )
    return found


def _back_up(path: Path, copy: Path) -> None:
    # A second connection sees the state before the migration, whose transaction keeps every other writer out.
    copy.unlink(missing_ok=True)
    create_file(copy)
    source, target = connect(path, durability="full"), connect(copy, durability="full")
    try:
        source.backup(target)
    finally:
        target.close()
        source.close()
