"""The testing kit, used wrongly."""

from __future__ import annotations

from masc_core.testing import AppFactory, MakeDriver, ManualClock, MascApp, assert_contract


async def plays(masc_app: AppFactory, masc_clock: ManualClock) -> None:
    masc_clock.advance("60")  # error: mypy[arg-type,unused-coroutine] pyright[reportArgumentType,reportUnusedCoroutine]
    async with masc_app("standup", store=2) as app:  # error: mypy[arg-type] pyright[reportArgumentType]
        await app.agent()  # error: mypy[call-arg] pyright[reportCallIssue]
        ada = await app.agent("ada")
        await ada.called("masc_tasks")  # error: mypy[attr-defined] pyright[reportAttributeAccessIssue]
        answer: str = await ada.call("masc_tasks")  # error: mypy[assignment] pyright[reportAssignmentType]
        assert answer


def compares(app: MascApp, make: MakeDriver) -> None:
    app.agent("ada").call("masc_tasks")  # error: mypy[attr-defined] pyright[reportAttributeAccessIssue]
    make("room")  # error: mypy[call-arg,arg-type] pyright[reportCallIssue]
    assert_contract("standup", "schemas")  # error: mypy[arg-type] pyright[reportArgumentType]
