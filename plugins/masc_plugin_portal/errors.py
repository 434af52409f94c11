"""Why a portal or a portal task cannot be used."""

from __future__ import annotations

from masc_core.errors import AmbiguousAgent, Refused, error

__all__ = ["PortalNotOpen", "PortalTaskClosed", "PortalTaskNotFound", "SeveralPortals"]


@error
class PortalNotOpen(Refused):
    code = "portal_not_open"
    peer: str | None = None
    """Absent when nobody was named and the caller never had a portal."""
    closed_reason: str | None = None

    def __str__(self) -> str:
        whom = f" with {self.peer}" if self.peer else ""
        why = f" (closed: {self.closed_reason})" if self.closed_reason else ""
        return f"you have no open portal{whom}{why}; masc_portal_open opens one"


@error
class SeveralPortals(AmbiguousAgent):
    """Nobody was named, and several could be meant."""

    text = "you have several open portals: {candidates}; name one with to"
    agent: str = ""
    unlisted = frozenset({"agent"})


@error
class PortalTaskNotFound(Refused):
    code = "portal_task_not_found"
    http = 404
    text = "no portal task {portal_task_id} was sent to you; masc_portal_status lists those that were"
    portal_task_id: str


@error
class PortalTaskClosed(Refused):
    code = "portal_task_closed"
    text = "portal task {portal_task_id} is {status} already; send a new one without reply_to"
    portal_task_id: str
    status: str
