"""Portals: open and closed ones, what was asked through them and what came back."""

from __future__ import annotations

from attrs import define, field
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule
from machine_support import AGENTS, NAMES, Result, RoomMachine, code

__all__ = ["PortalMachine"]

MOST = 15
UNKNOWN = 20
PLACES = st.integers(0, UNKNOWN)
"""Which of the tasks is answered, going round; the last is one that does not exist."""
Pair = frozenset[str]


@define
class Asked:
    """A portal task as it should be."""

    id: str
    sender: str
    receiver: str
    text: str
    ended_at: float = 0.0
    status: str = "pending"
    result: str | None = None
    shown: bool = False
    """Its sender knows how it ended."""

    @property
    def open(self) -> bool:
        return self.status in {"pending", "running"}

    def end(self, status: str, at: float) -> None:
        self.status, self.ended_at = status, at


@define
class Line:
    """A pair's portal."""

    open: bool = True
    opened_by: str = ""
    tasks: list[Asked] = field(factory=list)


class PortalMachine(RoomMachine):
    """Opens, sends, answers, looks, closes."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[Pair, Line] = {}
        self.asked: dict[str, Asked] = {}

    @initialize()
    def open_room(self) -> None:
        super().open_room()
        self.open("ann", "bob", "please")
        self.open("bob", "ann", "please")

    def released(self, agent: str, keep: bool, reason: str) -> dict[str, set[str]]:
        peers = set(self._peers(agent))
        for peer in peers:
            self._close(self.lines[Pair({agent, peer})], None if reason == "zombie" else agent)
        return super().released(agent, keep, reason) | {"portals_closed": peers}

    def portal_waiting(self, agent: str) -> int:
        """Portal tasks and results that wait for an agent."""
        return sum(
            (task.receiver == agent and task.status == "pending")
            or (task.sender == agent and not task.open and not task.shown)
            for task in self.asked.values()
        )

    def _peers(self, agent: str) -> list[str]:
        """With whom the agent has an open portal."""
        return [peer for pair, line in self.lines.items() if line.open and agent in pair for peer in pair - {agent}]

    def _close(self, line: Line, by: str | None) -> list[str]:
        canceled = [task for task in line.tasks if task.open]
        for task in canceled:
            task.end("canceled", self.now)
            task.shown = task.sender == by
        line.open = False
        return [task.id for task in canceled]

    def _sent(self, sender: str, receiver: str, text: str) -> str:
        task = Asked(f"a2a-{len(self.asked) + 1:06d}", sender, receiver, text)
        self.asked[task.id] = task
        self.lines[Pair({sender, receiver})].tasks.append(task)
        return task.id

    def _no_peer(self, agent: str, target: str) -> str | None:
        """Why a named target is nobody to talk to. Whoever calls is known by the time it is looked for."""
        if target == agent:
            return "invalid_argument"
        return None if target.lower() in self.members else "agent_not_found"

    @rule(agent=AGENTS, peer=AGENTS, message=st.none() | st.just("please"))
    def open(self, agent: str, peer: str, message: str | None) -> None:
        if len(self.asked) >= MOST:
            message = None
        result = self.ask("masc_portal_open", agent, target_agent=peer, initial_message=message)
        if (refusal := self._no_peer(agent, peer)) is not None:
            assert code(result) == refusal
            return
        self.seen(agent)
        line = self.lines.setdefault(Pair({agent, peer}), Line(open=False))
        assert result["already_open"] == line.open
        if not line.open:
            line.open, line.opened_by = True, agent
        assert (result["peer"], result["opened_by"]) == (peer, line.opened_by)
        offline = not self.live(peer)
        assert ("peer_offline" in {w["code"] for w in result.get("warnings", [])}) == offline
        if message is not None:
            assert result["portal_task"]["id"] == self._sent(agent, peer, message)

    @rule(agent=AGENTS, to=st.none() | AGENTS)
    def send(self, agent: str, to: str | None) -> None:
        if len(self.asked) >= MOST:
            return
        result = self.ask("masc_portal_send", agent, message="more", to=to)
        peers = self._peers(agent)
        refusal = self._no_peer(agent, to) if to is not None else "ambiguous_agent" if len(peers) > 1 else None
        peer = to or (peers[0] if peers else None)
        if refusal is None and peer not in peers:
            refusal = "portal_not_open"
        if refusal is not None:
            assert code(result) == refusal
            return
        assert peer is not None
        self.seen(agent)
        assert result["portal_task"]["id"] == self._sent(agent, peer, "more")

    @rule(agent=AGENTS, place=PLACES, end=st.none() | st.sampled_from(["completed", "failed"]), to=st.none() | AGENTS)
    def answer(self, agent: str, place: int, end: str | None, to: str | None) -> None:
        if end is None and len(self.asked) >= MOST:
            return
        place = place % len(self.asked) + 1 if self.asked and place < UNKNOWN else 999
        task = self.asked.get(f"a2a-{place:06d}")
        result = self.ask(
            "masc_portal_send", agent, message="here", reply_to=f"a2a-{place:06d}", result_status=end, to=to
        )
        refusal = self._no_answer(agent, task, to)
        if refusal is not None:
            assert code(result) == refusal
            return
        assert task is not None
        self.seen(agent)
        if end is None:
            task.status = "running"
            assert result["portal_task"]["id"] == self._sent(agent, task.sender, "here")
            return
        task.end(end, self.now)
        task.result = "here"
        assert (result["answered"], result["portal_task"]["status"]) == (task.id, end)

    def _no_answer(self, agent: str, task: Asked | None, to: str | None) -> str | None:
        if task is None or task.receiver != agent:
            return "portal_task_not_found"
        if to is not None and (wrong := self._no_peer(agent, to)) is not None:
            return wrong
        if to not in {None, task.sender}:
            return "invalid_argument"
        if not self.lines[Pair({agent, task.sender})].open:
            return "portal_not_open"
        return None if task.open else "portal_task_closed"

    @rule(agent=AGENTS, to=st.none() | AGENTS)
    def close(self, agent: str, to: str | None) -> None:
        result = self.ask("masc_portal_close", agent, to=to)
        peers = self._peers(agent)
        refusal = None
        if to is None:
            refusal = "ambiguous_agent" if len(peers) > 1 else None if peers else "portal_not_open"
        elif (refusal := self._no_peer(agent, to)) is None and to not in peers:
            refusal = "portal_not_open"
        if to is not None and refusal == "invalid_argument" and agent.lower() not in self.members:
            refusal = "agent_not_found"  # closing joins nobody
        if refusal is not None:
            assert code(result) == refusal
            return
        self.seen(agent, joins=False)
        peer = to or peers[0]
        assert (result["peer"], result["canceled"]) == (peer, self._close(self.lines[Pair({agent, peer})], agent))

    @rule(pair=st.permutations(NAMES[:2]), peek=st.booleans(), reopen=st.booleans())
    def close_and_look(self, pair: list[str], peek: bool, reopen: bool) -> None:
        one, other = pair
        self.open(one, other, "please")
        self.look(other, peek)
        self.close(one, other)
        if reopen:
            self.open(other, one, None)
        self.look(one, True)
        self.look(other, peek)

    @rule(agent=AGENTS, peek=st.booleans())
    def look(self, agent: str, peek: bool) -> None:
        result = self.ask("masc_portal_status", agent, peek=peek)
        self.seen(agent, joins=False)
        self._compare(agent, result)
        if peek:
            return
        for task in self.asked.values():
            if task.receiver == agent and task.status == "pending":
                task.status = "running"
            elif task.sender == agent and not task.open:
                task.shown = True

    def _compare(self, agent: str, result: Result) -> None:
        views = {view["peer"]: view for view in result["portals"]}
        assert result["status"] == ("open" if self._peers(agent) else "no_portal")
        expected = {}
        for peer in NAMES:
            line = self.lines.get(Pair({agent, peer}))
            if line is None or peer == agent:
                continue
            results = [t for t in line.tasks if t.sender == agent and not t.open and not t.shown]
            if not line.open and not results:
                continue
            to_me = [t for t in line.tasks if t.receiver == agent]
            mine = [t for t in line.tasks if t.sender == agent and t.open]
            expected[peer] = (
                [t.id for t in to_me if t.status == "pending"],
                [t.id for t in to_me if t.status == "running"],
                [t.id for t in mine],
                {(t.id, t.status, t.result) for t in results},
            )
        assert {peer: _facts(view) for peer, view in views.items()} == expected
        assert result["unread_total"] == sum(len(unread) for unread, *_ in expected.values())

    @invariant()
    def the_portals_are_as_in_the_model(self) -> None:
        if not hasattr(self, "masc"):
            return
        for agent in NAMES[:2]:
            if self.here(agent):
                status = self.ask("masc_status", agent)
                self.seen(agent, joins=False)
                assert status["unread"]["portal_tasks"] == self.portal_waiting(agent)


def _facts(view: Result) -> tuple[object, ...]:
    for kind in ("unread", "open", "sent_open", "results"):
        assert view["counts"][kind] == len(view[kind])
    return (
        [t["id"] for t in view["unread"]],
        [t["id"] for t in view["open"]],
        [t["id"] for t in view["sent_open"]],
        {(t["id"], t["status"], t.get("result")) for t in view["results"]},
    )
