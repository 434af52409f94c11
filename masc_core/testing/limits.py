"""Rate limits out of the way of programs that call real servers as fast as they can."""

from __future__ import annotations

from pathlib import Path

__all__ = ["lift_limits"]

_LIMITS = """\
# Scripted agents make in a second the calls of an hour.
[ratelimit]
per_minute = 100000
broadcast_per_minute = 100000
task_ops_per_minute = 100000
file_lock_per_minute = 100000
reads_per_minute = 100000
"""


def lift_limits(project: Path) -> None:
    """Let programs call as fast as they can in a project that has no room yet."""
    directory = project / ".masc"
    directory.mkdir(mode=0o700)
    (directory / ".gitignore").write_text("*\n", encoding="utf-8")
    (directory / "config.toml").write_text(_LIMITS, encoding="utf-8")
