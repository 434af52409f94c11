"""masc_status of a busy room: short, and honest about what it leaves out."""

from __future__ import annotations

import random
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from masc_core.frozen import evolve
from masc_core.plugins import Registry
from masc_core.testing.app import MascApp, masc_app
from masc_core.tokens import tokenizer
from masc_plugin_core.status import WORDS

TOKENS = 600


@pytest.mark.parametrize(
    "title", ["Rewrite the form of page {} so that it validates", "重写第 {} 页的表单" * 20, "x{}-" * 100]
)
async def test_a_busy_room_fits_in_600_tokens(tmp_path: Path, registry: Registry, title: str) -> None:
    # The rules are above the driver, so one store will do for so many records.
    async with masc_app(tmp_path, registry=registry) as masc:
        status = await _busy(masc, title, [f"agent-{i:02}" for i in range(20)])
    assert min(len(status["agents"]), len(status["tasks"]), len(status["locks"]["files"])) >= 1


@pytest.mark.parametrize(
    "letters",
    [
        f"{string.ascii_letters}{string.digits}_-",
        string.ascii_lowercase,
        "0123456789abcdef",
        f"{string.ascii_lowercase}234567",
        "abcdefghijklm-",
    ],
    ids=["any", "small", "hexadecimal", "base32", "dashes"],
)
async def test_names_and_paths_that_are_no_words_fit_too(tmp_path: Path, registry: Registry, letters: str) -> None:
    chosen = random.Random(letters)
    names = [f"a{''.join(chosen.choices(letters, k=63))}" for _ in range(20)]
    async with masc_app(tmp_path, registry=registry) as masc:
        await _busy(masc, "{0} ".join(names), names)


def test_long_words_that_count_one_are_one_token() -> None:
    count = tokenizer()
    for word in WORDS.split():
        assert count(word) == 1
        assert max(count(f"{before}{word}") for before in ('"', "_", "(", " ")) <= 2, "what stands before counts too"


async def test_senders_are_named_as_they_first_wrote_themselves(masc: MascApp) -> None:
    for name in ("BobBy", "ANN"):
        await masc.call("masc_broadcast", name, message="hello")
    await masc.call("masc_leave", "ANN")
    status = await masc.call("masc_status")
    assert status["messages"]["by_sender"] == {"system": 3, "ANN": 1, "BobBy": 1}


async def test_characters_that_a_tokenizer_takes_byte_by_byte_fit_too(tmp_path: Path, registry: Registry) -> None:
    part = "\u6df1\U00013000" * 25
    directory = tmp_path / part / part
    directory.mkdir(parents=True)
    async with masc_app(directory, registry=registry) as masc:
        await _busy(masc, "{} \U00013000\U0001f389" * 50, [f"agent-{'Zq9_' * 10}{i:02}" for i in range(20)])


async def _busy(masc: MascApp, title: str, names: Sequence[str]) -> dict[str, Any]:
    for name in names:
        await masc.call("masc_join", name)
    for i in range(200):
        await masc.call("masc_add_task", names[i % 20], title=title.format(i, *[i] * 100)[:500])
    for i, name in enumerate(names):
        await masc.call("masc_claim_next", name)
        await masc.call("masc_lock", name, file_path=f"src/pages/page_{i}/{name.removeprefix('agent')}form.py")
        await masc.call("masc_broadcast", name, message=f"@{names[3]} the validators come next")
    await masc.kernel.call(
        "masc_vote_create", {"proposer": names[0], "topic": "t", "options": ["a", "b"]}, masc.client()
    )
    outcome = await masc.outcome("masc_status", agent_name=names[3])
    count = tokenizer()
    assert count(outcome.text) <= TOKENS
    assert count(orjson.dumps(outcome.structured).decode()) <= TOKENS
    status, more = outcome.structured, outcome.structured["more"]
    assert more["agents"] + len(status["agents"]) == status["agents_total"] == 20
    assert more["tasks"] + len(status["tasks"]) == 200
    assert more["locks"] + len(status["locks"]["files"]) == status["locks"]["active"] == 20
    assert more["senders"] + len(status["messages"]["by_sender"]) == 21
    assert [call.partition(" ")[0] for call in more["ask"]] == [
        "masc_agents",
        "masc_tasks",
        "masc_lock",
        "masc_messages",
    ]
    for call in more["ask"]:
        await _asks(masc, call)
    return dict(status)


async def _asks(masc: MascApp, call: str) -> None:
    """What the status says can be called as it says."""
    name, _, argument = call.partition(" ")
    key, _, value = argument.partition("=")
    if name == "masc_lock":
        refused = await masc.error(name, "bystander", **{key: "src/pages/"})
        assert refused["code"] == "file_locked" and "locked_by" in refused["details"]
        return
    arguments: dict[str, Any] = {key: int(value)} if key else {}
    answer = await masc.call(name, **arguments)
    assert answer.get("total", answer["count"]) >= 20


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
