"""What the two agents do, scene by scene, and what each scene promises."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from masc_core.demo.agent import Agent, StoryBroken
from masc_core.demo.project import FILES, commit, git
from masc_core.demo.report import Narrator, Report
from masc_core.demo.servers import as_person, lift_limits

__all__ = ["Story"]

CHORES = 10
GREETING = """\
def greet(name: str, language: str = "en") -> str:
    return {"en": "Hello", "de": "Hallo"}[language] + f", {name}!"
"""
MANUAL = "# hello\n\nGreets people: `python -m hello.cli Ada`.\n"


class Story:
    """Claude comes over HTTP, gemini on stdio; they split a change, race, work apart, talk, and finish."""

    def __init__(self, project: Path, claude: Agent, gemini: Agent, narrator: Narrator, report: Report) -> None:
        self._project = project
        self._claude, self._gemini = claude, gemini
        self._narrator, self._report = narrator, report
        self._winner, self._loser = claude, gemini

    async def run(self) -> None:
        """Every scene, in order."""
        await self._arrive()
        await self._plan()
        await self._race()
        await self._separate_checkouts()
        await self._lock()
        await self._work()
        await self._talk()
        await self._finish()
        await self._rush()
        await self._vote()
        await self._ask_the_human()
        await self._switch_mode()
        await self._leave()

    async def _arrive(self) -> None:
        self._report.check("starting servers changes nothing", not (self._project / ".masc").exists(), "no .masc/ yet")
        await lift_limits(self._project)
        self._narrator.says("masc", "lets the two call as fast as scripts do: masc_rate_limit_config")
        self._narrator.chapter("Both agents join")
        joined = [await agent.call("masc_join", agent_name=agent.name) for agent in self._both]
        rooms = {(await agent.call("masc_status", quiet=True))["path"] for agent in self._both}
        names = [result["agent"] for result in joined]
        self._report.check("two processes share one room", len(rooms) == 1, f"{' and '.join(names)} are in it")

    @property
    def _both(self) -> tuple[Agent, Agent]:
        return self._claude, self._gemini

    async def _plan(self) -> None:
        self._narrator.chapter("Claude splits the work")
        add = self._claude.call
        first = await add("masc_add_task", title="Greet in German", priority=1, files=["hello/greeting.py"])
        second = await add("masc_add_task", title="Explain the command", priority=2, files=["README.md"])
        parts = [first["task"]["id"], second["task"]["id"]]
        last = await add("masc_add_task", title="Merge and release", priority=1, depends_on=parts)
        self._parts, self._release = parts, str(last["task"]["id"])

    async def _race(self) -> None:
        first, second = self._parts
        self._narrator.chapter(f"Both claim {first} at the same moment")
        results = await asyncio.gather(*(agent.attempt("masc_claim", task_id=first) for agent in self._both))
        won = [agent for agent, result in zip(self._both, results, strict=True) if "error" not in result]
        codes = [result["error"]["code"] for result in results if "error" in result]
        self._report.check(
            "a task is claimed once", len(won) == 1 and codes == ["task_already_claimed"],
            f"{first}: {', '.join(agent.name for agent in won)} got it, the other {', '.join(codes) or 'too'}",
        )  # fmt: skip
        if len(won) == 1 and won[0] is self._gemini:
            self._winner, self._loser = self._gemini, self._claude
        self._winner.task = first
        self._loser.task = str((await self._loser.call("masc_claim_next"))["task"]["id"])
        blocked = await self._loser.refused("masc_claim", task_id=self._release)
        self._report.check(
            "the next task is the right one", self._loser.task == second, f"{self._loser.name} got {self._loser.task}"
        )
        waiting = ", ".join(blocked["details"].get("waiting_on", ()))
        self._report.check(
            "a task waits for its dependencies",
            blocked["code"] == "task_blocked",
            f"{self._release} waits for {waiting}",
        )

    async def _separate_checkouts(self) -> None:
        self._narrator.chapter("A git worktree for each task")
        for agent in self._both:
            made = await agent.call("masc_worktree_create", task_id=agent.task)
            agent.worktree, agent.branch = Path(made["path"]), made["branch"]

    async def _lock(self) -> None:
        self._narrator.chapter("A shared file is locked")
        await self._winner.call("masc_lock", file_path="hello/greeting.py", task_id=self._winner.task)
        refusal = await self._loser.refused("masc_lock", file_path="./hello//greeting.py")
        holder = refusal["details"].get("locked_by", "nobody")
        self._report.check(
            "a locked file is refused to others", refusal["code"] == "file_locked" and holder == self._winner.name,
            f"hello/greeting.py is {holder}'s",
        )  # fmt: skip

    async def _work(self) -> None:
        self._narrator.chapter("Both edit and commit, at the same time")
        edits = ((self._winner, "hello/greeting.py", GREETING), (self._loser, "README.md", MANUAL))
        await asyncio.gather(*(self._edit(agent, name, text) for agent, name, text in edits))
        apart = self._winner.worktree != self._loser.worktree and all(
            (other.worktree / name).read_text(encoding="utf-8") == FILES[name]
            for (_, name, _), (other, _, _) in zip(edits, reversed(edits), strict=True)
        )
        clean = not await git(self._project, "status", "--porcelain")
        listed = await self._claude.call("masc_worktree_list")
        managed = sum(bool(worktree["is_managed"]) for worktree in listed["worktrees"])
        self._report.check(
            "worktrees are separate", apart and clean and managed == 2,
            f"{self._winner.branch} and {self._loser.branch}; the main checkout is clean",
        )  # fmt: skip

    async def _edit(self, agent: Agent, name: str, text: str) -> None:
        (agent.worktree / name).write_text(text, encoding="utf-8")
        made = await commit(agent.worktree, f"{agent.task}: change {name}")
        self._narrator.says(agent.name, f"edits {name}, commits {made[:10]} on {agent.branch}")

    async def _talk(self) -> None:
        speaker, listener = self._winner, self._loser
        self._narrator.chapter(f"{listener.name.title()} listens, {speaker.name} speaks")
        hearing = asyncio.create_task(self._hear(listener))
        await self._until_listening(speaker, listener)
        text = f"@{listener.name} greet() takes a language now, please say so in the README"
        sent = time.perf_counter()
        message = await speaker.call("masc_broadcast", message=text)
        heard, at = await hearing
        self._report.wake_milliseconds = round((at - sent) * 1000, 2)
        got = [(m["seq"], m["content"]) for m in heard["messages"]]
        self._report.check(
            "a message reaches a waiting agent at once", got == [(message["seq"], text)],
            f"over {speaker.transport} to {listener.transport} in {self._report.wake_milliseconds:.0f} ms",
        )  # fmt: skip
        named = [name for mention in message["mentions"] for name in mention["agents"]]
        self._report.check(
            "a mention finds its agent", named == [listener.name], f"@{listener.name} is {', '.join(named)}"
        )

    @staticmethod
    async def _hear(listener: Agent) -> tuple[dict[str, Any], float]:
        heard = await listener.call("masc_listen", timeout=15, waits=True)
        return heard, time.perf_counter()

    async def _until_listening(self, asking: Agent, listener: Agent) -> None:
        """Look until the other one waits, so that the message has somebody to wake."""
        for _ in range(200):
            present = (await asking.call("masc_who", quiet=True))["agents"]
            if any(agent["name"] == listener.name and agent["status"] == "listening" for agent in present):
                return
            await asyncio.sleep(0.02)
        raise StoryBroken(agent=listener.name, tool="masc_listen", answer="not listening after 4 s")

    async def _finish(self) -> None:
        self._narrator.chapter("Both finish, which unblocks the release")
        await self._winner.call("masc_done", task_id=self._winner.task, notes="greet() knows German")
        done = await self._loser.call("masc_done", task_id=self._loser.task, notes="README explains the command")
        self._report.check(
            "finishing unblocks what waited",
            done.get("unblocked") == [self._release],
            f"{self._release} can be claimed",
        )
        freed = await self._loser.call("masc_lock", file_path="hello/greeting.py")
        self._report.check(
            "a finished task gives its locks back",
            not freed["renewed"],
            f"{self._loser.name} has hello/greeting.py now",
        )
        await self._loser.call("masc_unlock", file_path="hello/greeting.py")
        await self._loser.call("masc_claim", task_id=self._release)
        for agent in self._both:
            await git(self._project, "merge", "--quiet", "--no-edit", agent.branch)
        await self._loser.call("masc_done", task_id=self._release, notes="merged")
        merged = ((self._project / "hello/greeting.py").read_text(), (self._project / "README.md").read_text())
        self._report.check("no work is lost", merged == (GREETING, MANUAL), "main has both changes")

    async def _rush(self) -> None:
        self._narrator.chapter(f"{CHORES} small tasks, both take what they get")
        added = [await self._claude.call("masc_add_task", quiet=True, title=f"Chore {n + 1}") for n in range(CHORES)]
        wanted = [result["task"]["id"] for result in added]
        mine, theirs = await asyncio.gather(*(self._grab(agent) for agent in self._both))
        self._report.check(
            "under load too, each task goes to one agent", sorted(mine + theirs) == wanted,
            f"{len(mine)} to claude, {len(theirs)} to gemini, {len(set(mine) & set(theirs))} to both",
        )  # fmt: skip

    async def _grab(self, agent: Agent) -> list[str]:
        taken: list[str] = []
        while (task := (await agent.call("masc_claim_next", quiet=True)).get("task")) is not None:
            taken.append(task["id"])
            await agent.call("masc_done", quiet=True, task_id=task["id"])
        self._narrator.says(agent.name, f"did {len(taken)}: {', '.join(taken)}")
        return taken

    async def _vote(self) -> None:
        self._narrator.chapter("What comes next is put to the vote")
        await self._claude.call("masc_switch_mode", mode="parallel", quiet=True)
        asked = await self._claude.call(
            "masc_vote_create", topic="Which language next?", options=["French", "Spanish"], required_votes=2
        )
        vote = asked["vote"]["id"]
        casts = await asyncio.gather(
            self._claude.call("masc_vote_cast", vote_id=vote, choice="French"),
            self._gemini.call("masc_vote_cast", vote_id=vote, choice="french"),
        )
        late = await self._gemini.refused("masc_vote_cast", vote_id=vote, choice="Spanish")
        ended = [cast["vote"].get("winner") for cast in casts if cast["resolved"]]
        self._report.check(
            "a vote ends once, with what most chose",
            ended == ["French"] and late["code"] == "vote_closed",
            f"{vote}: {', '.join(ended) or 'nothing'} won; a ballot after that is refused",
        )

    async def _ask_the_human(self) -> None:
        self._narrator.chapter("Gemini asks its human before it publishes")
        risky: dict[str, Any] = {"task_id": self._release, "step": 1, "action": "publish 1.0"}
        message = "The release goes to everybody and cannot be taken back."
        asking = asyncio.create_task(
            self._gemini.call("masc_interrupt", waits=True, wait_seconds=30, message=message, **risky)
        )
        checkpoint = await self._until_asked()
        own = await self._gemini.refused("masc_approve", task_id=self._release)
        await as_person(self._project, "checkpoint", "approve", checkpoint, "--comment", "after lunch")
        self._narrator.says("a person", f"masc checkpoint approve {checkpoint} --comment 'after lunch'")
        answer = await asking
        self._report.check(
            "a human decides, and not the agent that asks",
            own["code"] == "forbidden" and (answer["decision"], answer.get("comment")) == ("approved", "after lunch"),
            f"{answer['decision']} on the command line while gemini waited; its own approval was {own['code']}",
        )
        await self._claude.call("masc_switch_mode", mode="inherit", quiet=True)

    async def _until_asked(self) -> str:
        for _ in range(200):
            found = (await self._claude.call("masc_pending_interrupts", quiet=True))["interrupts"]
            if found:
                return str(found[0]["checkpoint_id"])
            await asyncio.sleep(0.02)
        raise StoryBroken(agent="gemini", tool="masc_interrupt", answer="nothing pending after 4 s")

    async def _switch_mode(self) -> None:
        self._narrator.chapter("Claude switches the room to fewer tools")
        before = await self._gemini.tool_names()
        await self._claude.call("masc_switch_mode", mode="minimal", quiet=True)
        during = await self._gemini.tool_names()
        self._narrator.says("claude", "masc_switch_mode: minimal")
        refusal = await self._gemini.refused("masc_lock", file_path="README.md")
        await self._claude.call("masc_switch_mode", mode="inherit", quiet=True)
        after = await self._gemini.tool_names()
        self._report.check(
            "a switch of mode reaches every process",
            len(during) < len(before) and after == before and refusal["code"] == "tool_not_enabled",
            f"gemini sees {len(before)}, then {len(during)}, then {len(after)} tools",
        )

    async def _leave(self) -> None:
        self._narrator.chapter("Tidy up")
        for agent in self._both:
            await agent.call("masc_worktree_remove", task_id=agent.task)
            await agent.call("masc_leave")
        status = await self._claude.call("masc_status", quiet=True)
        unfinished = sum(status["tasks_by_status"].get(state, 0) for state in ("todo", "claimed", "in_progress"))
        left = (self._winner.worktree.exists() or self._loser.worktree.exists(), status["locks"]["active"], unfinished)
        self._report.check(
            "nothing is left behind",
            left == (False, 0, 0),
            f"{status['tasks_by_status'].get('done', 0)} tasks done, no lock, no worktree",
        )
