"""What the guard promises."""

from __future__ import annotations

import pytest

import masc_review
from masc_core.testing import AppFactory, MascApp, ScriptedAgent
from masc_review import ReviewSettings

CALLS = [("masc_done", {}), ("masc_transition", {"action": "done"})]


async def begun(agent: ScriptedAgent) -> str:
    """A task that the agent has claimed."""
    task = await agent.call("masc_add_task", title="Fix login")
    task_id: str = task["task"]["id"]
    await agent.call("masc_claim", task_id=task_id)
    return task_id


async def status(app: MascApp, task_id: str) -> str:
    """What became of a task."""
    (task,) = [t for t in (await app.call("masc_tasks", status="all"))["tasks"] if t["id"] == task_id]
    return str(task["status"])


@pytest.mark.parametrize(("tool", "how"), CALLS)
@pytest.mark.parametrize("notes", [None, "", "fixed", "Reviewed-by: ", "Reviewed-by: Ada", "not Reviewed-by: bob"])
async def test_a_task_is_not_done_without_a_review_by_another(
    masc_app: AppFactory, tool: str, how: dict[str, str], notes: str | None
) -> None:
    async with masc_app(masc_review) as app:
        ada = await app.agent("ada")
        task_id = await begun(ada)
        error = await ada.refused(tool, task_id=task_id, notes=notes, **how)
        assert (error["code"], error["details"]) == ("review_missing", {"task_id": task_id, "agent": "ada"})
        assert await status(app, task_id) == "claimed"


@pytest.mark.parametrize(("tool", "how"), CALLS)
async def test_with_a_review_it_is_done(masc_app: AppFactory, tool: str, how: dict[str, str]) -> None:
    async with masc_app(masc_review) as app:
        ada = await app.agent("ada")
        task_id = await begun(ada)
        await ada.call(tool, task_id=task_id, notes="fixed in abc123\nReviewed-by: bob", **how)
        assert await status(app, task_id) == "done"


async def test_other_transitions_need_none(masc_app: AppFactory) -> None:
    async with masc_app(masc_review) as app:
        ada = await app.agent("ada")
        await ada.call("masc_transition", task_id=await begun(ada), action="release")


async def test_no_mode_switches_the_guard_off(masc_app: AppFactory) -> None:
    async with masc_app(masc_review) as app:
        ada = await app.agent("ada", mode="minimal")
        assert (await ada.refused("masc_done", task_id=await begun(ada)))["code"] == "review_missing"


async def test_a_room_may_allow_that_an_agent_reviews_its_own_work(masc_app: AppFactory) -> None:
    async with masc_app(masc_review, sections=[ReviewSettings(own=True)]) as app:
        ada = await app.agent("ada")
        await ada.call("masc_done", task_id=await begun(ada), notes="Reviewed-by: ada")


async def test_the_health_check_fails_while_nobody_could_review(masc_app: AppFactory) -> None:
    async with masc_app(masc_review) as app:
        ada = await app.agent("ada")
        (check,) = await app.health()
        assert check == {
            "plugin": "review",
            "name": "reviewers",
            "ok": False,
            "detail": "one agent is alone, and nobody can review what it does",
        }
        bob = await app.agent("bob")
        assert [check["ok"] for check in await app.health()] == [True]
        for agent in (ada, bob):
            await agent.call("masc_leave")
        assert [check["ok"] for check in await app.health()] == [True]
