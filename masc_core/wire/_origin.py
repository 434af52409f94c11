"""Who may talk to an HTTP server on loopback: exact comparison of ``Host`` and ``Origin``.

A web page the user visits can send requests to 127.0.0.1, directly or through a name it rebinds to loopback. The only
defence is to know every ``Host`` and ``Origin`` we answer to. They are few, so they are spelled out once, and a header
is compared byte for byte: no prefix, suffix or wildcard rule can be fooled by ``localhost.evil.example``, user info,
upper case, a trailing dot or a default port written out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from masc_core.errors import StartError

__all__ = ["HostPolicy"]

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_ALLOWED = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?)(?::(?P<port>[1-9][0-9]{0,4}))?")
_DEFAULT_PORT = {"http": 80, "https": 443}


class HostPolicy:
    """The ``Host`` and ``Origin`` values one server accepts.

    ``allowed`` are further hosts, ``name`` or ``name:port``; one without a port also stands for the served port. A
    further host may sit behind a proxy that speaks TLS, so its origin may be http or https.
    """

    def __init__(self, allowed: Iterable[str] = (), scheme: str = "http") -> None:
        """Read the allow-list; raises StartError for an entry that is not ``host`` or ``host:port``. ``scheme`` is what the
        server itself speaks."""
        self._scheme = scheme
        self._allowed = [_parse(entry) for entry in allowed]
        self._by_port: dict[int, tuple[frozenset[bytes], frozenset[bytes]]] = {}

    def refusal(self, headers: Iterable[tuple[bytes, bytes]], port: int) -> str | None:
        """Why a request with these headers to this port is refused, or None."""
        hosts, origins = self._by_port.get(port) or self._spell_out(port)
        host = origin = None
        for name, value in headers:
            if name == b"host":
                if host is not None:
                    return "there are two Host headers"
                host = value
            elif name == b"origin":
                if origin is not None:
                    return "there are two Origin headers"
                origin = value
        if host not in hosts:
            return "this Host is not served here; use the address the server printed, or start it with --allowed-host"
        if origin is not None and origin not in origins:
            return "this Origin is not allowed; open the page from the server's own address, or use --allowed-host"
        return None

    def _spell_out(self, port: int) -> tuple[frozenset[bytes], frozenset[bytes]]:
        hosts: set[str] = set()
        origins: set[str] = set()
        for name in _LOOPBACK:
            hosts.update(_authorities(name, port, self._scheme))
            origins.update(f"{self._scheme}://{at}" for at in _authorities(name, port, self._scheme))
        for name, own in self._allowed:
            hosts.update({f"{name}:{own}"} if own else {name, f"{name}:{port}"})
            for scheme, default in _DEFAULT_PORT.items():
                for p in (own,) if own else (default, port):
                    origins.update(f"{scheme}://{at}" for at in _authorities(name, p, scheme))
        known = frozenset(h.encode() for h in hosts), frozenset(o.encode() for o in origins)
        self._by_port[port] = known
        return known


def _authorities(name: str, port: int, scheme: str) -> tuple[str, ...]:
    # Clients leave a default port out, so both spellings name the same place.
    return (name, f"{name}:{port}") if port == _DEFAULT_PORT[scheme] else (f"{name}:{port}",)


def _parse(entry: str) -> tuple[str, int | None]:
    found = _ALLOWED.fullmatch(entry.lower())
    port = int(found["port"]) if found and found["port"] else None
    if found is None or (port is not None and port > 65535):
        raise StartError(
            message=f"allowed host {entry!r} is not of the form host or host:port; leave scheme and path out"
        )
    return found["name"], port
