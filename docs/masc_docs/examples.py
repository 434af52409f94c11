"""The example calls of the tool reference: kept in ``docs/examples``, played in a real room, their answers recorded.

A file holds one category's story, played from top to bottom in a room of its own on a clock that stands still. Each step is
a call: ``agent`` (absent: the person at the machine), ``tool``, ``arguments``, and, recorded, ``text`` and ``result``.
Optional are ``about`` (a sentence before the example), ``setup`` (true: played and not shown), ``mode`` (the endpoint's, full
unless set; empty: it fixes none), ``keep`` (names for parts of the result that differ each time, such as
``{"TOKEN": "token"}``; later arguments may say ``$TOKEN``), ``later`` (seconds that pass before the call) and ``due`` (true:
what the server does by itself is done before the call).
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import define

from masc_core.identity import Client
from masc_core.kernel import Kernel
from masc_core.plugins import load
from masc_core.rooms import Base
from masc_core.settings import ServerSettings, Settings, StorageSettings
from masc_core.sweep import due_once
from masc_core.testing import ManualClock

__all__ = ["DIRECTORY", "Step", "file_text", "files", "play", "steps_of"]

Step = dict[str, Any]

DIRECTORY = Path(__file__).parent.parent / "examples"
ROOM = "/home/ada/shop"
"""What the examples call the directory of their room."""
_BEGIN = 1_790_000_000.0
_GIT = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
_VARYING = (
    (re.compile(r'\b(session_id(?:"?[:=] ?"?))[0-9a-f]{8}\b'), r"\g<1>1f3a90c2"),
    (re.compile(r'\b((?:active_)?key_ids?(?:"?[:=] ?\[?"?))[0-9a-f]{16}\b'), r"\g<1>5b0c9f3e27d1a864"),
)
"""What differs each time and is no secret, and what stands for it."""


def files() -> list[Path]:
    """The files of examples, one a category."""
    return sorted(DIRECTORY.glob("*.json"))


def steps_of(path: Path) -> list[Step]:
    """The steps of a file, in order."""
    steps: list[Step] = json.loads(path.read_text(encoding="utf-8"))
    return steps


def file_text(steps: list[Step]) -> str:
    """The text of a file with these steps."""
    return json.dumps(steps, indent=2, ensure_ascii=False) + "\n"


async def play(steps: list[Step]) -> list[Step]:
    """The same steps with the answers that a new room gives. Raises ``AssertionError`` where a step of the setup fails."""
    with TemporaryDirectory() as directory:
        shop = _repository(directory)
        settings = Settings(
            cluster="shop", storage=StorageSettings(type="memory"), server=ServerSettings(check_results=True)
        )
        clock = ManualClock(_BEGIN)
        async with Kernel(
            Base(shop, may_create=True), load(enabled=()), clock=clock, settings_of=lambda _: settings
        ) as kernel:
            playing = _Playing(kernel, clock, {str(shop): ROOM}, {"$ROOM": str(shop)})
            return [await playing.play(step) for step in steps]


def _repository(directory: str) -> Path:
    """A repository with one commit, as the examples find it."""
    path = Path(directory).resolve() / "shop"
    (path / "src").mkdir(parents=True)
    (path / "src" / "login.py").write_text("# the login page\n", encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    environment |= {"GIT_AUTHOR_DATE": f"{_BEGIN:.0f} +0000", "GIT_COMMITTER_DATE": f"{_BEGIN:.0f} +0000"}
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "Begin"]):
        subprocess.run([*_GIT, *arguments], cwd=path, env=environment, check=True)
    return path


@define
class _Playing:
    """A room in which a story is played."""

    kernel: Kernel
    clock: ManualClock
    stand_ins: dict[str, str]
    """What differs each time, and what the documents show for it."""
    kept: dict[str, str]

    async def play(self, step: Step) -> Step:
        await self.clock.advance(step.get("later", 1))
        if step.get("due"):
            await self._do_what_is_due()
        arguments = {name: self.kept.get(value, value) if isinstance(value, str) else value
                     for name, value in step["arguments"].items()}  # fmt: skip
        outcome = await self.kernel.call(step["tool"], arguments, self._client(step))
        for delivered in outcome.delivered:
            await delivered()
        for name, key in step.get("keep", {}).items():
            self.kept[f"${name}"] = outcome.structured[key]
            self.stand_ins[outcome.structured[key]] = f"${name}"
        if step.get("setup"):
            assert outcome.error is None, f"{step}: {outcome.text}"
            return step
        return {**step, "text": self._shown(outcome.text), "result": self._result(outcome.structured)}

    async def _do_what_is_due(self) -> None:
        before = asyncio.all_tasks()
        await due_once(self.kernel, self.kernel.start_room)
        await asyncio.gather(*(asyncio.all_tasks() - before))

    def _client(self, step: Step) -> Client:
        if (agent := step.get("agent")) is None:
            return Client(transport="local", source="local", person="human:ada")
        mode = step.get("mode", "full")
        selection = self.kernel.modes.check(mode, (), "url") if mode else None
        return Client(transport="http", source="docs", agent=agent, selection=selection, bindings=(f"agent:{agent}",))

    def _result(self, structured: Mapping[str, Any]) -> Any:
        return json.loads(self._shown(json.dumps(structured, ensure_ascii=False, default=dict)))

    def _shown(self, text: str) -> str:
        for found, stand_in in self.stand_ins.items():
            text = text.replace(found, stand_in)
        for pattern, replacement in _VARYING:
            text = pattern.sub(replacement, text)
        return text
