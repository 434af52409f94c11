"""The checks of ``benchmarks/faults.py`` catch what they are for, and nothing that is right."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

import pytest
from history_support import (
    broken,
    cast,
    claim,
    lock,
    message,
    op,
    refused,
    release,
    said,
    seen,
    system,
    task_record,
    unlock,
    vote_record,
)

from benchmarks.chaos import checks, claims
from benchmarks.chaos.history import Final, History, Operation
from benchmarks.chaos.register import Undecided, linearizable

ONCE, LINEAR, KEPT, VERSIONS = "claimed once", "linearizable claims", "acknowledged writes are kept", "versions"
GAPLESS, ORDER, DEFECT = "gapless sequence", "order of messages", "no defect, no hanging call"
FENCES, HOLDER, DEAD = "fences grow", "a lock has one holder", "an expired lock stays dead"
BALLOT, DECIDED = "a ballot counts once", "a resolved vote never changes"

DONE = vote_record(3, {"ann": "yes", "bob": "yes"}, "approved", winner="yes", resolved_at="t")
FIRST = vote_record(2, {"ann": "yes"})
END = [system(1, "vote-001 approved")]

ADDED = op("ann", "add_task", 0, 1, title="do task-001", result={"task": task_record("task-001", None, 1)})
BOARD = [system(1, "task-001 added by ann p3: do task-001")]

Case = tuple[str, str, Sequence[Operation], Final]

WRONG: list[Case] = [
    ("two agents claim a task", ONCE, [claim("ann", 0, 1), claim("bob", 2, 3)], Final()),
    ("two claim one at the same time", ONCE, [claim("ann", 0, 2), claim("bob", 1, 3)], Final()),
    ("two claim one that was given back once, earlier", LINEAR,
     [claim("ann", 0, 1), release("ann", 2, 3), claim("ann", 4, 5), claim("bob", 6, 7)], Final()),
    ("refused in favour of an agent whose claim began later", LINEAR,
     [refused("bob", "ann", 0, 1), claim("ann", 2, 3)], Final()),
    ("a claim of unknown outcome happened, then did not", LINEAR,
     [claim("ann", 0), seen("ann", 1, 2), seen(None, 3, 4)], Final()),
    ("an old claim comes back after the task was given back", LINEAR,
     [claim("ann", 0, 1), release("ann", 2, 3), seen("ann", 4, 5)], Final()),
    ("a claim is lost", LINEAR, [claim("ann", 0, 1)], Final(tasks=[task_record("task-001", None)])),
    ("a claim_next nobody answered took what another holds", LINEAR,
     [claim("bob", 0, 1), op("ann", "claim_next", 2), refused("eve", "ann", 3, 4)], Final()),
    ("finished, and free again", KEPT, [op("ann", "done", 0, 1, task_id="task-001", notes="n", result={"changed": True})],
     Final(tasks=[task_record("task-001", None)], messages=BOARD)),
    ("finished with other notes", KEPT,
     [ADDED, op("ann", "done", 2, 3, task_id="task-001", notes="mine", result={"changed": True})],
     Final(tasks=[task_record("task-001", "ann", status="done", notes="theirs")], messages=BOARD)),
    ("an added task has another title", KEPT,
     [op("ann", "add_task", 0, 1, title="mine", result={"task": task_record("task-001", None, 1)}),
      op("bob", "add_task", 2, title="theirs")],
     Final(tasks=[task_record("task-001", None, title="theirs"), task_record("task-002", None, title="mine")],
           messages=[*BOARD, system(2, "task-002 added by ann p3: mine")])),
    ("a task is on the board twice", KEPT, [ADDED, op("bob", "add_task", 0, title="theirs")],
     Final(tasks=[task_record("task-001", None, 1), task_record("task-001", None, 1)], messages=BOARD)),
    ("an added task is missing", KEPT, [ADDED], Final()),
    ("a refused task is there", KEPT,
     [op("ann", "add_task", 0, 1, title="do task-001", error=("storage_busy", {}))],
     Final(tasks=[task_record("task-001", None)], messages=BOARD)),
    ("a task is half there: nobody was told", KEPT, [ADDED], Final(tasks=[task_record("task-001", None)])),
    ("a task that nobody added", KEPT, [], Final(tasks=[task_record("task-001", None)], messages=BOARD)),
    ("an acknowledged message is missing", KEPT, [said("ann", 1, 0, 1), said("ann", 2, 2, 3)], Final(messages=[message(1)])),
    ("an acknowledged message has another number", KEPT, [said("ann", 2, 0, 1)],
     Final(messages=[message(1, content="text 2 of ann")])),
    ("a message stands there twice", KEPT, [said("ann", 1, 0)],
     Final(messages=[message(1), message(2, content="text 1 of ann")])),
    ("a number is left out", GAPLESS, [], Final(messages=[system(1, "a"), system(3, "b")])),
    ("a number is given twice", GAPLESS, [], Final(messages=[system(1, "a"), system(1, "b")])),
    ("a later message has a smaller number", ORDER, [said("ann", 2, 0, 1), said("bob", 1, 2, 3)],
     Final(messages=[message(1, "bob"), message(2)])),
    ("a page leaves one out", ORDER,
     [op("eve", "messages", 0, 1, since_seq=1, result={"last_seq": 3, "messages": [message(3)]})], Final()),
    ("a reader does not see what was acknowledged", ORDER,
     [said("ann", 1, 0, 1), op("eve", "messages", 2, 3, since_seq=0, result={"last_seq": 0, "messages": []})],
     Final(messages=[message(1)])),
    ("one version says two things", VERSIONS, [seen("ann", 0, 1), seen("bob", 0, 1)], Final()),
    ("an older version is seen later", VERSIONS, [seen(None, 0, 1, version=3), seen("ann", 2, 3, version=2)], Final()),
    ("a fence is given twice", FENCES, [lock("ann", 1, 0, 1), unlock("ann", 1, 2, 3), lock("bob", 1, 4, 5)], Final()),
    ("a fence is given twice at the same time", FENCES,
     [lock("ann", 1, 0, 2), op("bob", "lock", 1, 3, file_path="b.py", ttl_seconds=60,
      result={"fence": 1, "renewed": False, "expires_at": "until-1"})], Final()),
    ("a fence is smaller than an earlier one", FENCES,
     [lock("ann", 2, 0, 1), unlock("ann", 2, 2, 3), lock("bob", 1, 4, 5)], Final()),
    ("two hold one lock", HOLDER, [lock("ann", 1, 0, 1), lock("bob", 2, 2, 3)], Final()),
    ("a lock is renewed under another fence", HOLDER, [lock("ann", 1, 0, 1), lock("ann", 2, 2, 3)], Final()),
    ("a lock that another took over is renewed", DEAD,
     [lock("ann", 1, 0, 1), lock("bob", 2, 70, 71), lock("ann", 1, 72, 73, renewed=True)], Final()),
    ("a lock that was over is released", DEAD,
     [lock("ann", 1, 0, 1), unlock("ann", 1, 70, 71, released=False), unlock("ann", 1, 72, 73)], Final()),
    ("a lock that was not shown any more stands in the way again", DEAD,
     [lock("ann", 1, 0, 1), op("eve", "status", 70, 71, result={"locks": {"active": 0, "files": []}}),
      op("bob", "lock", 72, 73, file_path="a.py", ttl_seconds=60,
         error=("file_locked", {"locked_by": "ann", "expires_at": "until-1"}))], Final()),
    ("a ballot is lost", BALLOT, [cast("ann", "yes", FIRST, 0, 1)], Final(votes=[vote_record(1, {})])),
    ("a ballot counts for the other side", BALLOT, [cast("ann", "yes", FIRST, 0, 1)],
     Final(votes=[vote_record(3, {"ann": "no"})])),
    ("an earlier ballot counts", BALLOT,
     [cast("ann", "yes", FIRST, 0, 1), cast("ann", "no", vote_record(3, {"ann": "no"}), 2, 3)], Final(votes=[FIRST])),
    ("a ballot counts twice in the tally", BALLOT,
     [op("ann", "vote_cast", 0, 1, vote_id="vote-001", choice="yes",
         result={"vote": FIRST, "voters": 1, "tally": {"yes": 2, "no": 0}})], Final(votes=[FIRST])),
    ("a ballot of nobody", BALLOT, [], Final(votes=[vote_record(2, {"mallory": "no"})])),
    ("approved with too few", BALLOT, [cast("ann", "yes", FIRST, 0, 1)],
     Final(votes=[vote_record(3, {"ann": "yes"}, "approved", winner="yes")], messages=END)),
    ("decided one way and then another", DECIDED,
     [cast("ann", "yes", FIRST, 0, 1), cast("bob", "yes", DONE, 2, 3)],
     Final(votes=[{**DONE, "winner": "no"}], messages=END)),
    ("a ballot after the end", DECIDED,
     [cast("ann", "yes", FIRST, 0, 1), cast("bob", "yes", DONE, 2, 3), cast("eve", "no", {**DONE, "version": 4}, 4, 5)],
     Final(votes=[{**DONE, "version": 4, "votes": {**DONE["votes"], "eve": "no"}}], messages=END)),
    ("it goes on with the next version after its end", DECIDED,
     [cast("ann", "yes", FIRST, 0, 1), cast("bob", "yes", DONE, 2, 3)],
     Final(votes=[{**DONE, "version": 4, "status": "pending"}])),
    ("an older version of it is seen later", DECIDED,
     [cast("ann", "yes", FIRST, 0, 1), cast("bob", "yes", DONE, 2, 3),
      op("eve", "vote_status", 4, 5, vote_id="vote-001", result={"vote": FIRST})],
     Final(votes=[DONE], messages=END)),
    ("its end is announced twice", DECIDED, [cast("ann", "yes", FIRST, 0, 1), cast("bob", "yes", DONE, 2, 3)],
     Final(votes=[DONE], messages=[*END, system(2, "vote-001 approved")])),
    ("it ended, and nobody was told", DECIDED, [cast("ann", "yes", FIRST, 0, 1), cast("bob", "yes", DONE, 2, 3)],
     Final(votes=[DONE])),
    ("a vote is gone", KEPT, [cast("ann", "yes", FIRST, 0, 1)], Final()),
    ("a call fails inside", DEFECT, [op("ann", "tasks", 0, error=("internal_error", {}))], Final()),
    ("a call never comes back", DEFECT, [op("ann", "tasks", 0, result={"lost": "hung"})], Final()),
]  # fmt: skip

RIGHT: list[tuple[str, Sequence[Operation], Final]] = [
    ("nothing happened", [], Final()),
    ("claimed, given back, claimed by another",
     [claim("ann", 0, 1), release("ann", 2, 3), op("bob", "claim", 4, 5, task_id="task-001",
      result={"task": task_record("task-001", "bob", 4), "changed": True})], Final()),
    ("a claim that nobody answered happened", [claim("ann", 0), refused("bob", "ann", 1, 2)], Final()),
    ("a claim that nobody answered did not happen", [claim("ann", 0), claim("bob", 1, 2)], Final()),
    ("a claim that nobody answered happened late", [claim("ann", 0), seen(None, 1, 2, version=1), seen("ann", 3, 4)], Final()),
    ("a release that nobody answered happened",
     [claim("ann", 0, 1), release("ann", 2), op("bob", "claim", 3, 4, task_id="task-001",
      result={"task": task_record("task-001", "bob", 4), "changed": True})], Final()),
    ("a claim_next that nobody answered took the task",
     [op("ann", "claim_next", 0), op("bob", "claim_next", 1, 2, result={"changed": False}), refused("bob", "ann", 3, 4)],
     Final()),
    ("a claim_next that nobody answered took nothing", [op("ann", "claim_next", 0), claim("bob", 1, 2)], Final()),
    ("an old state is read while it changes", [claim("ann", 0, 3), seen(None, 1, 4, version=1)], Final()),
    ("a message that nobody answered is there",
     [said("ann", 1, 0), said("ann", 2, 2, 3)], Final(messages=[message(1), message(2)])),
    ("a message that nobody answered is not there", [said("ann", 9, 0)], Final()),
    ("messages sent at the same time in either order", [said("ann", 2, 0, 3), said("bob", 1, 1, 4)],
     Final(messages=[message(1, "bob"), message(2)])),
    ("a lock passes on", [lock("ann", 1, 0, 1), unlock("ann", 1, 2, 3), lock("bob", 2, 2.5, 4)], Final()),
    ("a lock passes on when its time is over", [lock("ann", 1, 0, 1), lock("bob", 2, 60.5, 61)], Final()),
    ("a lock is left out where a busy room lists only some",
     [lock("ann", 1, 0, 1), op("eve", "status", 2, 3, result={"locks": {"active": 2, "files": [{"file_path": "b.py"}]}}),
      lock("ann", 1, 4, 5, renewed=True)], Final()),
    ("an unlock that nobody answered", [lock("ann", 1, 0, 1), unlock("ann", 1, 2), lock("bob", 2, 3, 4)], Final()),
    ("a lock that nobody answered", [lock("ann", 1, 0), lock("bob", 2, 3, 4)], Final()),
    ("a ballot that nobody answered counts", [cast("ann", "yes", FIRST, 0)], Final(votes=[FIRST])),
    ("a ballot that nobody answered does not count", [cast("ann", "yes", FIRST, 0)], Final(votes=[vote_record(1, {})])),
    ("the second ballot, which nobody answered, counts",
     [cast("ann", "yes", FIRST, 0, 1), cast("ann", "no", FIRST, 2)], Final(votes=[vote_record(3, {"ann": "no"})])),
    ("a vote is decided", [cast("ann", "yes", FIRST, 0, 1), cast("bob", "yes", DONE, 2, 3)],
     Final(votes=[DONE], messages=END)),
    ("a task is added", [ADDED], Final(tasks=[task_record("task-001", None, 1)], messages=BOARD)),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "operations", "final"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_a_wrong_history_is_caught(rule: str, operations: list[Operation], final: Final) -> None:
    assert rule in broken(operations, final)


@pytest.mark.parametrize(("operations", "final"), [case[1:] for case in RIGHT], ids=[case[0] for case in RIGHT])
def test_a_right_history_passes(operations: list[Operation], final: Final) -> None:
    assert broken(operations, final) == set()


def test_every_rule_has_a_wrong_history() -> None:
    rules = {ONCE, LINEAR, KEPT, VERSIONS, GAPLESS, ORDER, DEFECT, FENCES, HOLDER, DEAD, BALLOT, DECIDED}
    assert rules == {rule for _, rule, *_ in WRONG}


def test_a_lock_may_end_early_when_the_clock_is_set() -> None:
    history = [lock("ann", 1, 0, 1), lock("bob", 2, 3, 4)]
    assert broken(history) == {HOLDER}
    assert broken(history, clock_set=(2,)) == set()
    assert broken(history, clock_set=(0.5,)) == set()


def test_the_search_gives_up_rather_than_guess() -> None:
    crowd = [claim(f"agent{i}", 0, 100) for i in range(12)]
    with pytest.raises(Undecided):
        linearizable([*crowd, seen_register("nobody")], claims.START, anything_goes, most=1000)


def test_what_cannot_be_decided_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def give_up(*_: object) -> bool:
        raise Undecided

    monkeypatch.setattr(checks, "linearizable", give_up)
    assert broken([claim("ann", 0, 1)]) == {LINEAR}


def seen_register(holder: str) -> Operation:
    return Operation("", claims.READ, {}, 101, 102, "ok", {"status": "claimed", "assignee": holder})


def anything_goes(state: claims.State, operation: Operation) -> claims.State | None:
    return claims.step(state, operation) if operation.tool == claims.READ else ("claimed", operation.process)


def test_a_history_survives_its_client() -> None:
    """What a client wrote before it was killed is read back, its last request with it, half a line without."""
    sink = StringIO()
    history = History(sink)
    first = history.invoke("ann", "masc_tasks", {"limit": 1})
    history.answered(first, {"tasks": []})
    refusal = history.invoke("ann", "masc_claim", {})
    history.answered(refusal, {"error": {"code": "task_not_found", "details": {}}})
    unsure = history.invoke("ann", "masc_claim", {})
    history.answered(unsure, {"error": {"code": "storage_unavailable", "details": {}}})
    history.invoke("ann", "masc_done", {})
    read = History()
    read.absorb([*sink.getvalue().splitlines(keepends=True), '[9, null, "ann"'])
    assert read.operations == history.operations
    assert [o.outcome for o in read.operations] == ["ok", "fail", "unknown", "unknown"]
