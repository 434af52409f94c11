"""Whether a Redis server may hold a room."""

from __future__ import annotations

from typing import Any

from redis.exceptions import ResponseError

from masc_core.errors import StartError
from masc_core.store._redis_access import Lane

__all__ = ["SCHEMA", "check_schema", "check_server"]

SCHEMA = 1
"""The number of the layout described in _redis_keys.py."""
_MINIMUM = (7, 0)


async def check_server(lane: Lane, address: str, durability: str) -> None:
    """Raise :class:`StartError` naming what to change where the server is too old or would lose acknowledged changes."""
    info = _parsed(await lane.call(b"INFO", b"server"))
    version = info.get("redis_version", "0")
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < _MINIMUM:
        raise StartError(message=f"{address} is Redis {version}; install 7.0 or newer")
    if _parsed(await lane.call(b"INFO", b"replication")).get("role", "master") != "master":
        raise StartError(message=f"{address} is a replica; name the primary in MASC_REDIS_URL")
    settings = await _settings(lane, address)
    if wrong := _unfit(settings, durability):
        raise StartError(message=f"{address} would lose changes; {', and '.join(wrong)}")


def _unfit(settings: dict[str, str], durability: str) -> list[str]:
    """What to change, each with what it is now."""
    wrong = []
    if (policy := settings.get("maxmemory-policy")) != "noeviction":
        wrong.append(f"set maxmemory-policy noeviction (it is {policy})")
    if (appendonly := settings.get("appendonly")) != "yes":
        wrong.append(f"set appendonly yes (it is {appendonly})")
    sync = settings.get("appendfsync")
    if durability == "full" and sync != "always":
        wrong.append(f'set appendfsync always (it is {sync}), or storage.durability = "process" in config.toml')
    elif sync not in {"always", "everysec"}:
        wrong.append(f"set appendfsync everysec or always (it is {sync})")
    if durability == "full" and settings.get("no-appendfsync-on-rewrite", "no") != "no":
        wrong.append("set no-appendfsync-on-rewrite no (it is yes)")
    return wrong


async def _settings(lane: Lane, address: str) -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        for name in ("maxmemory-policy", "appendonly", "appendfsync", "no-appendfsync-on-rewrite"):
            answer = await lane.call(b"CONFIG", b"GET", name.encode())
            found |= {answer[n].decode(): answer[n + 1].decode() for n in range(0, len(answer), 2)}
    except ResponseError as error:
        raise StartError(
            message=f"{address} does not show its settings, so nobody knows whether it keeps data; "
            "allow the user the command CONFIG GET (+config|get)"
        ) from error
    return found


async def check_schema(lane: Lane, meta: bytes, address: str) -> bytes | None:
    """The identity of the room kept there, ``None`` before its first write. Raises :class:`StartError` for a layout that
    this version does not know."""
    schema, identity = await lane.call(b"HMGET", meta, b"schema", b"id")
    if identity is None:
        return None
    if int(schema) > SCHEMA:
        raise StartError(
            message=f"the room at {address} has schema {int(schema)}, this version of MASC knows {SCHEMA}; "
            "install a newer MASC"
        )
    if int(schema) < SCHEMA:
        raise StartError(message=f"the room at {address} has schema {int(schema)}; run masc db upgrade")
    found: bytes = identity
    return found


def _parsed(info: Any) -> dict[str, str]:
    lines = (line.partition(":") for line in info.decode(errors="replace").splitlines() if ":" in line)
    return {name: value for name, _, value in lines}
