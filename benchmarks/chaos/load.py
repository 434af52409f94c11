"""The clients: agents that do a little of everything, as fast as they are answered."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from attrs import define, field
from mcp.client.client import Client

from .history import History, Operation
from .patience import PATIENCE

__all__ = ["Board", "Lost", "Worker", "call"]

CALL_SECONDS = 30.0 * PATIENCE
"""A call that takes longer counts as hanging."""
REGISTER_CALLS = 40
"""So often is one task claimed and released before another takes its place; longer histories take long to check."""
LOCK_SECONDS = 3600
OPTIONS = ["yes", "no"]


class Lost(Exception):
    """What became of a call is unknown, so its agent does nothing more."""


@define
class Board:
    """What the clients of one process know of the room."""

    registers: list[str] = field(factory=list)
    """Tasks that are claimed and given back."""
    votes: list[str] = field(factory=list)
    paths: list[str] = field(factory=lambda: [f"src/{i}.py" for i in range(3)])
    last_seq: int = 0
    bulk: int = 0
    """So many characters are added to every message."""
    calls: int = 0


async def call(client: Client, history: History, agent: str, tool: str, **arguments: Any) -> Operation:
    """One recorded call. Raises :class:`Lost` when its outcome is unknown."""
    operation = history.invoke(agent, tool, arguments)
    try:
        async with asyncio.timeout(CALL_SECONDS):
            result = await client.call_tool(tool, arguments)
    except TimeoutError as error:
        history.lost(operation, "hung")
        raise Lost from error
    except Exception as error:  # however the SDK says that no answer came
        history.lost(operation, repr(error))
        raise Lost from error
    history.answered(operation, dict(result.structured_content or {}))
    if operation.outcome == "unknown":
        raise Lost
    return operation


class Worker:
    """A client that begins anew, under another name, whenever the outcome of a call is unknown.

    ``connect`` gives a connected client for a name once its server is there; ``label`` begins all its names.
    """

    def __init__(
        self,
        label: str,
        connect: Callable[[str], AbstractAsyncContextManager[Client]],
        history: History,
        board: Board,
        seed: str,
    ) -> None:
        self.label = label
        self.done = 0
        """Calls that were answered well."""
        self.stopped = False
        """Set before it is cancelled: the SDK may turn a cancellation into an error of its own."""
        self._connect = connect
        self._history = history
        self._board = board
        self._random = random.Random(seed)
        self._names = (f"{label}-{i}" for i in itertools.count(1))
        self._texts = (f"{label} text {i}" for i in itertools.count(1))

    async def run(self) -> None:
        """Work until cancelled."""
        while not self.stopped:
            name = next(self._names)
            try:
                async with self._connect(name) as client:
                    await self._session(client, name)
            except Lost:
                continue
            except Exception:  # noqa: BLE001 - the SDK's ways of saying that the server is gone are many
                await asyncio.sleep(0.05)

    async def _session(self, client: Client, name: str) -> None:
        joined = await client.call_tool("masc_join", {"agent_name": name})
        if joined.is_error or joined.structured_content["agent"] != name:
            raise Lost
        actions = [
            self._finish_one, self._finish_one, self._register, self._register, self._register, self._say, self._say,
            self._read, self._look, self._lock, self._vote,
        ]  # fmt: skip

        async def do(tool: str, **arguments: Any) -> Operation:
            operation = await call(client, self._history, name, tool, **arguments)
            self.done += operation.outcome == "ok"
            return operation

        while True:
            await self._random.choice(actions)(do)

    async def _finish_one(self, do: Any) -> None:
        await do("masc_add_task", title=next(self._texts), priority=self._random.randint(1, 5))
        claimed = await do("masc_claim_next")
        if "task" in claimed.result:
            await do("masc_done", task_id=claimed.result["task"]["id"], notes=next(self._texts))

    async def _register(self, do: Any) -> None:
        board = self._board
        board.calls += 1
        if not board.registers or board.calls % REGISTER_CALLS == 0:
            # A capability that nobody has keeps masc_claim_next away from it.
            made = await do("masc_add_task", title=next(self._texts), capabilities=["register"])
            if made.outcome == "ok":
                board.registers = [*board.registers[-1:], made.result["task"]["id"]]
            return
        task = self._random.choice(board.registers)
        claimed = await do("masc_claim", task_id=task)
        if claimed.outcome == "ok":
            if self._random.random() < 0.1:
                await do("masc_done", task_id=task, notes=next(self._texts))
                board.calls = REGISTER_CALLS - 1
            else:
                await do("masc_transition", task_id=task, action="release")
        elif claimed.code == "task_invalid_state":
            board.calls = REGISTER_CALLS - 1

    async def _say(self, do: Any) -> None:
        said = await do(
            "masc_broadcast", message=next(self._texts) + " " * bool(self._board.bulk) + "x" * self._board.bulk
        )
        if said.outcome == "ok":
            self._board.last_seq = said.result["seq"]

    async def _read(self, do: Any) -> None:
        await do("masc_messages", since_seq=max(1, self._board.last_seq - self._random.randint(0, 20)), limit=20)

    async def _look(self, do: Any) -> None:
        await do("masc_tasks", status="open", limit=50)

    async def _lock(self, do: Any) -> None:
        path = self._random.choice(self._board.paths)
        taken = await do("masc_lock", file_path=path, ttl_seconds=LOCK_SECONDS)
        if taken.outcome == "ok":
            if self._random.random() < 0.3:
                await do("masc_lock", file_path=path, ttl_seconds=LOCK_SECONDS)
            await do("masc_unlock", file_path=path, fence=taken.result["fence"])
        elif self._random.random() < 0.05:
            # Its holder may be gone.
            self._board.paths = [*self._board.paths[1:], f"src/{next(self._texts).replace(' ', '-')}.py"]

    async def _vote(self, do: Any) -> None:
        board = self._board
        if not board.votes:
            made = await do("masc_vote_create", topic=next(self._texts), options=OPTIONS, required_votes=3)
            if made.outcome == "ok":
                board.votes = [made.result["vote"]["id"]]
            return
        vote = board.votes[0]
        for choice in self._random.choices(OPTIONS, k=self._random.randint(1, 2)):
            cast = await do("masc_vote_cast", vote_id=vote, choice=choice)
            if cast.code == "vote_closed" or cast.result.get("resolved"):
                board.votes = []
        await do("masc_vote_status", vote_id=vote)
