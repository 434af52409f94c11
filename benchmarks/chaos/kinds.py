"""All faults."""

from __future__ import annotations

from .base import Fault
from .clock import Clock, Skew
from .outages import Connections, Database, FullDisk, ReadOnly
from .processes import DyingClient, Kill, Many, Restart

__all__ = ["FAULTS"]

FAULTS: dict[str, type[Fault]] = {
    kind.name: kind
    for kind in (Kill, Restart, Database, Connections, FullDisk, ReadOnly, Clock, Skew, DyingClient, Many)
}
