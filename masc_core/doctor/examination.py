"""One examination, from the machine to the records."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from masc_core.checks import run_checks
from masc_core.context import Context
from masc_core.contracts import contract_of
from masc_core.doctor.directory import look_at_directory
from masc_core.doctor.findings import Report
from masc_core.doctor.machine import look_at_machine, look_at_plugins, look_at_settings
from masc_core.doctor.store import look_at_store
from masc_core.errors import MascError
from masc_core.frozen import frozen
from masc_core.kernel import Kernel, local_client
from masc_core.plugins import Registry
from masc_core.rooms import Base
from masc_core.tools import ADMIN, READ, READER, WRITE, CallerUse, declaration, tool

__all__ = ["examine"]


@frozen
class Examined:
    """What categories and guards said."""

    parts: list[Mapping[str, Any]]


@tool(effect=READ, role=READER, caller=CallerUse.NONE, start_room=True, transactional=False)
async def masc_examine(ctx: Context) -> Examined:
    """Look at the records of every category."""
    return Examined(await ctx.ask("masc_doctor", ctx=ctx, fix=False))


@tool(effect=WRITE, role=ADMIN, caller=CallerUse.NONE, creates_room="never", start_room=True, transactional=False)
async def masc_mend(ctx: Context) -> Examined:
    """Look at the records of every category, and mend what can be."""
    return Examined(await ctx.ask("masc_doctor", ctx=ctx, fix=True))


async def examine(base: Base, *, fix: bool) -> Report:
    """Look at everything; with ``fix`` mend what can be mended without a loss."""
    report = Report(fix)
    await asyncio.to_thread(look_at_machine, report)
    await asyncio.to_thread(look_at_directory, report, base.path / ".masc")
    registry = await asyncio.to_thread(look_at_plugins, report)
    if registry is not None and look_at_settings(report, base.path, registry) is not None:
        await _look_into(report, base, registry)
    return report


async def _check(report: Report, kernel: Kernel) -> None:
    """What plugins say of the things they depend on."""
    checks = await run_checks(kernel)
    report.facts["checks"] = {f"{check.plugin}: {check.name}": check.ok for check in checks}
    for check in checks:
        if not check.ok:
            what = f"plugin {check.plugin} says of {check.name}: {check.detail}"
            report.error("check_failed", what, f"see to {check.name}; plugin {check.plugin} depends on it")


async def _look_into(report: Report, base: Base, registry: Registry) -> None:
    try:
        async with Kernel(base, registry) as kernel:
            room = kernel.start_room
            report.facts["room"] = await room.connect(create=False) and await look_at_store(report, room)
            if report.facts["room"]:
                contract = contract_of(declaration(masc_mend if report.fix else masc_examine, "command line"))
                outcome = await kernel.run(contract, {}, local_client())
                if outcome.error is not None:
                    raise outcome.error
                for part in outcome.structured["parts"]:
                    report.add(part)
                await _check(report, kernel)
    except MascError as error:
        code = "store_unreachable" if error.code in {"start_failed", "storage_unavailable"} else error.code
        report.error(code, str(error), "mend what is named, then look again")
