"""The room's directory: who may read it, what was left in it, how much room there is."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import orjson

from masc_core.doctor.findings import Report

__all__ = ["look_at_directory"]

_LITTLE, _HARDLY_ANY = 1_073_741_824, 104_857_600
_PRIVATE = ("masc.db*", "secrets", "secrets/*", "exports", "exports/*", "trash", "trash/*", "trash/*/*")


def look_at_directory(report: Report, directory: Path) -> None:
    """Look at ``.masc/``, where there is one, and the disk it is on."""
    there = directory if directory.is_dir() else directory.parent
    free = shutil.disk_usage(there).free
    report.facts["free_bytes"] = free
    mend = "free some space, or move old files out of .masc/trash and .masc/exports"
    if free < _HARDLY_ANY:
        report.error("disk_full", f"{free >> 20} MiB are free on the disk of {there}", mend)
    elif free < _LITTLE:
        report.warn("disk_low", f"{free >> 20} MiB are free on the disk of {there}", mend)
    if there == directory:
        _look_at_modes(report, directory)
        _look_at_server_file(report, directory / "server.json")


def _look_at_modes(report: Report, directory: Path) -> None:
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        report.error("not_writable", f"{directory} cannot be written", "give it to the user who runs the servers")
        return
    for path in (directory, *_private(directory)):
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            continue
        if status.st_uid != os.geteuid():
            report.warn("foreign_owner", f"{path} belongs to user {status.st_uid}", f"chown {os.geteuid()} '{path}'")
        elif status.st_mode & 0o077:
            if report.fix:
                path.chmod(stat.S_IMODE(status.st_mode) & 0o700)
            mend = f"chmod go= '{path}'"
            report.error("readable_by_others", f"group or others may use {path}", mend, fixed=report.fix)


def _private(directory: Path) -> Iterator[Path]:
    for pattern in _PRIVATE:
        yield from sorted(directory.glob(pattern))


def _look_at_server_file(report: Report, file: Path) -> None:
    try:
        pid = orjson.loads(file.read_bytes())["pid"]
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError):
        return
    import psutil

    if type(pid) is int and psutil.pid_exists(pid):
        report.facts["server_pid"] = pid
        return
    if report.fix:
        file.unlink(missing_ok=True)
    report.warn("server_file_stale", f"{file} names a server that has ended", f"rm '{file}'", fixed=report.fix)
