"""Messages and locks."""

from __future__ import annotations

from attrs import define
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule
from machine_support import AGENTS, NAMES, Result, RoomMachine, code

__all__ = ["LockMachine", "TalkMachine"]

TEXTS = st.sampled_from(["hello", "@bob look", "@all stop", "@CLEO and @ann", "@nobody there?", "mail x@bob.org"])
SHOWN = 20
PATHS = st.sampled_from(["a.py", "src/", "src/a.py", "./src//b/", "src/b/c.py", "src/b"])
WRONG_PATHS = st.sampled_from(["../a", "/etc/passwd", "a/../../b", "."])
HEARD_AT_ONCE = 5


@define
class Said:
    """A broadcast as it should be stored."""

    sender: str
    text: str
    named: set[str]


class TalkMachine(RoomMachine):
    """Says, reads, listens. What the room itself says is taken as it comes, but every message has its number."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[Result] = []
        self.said: dict[int, Said] = {}

    def look_at_log(self) -> None:
        """Take over what was stored since the last look."""
        fresh = (
            self.ask("masc_messages", since_seq=self.last_seq, limit=100)["messages"]
            if self.last_seq
            else self.ask("masc_messages", limit=100)["messages"][::-1]
        )
        assert [m["seq"] for m in fresh] == list(range(self.last_seq + 1, self.last_seq + len(fresh) + 1))
        self.log += fresh
        self.last_seq = len(self.log)

    def entered(self, agent: str) -> None:
        # A new agent reads on from the message before the one that tells of it.
        known = agent.lower() in self.members
        super().entered(agent)
        self.look_at_log()
        if not known:
            told = [m["seq"] for m in self.log if m["content"] == f"{agent} joined"]
            self.members[agent.lower()].read_seq = told[-1] - 1

    def named(self, message: Result) -> set[str]:
        """Whom a message mentions or is addressed to."""
        named = {name for mention in message.get("mentions", []) for name in mention.get("agents", [])}
        return named | ({message["to"]} if message.get("to") else set())

    def unread_mentions(self, agent: str) -> int:
        position = self.members[agent.lower()].read_seq
        return sum(m["seq"] > position and agent in self.named(m) for m in self.log)

    def portal_waiting(self, agent: str) -> int:
        """Portal tasks and results that wait for an agent."""
        return 0

    @rule(agent=AGENTS, text=TEXTS, reply_to=st.none() | st.none() | st.integers(0, 200))
    def say(self, agent: str, text: str, reply_to: int | None) -> None:
        result = self.ask("masc_broadcast", agent, message=text, reply_to=reply_to)
        if reply_to is not None and not 1 <= reply_to <= self.last_seq:
            # The caller's joining does not count: it is undone with the refusal, but it is no message to reply to either.
            assert code(result) == "invalid_argument"
            return
        self.seen(agent)
        live = {name for name in NAMES if self.live(name)}
        known = {name for name in NAMES if name.lower() in self.members}
        tokens = {"@bob look": {"bob"}, "@CLEO and @ann": {"Cleo", "ann"}}.get(text, set())
        named = live - {agent} if text.startswith("@all") else tokens & known
        unknown = ["nobody"] if "@nobody" in text else sorted(tokens - known, key=str.lower)
        assert sorted(result["unknown_mentions"], key=str.lower) == [u if u != "Cleo" else "CLEO" for u in unknown]
        self.said[result["seq"]] = Said(agent, text, named)

    @rule(agent=AGENTS, other=AGENTS, times=st.integers(2, 6))
    def talk(self, agent: str, other: str, times: int) -> None:
        for _ in range(times):
            self.say(agent, "@all stop", None)
            self.say(other, "@bob look", None)

    @rule(
        agent=AGENTS,
        back=st.none() | st.integers(0, 30),
        limit=st.sampled_from([1, 3, 100]),
        system=st.booleans(),
        mine=st.booleans(),
    )
    def read(self, agent: str, back: int | None, limit: int, system: bool, mine: bool) -> None:
        since = 0 if back is None else max(0, self.last_seq - back)
        page = self.ask("masc_messages", agent, since_seq=since, limit=limit, include_system=system, mentions_me=mine)
        self.seen(agent, joins=False)
        fitting = [m for m in self.log if m["seq"] > since]
        fitting = [m for m in fitting if (system or m["type"] != "system") and (not mine or agent in self.named(m))]
        ordered = fitting if since else fitting[::-1]
        assert [m["seq"] for m in page["messages"]] == [m["seq"] for m in ordered[:limit]]
        assert (page["more"], page["last_seq"]) == (len(ordered) > limit, self.last_seq)
        member = self.members.get(agent.lower())
        shown = {m["seq"] for m in page["messages"]}
        if member is not None and shown and set(range(member.read_seq + 1, max(shown) + 1)) <= shown:
            member.read_seq = max(member.read_seq, *shown)

    def _for(self, agent: str, system: bool) -> list[Result]:
        """What masc_listen would deliver."""
        position = self.members[agent.lower()].read_seq
        foreign = [m for m in self.log if m["seq"] > position and m["from"] != agent]
        return [m for m in foreign if m["type"] != "system" or system or agent in self.named(m)]

    @precondition(lambda self: hasattr(self, "masc"))
    @rule(agent=AGENTS, system=st.booleans())
    def listen(self, agent: str, system: bool) -> None:
        member = self.members.get(agent.lower())
        if member is None or not (self._for(agent, system) or self.portal_waiting(agent)):
            return  # it would wait
        heard = self.ask("masc_listen", agent, include_system=system, timeout=HEARD_AT_ONCE)
        self.seen(agent)
        self.look_at_log()
        expected = self._for(agent, system)
        assert [m["seq"] for m in heard["messages"]] == [m["seq"] for m in expected[:SHOWN]]
        assert (heard["more"], heard["timed_out"]) == (len(expected) > SHOWN, False)
        assert heard["portal_tasks_waiting"] == self.portal_waiting(agent)
        member = self.members[agent.lower()]
        reached = expected[SHOWN - 1]["seq"] if heard["more"] else self.last_seq
        member.read_seq = max(member.read_seq, reached)

    @rule(agent=AGENTS, silent=st.sampled_from([0, 0, 3600]))
    def beat(self, agent: str, silent: int) -> None:
        beat = self.ask("masc_heartbeat", agent, silent_for=silent)
        if not self.here(agent):
            assert code(beat) == "agent_not_found"
            return
        self.look_at_log()
        member = self.members[agent.lower()]
        member.last_seen, member.alive_until = self.now, self.now + silent if silent else 0.0
        assert beat["unread"] == {
            "mentions": self.unread_mentions(agent),
            "portal_tasks": self.portal_waiting(agent),
        }

    @invariant()
    def every_message_is_kept(self) -> None:
        if not hasattr(self, "masc"):
            return
        self.look_at_log()
        for seq, said in self.said.items():
            stored = self.log[seq - 1]
            assert (stored["from"], stored["content"], stored["type"]) == (said.sender, said.text, "broadcast")
            assert self.named(stored) == said.named
        assert sum(m["type"] == "broadcast" for m in self.log) == len(self.said)
        assert all(m["from"] == "system" for m in self.log if m["type"] == "system")
        for agent in NAMES[:2]:
            if agent.lower() in self.members:
                unread = self.ask("masc_status", agent)["unread"]
                self.seen(agent, joins=False)
                assert unread == {
                    "mentions": self.unread_mentions(agent),
                    "portal_tasks": self.portal_waiting(agent),
                }


@define
class Lock:
    """A lock as it should be."""

    holder: str
    fence: int
    expires_at: float
    task_id: str | None


def normal(path: str) -> str:
    parts = [part for part in path.split("/") if part not in {"", "."}]
    return "/".join(parts) + ("/" if path.endswith("/") else "")


def overlap(one: str, other: str) -> bool:
    """One is the other, or below it where that is a subtree; a name is the same as a file and as a subtree."""
    short, long = sorted((one, other), key=len)
    return one.rstrip("/") == other.rstrip("/") or (short.endswith("/") and long.startswith(short))


class LockMachine(RoomMachine):
    """Locks, renews, unlocks."""

    def __init__(self) -> None:
        super().__init__()
        self.locks: dict[str, Lock] = {}
        self.last_fence = 0

    def _in_force(self) -> dict[str, Lock]:
        return {path: lock for path, lock in self.locks.items() if lock.expires_at > self.now}

    def released(self, agent: str, keep: bool, reason: str) -> dict[str, set[str]]:
        own = {path for path, lock in self.locks.items() if lock.holder == agent}
        shown = own & set(self._in_force())
        for path in own:
            del self.locks[path]
        gone = super().released(agent, keep, reason)
        return gone | {"locks_released": shown | gone.get("locks_released", set())}

    def task_ended(self, task_id: str) -> set[str]:
        """The locks that go with a task."""
        tagged = {path for path, lock in self.locks.items() if lock.task_id == task_id}
        shown = tagged & set(self._in_force())
        for path in tagged:
            del self.locks[path]
        return shown

    @rule(agent=AGENTS, path=PATHS, ttl=st.sampled_from([60, 60, 3600]), task=st.none() | st.integers(1, 4))
    def lock(self, agent: str, path: str, ttl: int, task: int | None) -> None:
        task_id = None if task is None else f"task-{task:03d}"
        result = self.ask("masc_lock", agent, file_path=path, ttl_seconds=ttl, task_id=task_id)
        path = normal(path)
        held = self._in_force()
        foreign = [p for p, lock in held.items() if lock.holder != agent and overlap(p, path)]
        own = held.get(path)
        if foreign and (own is None or own.holder != agent):
            assert code(result) == "file_locked"
            assert result["error"]["details"]["lock_path"] in foreign
            return
        self.seen(agent)
        if own is not None:
            assert (result["renewed"], result["fence"]) == (True, own.fence)
            own.expires_at, own.task_id = self.now + ttl, task_id or own.task_id
            return
        assert (result["renewed"], result["fence"] > self.last_fence) == (False, True)
        self.last_fence = result["fence"]
        for gone in [p for p, lock in self.locks.items() if overlap(p, path) and p not in held]:
            del self.locks[gone]  # expired, and met on the way
        self.locks[path] = Lock(agent, result["fence"], self.now + ttl, task_id)

    @rule(agent=AGENTS, path=WRONG_PATHS)
    def lock_what_is_no_path(self, agent: str, path: str) -> None:
        assert code(self.ask("masc_lock", agent, file_path=path)) == "invalid_file_path"

    @rule(agent=AGENTS, path=PATHS, wrong_fence=st.booleans())
    def unlock(self, agent: str, path: str, wrong_fence: bool) -> None:
        lock = self._in_force().get(normal(path))
        fence = (lock.fence if lock else 1) + wrong_fence
        result = self.ask("masc_unlock", agent, file_path=path, fence=fence)
        if lock is not None and lock.holder != agent:
            assert code(result) == "lock_not_owner"
        elif lock is not None and wrong_fence:
            assert code(result) == "stale_fence"
        else:
            self.seen(agent, joins=False)
            assert result["released"] == (lock is not None)
            if lock is not None:
                del self.locks[normal(path)]

    @invariant()
    def the_locks_are_as_in_the_model(self) -> None:
        if not hasattr(self, "masc"):
            return
        status = self.ask("masc_status")
        shown, held = status["locks"], self._in_force()
        files = {f["file_path"]: f["locked_by"] for f in shown["files"]}
        assert files.items() <= {p: k.holder for p, k in held.items()}.items()
        assert (shown["active"], len(files)) == (len(held), len(held) - (status.get("more", {}).get("locks") or 0))
