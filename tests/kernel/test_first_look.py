"""What a call needs from the store comes with its first look: on a database each further one is a round trip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from masc_core.store.driver import Document, Key
from masc_core.testing import MascApp

CALLS: dict[str, dict[str, Any]] = {
    "masc_add_task": {"title": "Write it down"},
    "masc_vote_create": {"topic": "Which?", "options": ["A", "B"]},
    "masc_broadcast": {"message": "hello"},
    "masc_interrupt": {"task_id": "task-001", "step": 1, "action": "deploy", "message": "Sure?"},
}


@pytest.mark.parametrize("tool", CALLS)
async def test_a_call_that_makes_a_record_looks_once(masc: MascApp, monkeypatch: pytest.MonkeyPatch, tool: str) -> None:
    await masc.call("masc_join", "claude")
    await masc.call(tool, "claude", **CALLS[tool])
    await masc.call("masc_join", "gemini")
    looks: list[list[Key]] = []
    driver = masc.kernel.start_room.driver
    get = driver.get

    async def counted(keys: Sequence[Key]) -> list[Document | None]:
        looks.append(list(keys))
        return await get(keys)

    monkeypatch.setattr(driver, "get", counted)
    await masc.call(tool, "gemini", **CALLS[tool])
    assert len(looks) == 1, looks
