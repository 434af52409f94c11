"""What ``masc doctor`` says of encryption."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from masc_core.context import Context
from masc_core.doctor.findings import Report, answer
from masc_plugin_encryption.migration import LEASE, Converter, progress_of
from masc_plugin_encryption.records import sealed_in

__all__ = ["examine"]


async def examine(ctx: Context, fix: bool) -> Mapping[str, Any]:
    """Whether a conversion waits for somebody to carry it on; with ``fix`` carry it to its end."""
    driver = await sealed_in(ctx)
    known = await driver.reload()
    report = Report(fix)
    facts = {"encryption": known.state.state}
    if known.problem is not None:
        report.error("encryption_key_missing", str(known.problem), "set the key for every process of this room")
        return answer(facts, report.findings)
    if (migration := known.state.migration) is None:
        return answer(facts, report.findings)
    progress = await progress_of(driver.inner, migration)
    (lease,) = await driver.inner.leases([LEASE])
    if lease is None:
        what = f"a conversion ({migration.direction}) stands at {progress.done} of {migration.total} records"
        if fix:
            converter = Converter(driver)
            while await converter.step():
                pass
        report.warn("encryption_half_done", what, "masc encryption migrate, or start a server", fixed=fix)
    if progress.unreadable:
        what = f"{progress.unreadable} records could not be opened and were left as they are"
        report.error("records_unreadable", what, "masc encryption migrate names them; restore them from a backup")
    return answer(facts, report.findings)
