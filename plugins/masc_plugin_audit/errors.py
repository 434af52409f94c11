"""How the audit commands say no."""

from __future__ import annotations

from masc_core import Refused, error

__all__ = ["AuditBroken", "AuditFileUnusable"]


@error
class AuditBroken(Refused):
    code = "audit_broken"
    text = "the audit log does not hold at entry {seq} ({reason}), so nothing was removed; masc audit verify says more"
    seq: int
    reason: str


@error
class AuditFileUnusable(Refused):
    code = "audit_file_unusable"
    http = 400
    text = "{path} cannot be used: {reason}"
    path: str
    reason: str
