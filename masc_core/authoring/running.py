"""What a running server of the room says of its plugins: what broke since its start, no other process knows."""

from __future__ import annotations

import urllib.error
import urllib.request
from http.client import HTTPException
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from masc_core.frozen import frozen

__all__ = ["Seen", "ask_server"]

_SECONDS = 5.0
"""A health check of a plugin's may take as long."""
_MOST = 1_000_000


@frozen
class Seen:
    """What the server said."""

    url: str
    faulty: tuple[str, ...]
    """The plugins in which something has failed; a guard as ``guard <name>``."""


class _Unmoved(urllib.request.HTTPRedirectHandler):
    """Takes a redirection for an answer."""

    def redirect_request(self, *given: object) -> None:
        """Go nowhere else."""


def ask_server(directory: Path) -> Seen | None:
    """Ask the HTTP server whose ``server.json`` is in a room's directory; ``None`` where none answers.

    Only one that this machine alone can reach is asked: the file may have come with somebody's repository.
    """
    try:
        url = str(orjson.loads((directory / "server.json").read_bytes())["url"]).removesuffix("/mcp") + "/health"
        if not _is_here(url):
            return None
        body = orjson.loads(_get(url))
        return Seen(url, tuple(map(str, body.get("plugins", {}).get("faulty", ()))))
    except (OSError, HTTPException, ValueError, TypeError, KeyError, AttributeError):
        return None


def _is_here(url: str) -> bool:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return parts.scheme in {"http", "https"} and (host == "localhost" or ip_address(host).is_loopback)


def _get(url: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Unmoved())
    try:
        with opener.open(url, timeout=_SECONDS) as answer:
            return bytes(answer.read(_MOST))
    except urllib.error.HTTPError as refused:  # 503 has the same body
        return refused.read(_MOST)
