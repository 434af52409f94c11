"""What ``masc doctor`` says of the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from masc_core import Context
from masc_core.doctor.findings import Report, answer
from masc_core.store.driver import Driver
from masc_plugin_audit.chain import Broken
from masc_plugin_audit.verifying import verify_room

__all__ = ["examine"]


async def examine(ctx: Context) -> Mapping[str, Any]:
    """Follow the log from end to end."""

    async def found(work: Context) -> Driver:
        return work.tx.driver

    report = Report()
    try:
        verified = await verify_room(await ctx.transact(found), [], None, lambda _: None)
    except Broken as broken:
        what = f"the audit log does not hold at entry {broken.seq} ({broken.reason}): {broken}"
        report.error(
            "audit_broken", what, "find out who could write to the store; masc audit export keeps what is there"
        )
        return answer({}, report.findings)
    for warning in verified.warnings:
        report.warn("audit_cut_off", warning, "compare with a head that was kept: masc audit verify --expect SEQ:HASH")
    return answer({"audit_head": str(verified.head), "audit_entries": verified.entries}, report.findings)
