"""Who sends a request: its peer or, behind a proxy that is trusted, whom the proxy names; and the token it brings."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from starlette.datastructures import Headers

__all__ = ["Network", "bearer", "is_loopback", "network", "source_of"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_LOOPBACK = frozenset({"127.0.0.1", "::1"})
_FORWARDED = "x-forwarded-for"


def network(text: str) -> Network:
    """The network in ``10.0.0.0/8`` or the one address in ``10.0.0.1``. Raises ``ValueError``."""
    return ipaddress.ip_network(text, strict=False)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def is_loopback(source: str) -> bool:
    """The source is this machine."""
    if source in _LOOPBACK:
        return True
    found = _address(source)
    return found is not None and found.is_loopback


def source_of(peer: str, headers: Headers, trusted: Sequence[Network]) -> str:
    """The peer's address; for a trusted proxy the last address in ``X-Forwarded-For`` that is not another one's.

    What stands before that was written by the client and proves nothing.
    """
    if not trusted:
        return peer
    source = peer
    hops = [hop for line in headers.getlist(_FORWARDED) for hop in line.split(",") if hop.strip()]
    while (found := _address(source)) is not None and any(found in proxies for proxies in trusted) and hops:
        named = _address(hops.pop())
        if named is None:
            break
        source = str(named)
    return source


def bearer(headers: Headers) -> str | None:
    """The token in ``Authorization: Bearer``; empty, which is none that fits, where there are several."""
    if not (given := headers.getlist("authorization")):
        return None
    found = [value.partition(" ")[2].strip() for value in given if value.partition(" ")[0].lower() == "bearer"]
    if not found:
        return None
    return found[0] if len(given) == 1 else ""
