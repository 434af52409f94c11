"""masc_status of a busy room: short, and honest about what it leaves out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from masc_core.frozen import evolve
from masc_core.plugins import Registry
from masc_core.testing.app import MascApp, masc_app
from masc_core.tokens import tokenizer

TOKENS = 600


@pytest.mark.parametrize(
    "title", ["Rewrite the form of page {} so that it validates", "重写第 {} 页的表单" * 20, "x{}-" * 100]
)
async def test_a_busy_room_fits_in_600_tokens(tmp_path: Path, registry: Registry, title: str) -> None:
    # The rules are above the driver, so one store will do for so many records.
    async with masc_app(tmp_path, registry=registry) as masc:
        await _busy(masc, title)


async def _busy(masc: MascApp, title: str) -> None:
    for i in range(20):
        await masc.call("masc_join", f"agent-{i:02}")
    for i in range(200):
        await masc.call("masc_add_task", f"agent-{i % 20:02}", title=title.format(i, *[i] * 100)[:500])
    for i in range(20):
        await masc.call("masc_claim_next", f"agent-{i:02}")
        await masc.call("masc_lock", f"agent-{i:02}", file_path=f"src/pages/page_{i}/form.py")
        await masc.call("masc_broadcast", f"agent-{i:02}", message="@agent-03 the validators come next")
    await masc.kernel.call(
        "masc_vote_create", {"proposer": "agent-00", "topic": "t", "options": ["a", "b"]}, masc.client()
    )
    outcome = await masc.outcome("masc_status", agent_name="agent-03")
    count = tokenizer()
    assert count(outcome.text) <= TOKENS
    assert count(orjson.dumps(outcome.structured).decode()) <= TOKENS
    status, more = outcome.structured, outcome.structured["more"]
    assert min(len(status["agents"]), len(status["tasks"]), len(status["locks"]["files"])) >= 1
    assert more["agents"] + len(status["agents"]) == status["agents_total"] == 20
    assert more["tasks"] + len(status["tasks"]) == 200
    assert more["locks"] + len(status["locks"]["files"]) == status["locks"]["active"] == 20
    assert more["senders"] + len(status["messages"]["by_sender"]) == 21
    for call in more["ask"]:
        name, _, argument = call.partition(" ")
        key, _, value = argument.partition("=")
        arguments: dict[str, Any] = {key: int(value)} if key else {}
        answer = await masc.call(name, **arguments)
        assert answer["total"] >= 20


@pytest.mark.parametrize(
    ("mode", "names"),
    [("minimal", "masc_agents"), ("standard", "masc_agents"), ("lean", "masc_agents"), ("solo", None)],
)
async def test_what_it_says_to_ask_is_in_the_mode(masc: MascApp, mode: str, names: str | None) -> None:
    for i in range(23):
        await masc.call("masc_join", f"agent-{i:02}")
    client = evolve(masc.client(), selection=masc.kernel.modes.check(mode, (), "url"))
    more = (
        (await masc.outcome("masc_status", client)).structured["more"]
        if mode != "lean"
        else (await masc.outcome("masc_call_read", client, name="masc_status")).structured["more"]
    )
    assert more.get("ask") == ([names] if names else None)
