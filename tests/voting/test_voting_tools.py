"""Votes, as voting.md accepts them."""

from __future__ import annotations

from typing import Any

import pytest
from voting_support import admin, cast, create, events, listed, messages, status

from masc_core.kernel import local_client
from masc_core.records import COUNTERS, Counter
from masc_core.store.collections import View
from masc_core.store.transaction import Transaction
from masc_core.testing import ManualClock, MascApp

DAY = 86_400


@pytest.mark.parametrize("masc", ["memory", "sqlite", "redis"], indirect=True)
async def test_two_equal_votes_approve_and_a_third_comes_too_late(masc: MascApp) -> None:
    """Acceptance 1 of voting.md."""
    created = await create(masc)
    assert created["unknown_eligible"] == []
    assert created["vote"] == {
        "id": "vote-001", "proposer": "claude", "topic": "Which?", "options": ["A", "B", "C"], "required_votes": 2,
        "created_at": created["vote"]["created_at"], "status": "pending", "votes": {}, "version": 1,
    }  # fmt: skip
    first = await cast(masc, "claude", "A")
    assert {k: first[k] for k in ("voters", "remaining", "replaced", "resolved")} == {
        "voters": 1, "remaining": 1, "replaced": False, "resolved": False,
    }  # fmt: skip
    last = await cast(masc, "gemini", "A")
    assert (last["vote"]["status"], last["vote"]["winner"], last["remaining"]) == ("approved", "A", 0)
    assert (last["resolved"], last["joined"]) == (True, True)
    assert last["vote"]["votes"] == {"claude": "A", "gemini": "A"}
    error = await masc.error("masc_vote_cast", "codex", vote_id="vote-001", choice="B")
    assert (error["code"], error["details"]) == (
        "vote_closed",
        {"vote_id": "vote-001", "status": "approved", "winner": "A"},
    )
    assert (await status(masc))["vote"] == last["vote"]
    (resolved,) = await events(masc)
    assert (resolved.subject, resolved.actor, resolved.data) == (
        "vote-001",
        "gemini",
        {"previous": "pending", "status": "approved", "voters": 2, "winner": "A"},
    )
    assert await messages(masc, "vote-001") == [
        'vote-001 by claude: "Which?" ["A" | "B" | "C"] needs 2 votes',
        'vote-001 approved "A" with 2 of 2 votes: "Which?"',
    ]
    assert [e.data for e in await events(masc, "vote_cast")] == [{"choice": "A"}, {"choice": "A"}]
    assert [e.data for e in await events(masc, "vote_created")] == [{"status": "pending", "required_votes": 2}]


async def test_a_tie_without_deadline_is_final(masc: MascApp) -> None:
    """Acceptance 2 of voting.md."""
    await create(masc)
    await cast(masc, "claude", "A")
    tied = (await cast(masc, "gemini", "B"))["vote"]
    assert tied["status"] == "tied" and "winner" not in tied
    error = await masc.error("masc_vote_cast", "codex", vote_id="vote-001", choice="B")
    assert error["details"] == {"vote_id": "vote-001", "status": "tied"}


@pytest.mark.parametrize("masc", ["memory", "sqlite", "redis"], indirect=True)
@pytest.mark.parametrize("broken", [True, False])
async def test_a_tie_with_deadline_waits_for_one_more(masc: MascApp, clock: ManualClock, broken: bool) -> None:
    """Acceptance 3 of voting.md."""
    await create(masc, deadline_seconds=60)
    await cast(masc, "claude", "A")
    assert (await cast(masc, "gemini", "B"))["resolved"] is False
    if broken:
        assert (await cast(masc, "codex", "A"))["vote"]["winner"] == "A"
    await clock.advance(60)
    vote = (await status(masc))["vote"]
    assert (vote["status"], vote.get("winner")) == (("approved", "A") if broken else ("tied", None))


async def test_a_tie_is_final_once_everybody_eligible_has_voted(masc: MascApp) -> None:
    await create(masc, deadline_seconds=60, eligible=["claude", "Gemini"])
    await cast(masc, "claude", "A")
    assert (await cast(masc, "gemini", "B"))["vote"]["status"] == "tied"


async def test_a_pending_tie_is_broken_by_a_changed_mind(masc: MascApp) -> None:
    await create(masc, deadline_seconds=60)
    await cast(masc, "claude", "A")
    await cast(masc, "gemini", "B")
    approved = await cast(masc, "gemini", "A")
    assert (approved["vote"]["status"], approved["replaced"], approved["voters"]) == ("approved", True, 2)


async def test_a_second_choice_takes_the_place_of_the_first(masc: MascApp) -> None:
    """Acceptance 4 of voting.md."""
    await create(masc)
    await cast(masc, "claude", "A")
    second = await cast(masc, "CLAUDE", "B")
    assert (second["voters"], second["tally"], second["replaced"]) == (1, {"A": 0, "B": 1, "C": 0}, True)
    assert (await events(masc, "vote_cast"))[-1].data == {"choice": "B", "previous": "A"}


async def test_the_same_choice_again_changes_nothing(masc: MascApp) -> None:
    await create(masc)
    first = await cast(masc, "claude", "A")
    again = await cast(masc, "claude", "a")
    assert again == first
    assert len(await events(masc, "vote_cast")) == 1


async def test_only_the_eligible_vote(masc: MascApp) -> None:
    """Acceptance 5 of voting.md."""
    await masc.call("masc_join", "claude")
    created = await create(masc, eligible=["CLAUDE", "codex", "Claude"], proposer="gemini", required_votes=2)
    assert (created["vote"]["eligible"], created["unknown_eligible"]) == (["claude", "codex"], ["codex"])
    error = await masc.error("masc_vote_cast", "gemini", vote_id="vote-001", choice="A")
    assert (error["code"], error["details"]) == ("not_eligible", {"vote_id": "vote-001", "agent": "gemini"})
    assert (await cast(masc, "claude", "A"))["voters"] == 1
    assert (await cast(masc, "Codex", "A"))["resolved"] is True


@pytest.mark.parametrize("arguments", [{"eligible": ["a"]}, {"eligible": ["a", "b", "A"], "required_votes": 3}])
async def test_more_votes_than_voters_cannot_be_required(masc: MascApp, arguments: dict[str, Any]) -> None:
    """Acceptance 5 of voting.md; names that differ in case alone are one voter."""
    error = (await create(masc, **arguments))["error"]
    assert (error["code"], error["details"]["field"]) == ("invalid_argument", "required_votes")
    assert "vote" in await create(masc, **{**arguments, "required_votes": 1})


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"options": ["yes", "YES"]}, "options"),
        ({"options": ["yes", " yes "]}, "options"),
        ({"options": ["straße", "STRASSE"]}, "options"),
        ({"options": ["yes"]}, "options"),
        ({"options": [str(i) for i in range(21)]}, "options"),
        ({"options": ["yes", ""]}, "options.1"),
        ({"options": ["yes", "  "]}, "options.1"),
        ({"options": ["yes", "n\no"]}, "options.1"),
        ({"options": ["yes", "n\u2028o"]}, "options.1"),
        ({"options": ["yes", "x" * 201]}, "options.1"),
        ({"options": ["yes", 1]}, "options.1"),
        ({"options": "yes"}, "options"),
        ({"options": None}, "options"),
        ({"topic": " "}, "topic"),
        ({"topic": "two\nlines"}, "topic"),
        ({"topic": "x" * 501}, "topic"),
        ({"required_votes": 0}, "required_votes"),
        ({"required_votes": 1001}, "required_votes"),
        ({"required_votes": True}, "required_votes"),
        ({"deadline_seconds": 9}, "deadline_seconds"),
        ({"deadline_seconds": 604_801}, "deadline_seconds"),
        ({"eligible": []}, "eligible"),
        ({"eligible": [f"a{i}" for i in range(101)]}, "eligible"),
    ],
)
async def test_a_vote_that_breaks_its_contract_is_not_made(
    masc: MascApp, arguments: dict[str, Any], field: str
) -> None:
    """Acceptance 7 of voting.md, and the bounds."""
    given = {"topic": "Which?", "options": ["yes", "no"], **arguments}
    error = await masc.error("masc_vote_create", "claude", **given)
    assert (error["code"], error["details"]["field"]) == ("invalid_argument", field)
    assert (await masc.call("masc_init"))["created"] is True


async def test_the_bounds_are_inclusive_and_the_largest_vote_fits(masc: MascApp) -> None:
    options = [f"{i:02d}" + "😀" * 198 for i in range(20)]
    eligible = [f"agent-{i:03d}" + "x" * 55 for i in range(100)]
    created = await masc.call(
        "masc_vote_create", "claude", topic="😀" * 500, options=options, eligible=eligible, required_votes=100,
        deadline_seconds=604_800,
    )  # fmt: skip
    assert created["unknown_eligible"] == eligible
    assert (await cast(masc, eligible[0], options[0].upper()))["tally"][options[0]] == 1
    assert "vote" in await create(masc, required_votes=1000, deadline_seconds=10)


@pytest.mark.parametrize("name", ["all", "a b", "x" * 65, "é"])
async def test_an_eligible_name_must_be_one(masc: MascApp, name: str) -> None:
    error = (await create(masc, eligible=["claude", name]))["error"]
    assert (error["code"], error["details"]["field"]) == ("invalid_agent_name", "eligible.1")


async def test_the_caller_is_the_proposer(masc: MascApp) -> None:
    properties = masc.kernel.registry.contracts["masc_vote_create"].listed(False)["properties"]
    assert next(iter(properties)) == "proposer" and "agent_name" not in properties
    assert (await masc.error("masc_vote_create", topic="T", options=["a", "b"]))["code"] == "agent_name_required"


@pytest.mark.parametrize("choice", ["D", "", "A B", "😀" * 200, "x" * 200])
async def test_a_choice_that_is_no_option_changes_nothing(masc: MascApp, choice: str) -> None:
    await create(masc)
    error = await masc.error("masc_vote_cast", "claude", vote_id="vote-001", choice=choice)
    assert (error["code"], error["details"]["options"]) == ("invalid_choice", ["A", "B", "C"])
    assert choice.startswith(error["details"]["choice"])
    assert (await status(masc))["voters"] == 0


async def test_a_choice_is_needed_unless_the_vote_is_cancelled(masc: MascApp) -> None:
    await create(masc)
    refused: list[dict[str, Any]] = [{}, {"choice": None}, {"cancel": False}, {"cancel": None}]
    for arguments in refused:
        error = await masc.error("masc_vote_cast", "claude", vote_id="vote-001", **arguments)
        assert (error["code"], error["details"]["field"], error["details"]["reason"]) == (
            "invalid_argument",
            "choice",
            "missing",
        )


async def test_an_unknown_vote_is_not_found(masc: MascApp) -> None:
    await masc.call("masc_init")
    for vote_id in ("vote-001", "VOTE-001", "😀" * 128):
        for tool, arguments in (("masc_vote_status", {}), ("masc_vote_cast", {"choice": "A", "agent_name": "claude"})):
            error = await masc.error(tool, vote_id=vote_id, **arguments)
            assert (error["code"], error["details"]) == ("vote_not_found", {"vote_id": vote_id})
    assert (await masc.error("masc_vote_status", vote_id="x" * 129))["code"] == "invalid_argument"


async def test_the_proposer_cancels_and_others_do_not(masc: MascApp) -> None:
    await create(masc)
    await cast(masc, "gemini", "A")
    error = await masc.error("masc_vote_cast", "gemini", vote_id="vote-001", cancel=True)
    assert (error["code"], error["details"]["reason"]) == ("forbidden", "not_proposer")
    assert "claude" in error["message"] and "role" not in error["message"]
    assert (await status(masc))["vote"]["status"] == "pending"
    gone = await cast(masc, "Claude", cancel=True)
    assert (gone["vote"]["status"], gone["resolved"], gone["tally"]) == ("cancelled", True, {"A": 1, "B": 0, "C": 0})
    assert "warnings" not in gone
    assert (await masc.error("masc_vote_cast", "claude", vote_id="vote-001", cancel=True))["code"] == "vote_closed"
    assert [e.data["status"] for e in await events(masc)] == ["cancelled"]
    assert await messages(masc, "cancelled") == ['vote-001 cancelled: "Which?"']


async def test_an_admin_cancels_any_vote(masc: MascApp) -> None:
    await create(masc)
    gone = await masc.outcome("masc_vote_cast", admin(), vote_id="vote-001", cancel=True, choice="A")
    assert gone.structured["vote"]["status"] == "cancelled" and gone.structured["voters"] == 0
    assert gone.structured["warnings"][0]["code"] == "choice_ignored"


async def test_the_vote_of_an_agent_that_left_stays_counted(masc: MascApp, clock: ManualClock) -> None:
    await create(masc)
    await cast(masc, "gemini", "A")
    await masc.call("masc_leave", "gemini")
    assert (await status(masc))["tally"]["A"] == 1
    await clock.advance(301)
    await masc.call("masc_cleanup_zombies")
    assert (await cast(masc, "codex", "A"))["vote"]["votes"] == {"gemini": "A", "codex": "A"}


async def test_a_name_keeps_its_rights_when_it_comes_back_in_another_case(masc: MascApp, clock: ManualClock) -> None:
    """An archived agent's name is free to be written anew."""
    await create(masc, eligible=["claude", "gemini"])
    await cast(masc, "claude", "A")
    await masc.call("masc_leave", "claude")
    await clock.advance(8 * DAY)
    assert (await masc.call("masc_gc"))["archived"]["agent"] == 1
    recast = await cast(masc, "CLAUDE", "B")
    assert (recast["vote"]["votes"], recast["replaced"]) == ({"CLAUDE": "B"}, True)
    assert (await cast(masc, "CLAUDE", cancel=True))["vote"]["status"] == "cancelled"


@pytest.mark.parametrize("masc", ["memory", "sqlite", "redis"], indirect=True)
async def test_votes_are_listed_pending_first_then_newest(masc: MascApp) -> None:
    for _ in range(5):
        await create(masc)
    for vote_id in ("vote-005", "vote-002"):
        await cast(masc, "claude", vote_id=vote_id, cancel=True)
    assert await listed(masc) == ["vote-004", "vote-003", "vote-001", "vote-005", "vote-002"]
    assert await listed(masc, status="pending", limit=2) == ["vote-004", "vote-003"]
    assert await listed(masc, status="cancelled") == ["vote-005", "vote-002"]
    assert await listed(masc, status="approved") == []
    page = await masc.call("masc_votes", limit=4)
    assert (page["count"], page["total"], page["more"], page["votes"][0]["tally"]["A"]) == (4, 5, True, 0)
    whole = await masc.call("masc_votes", limit=5)
    assert (whole["total"], whole["more"]) == (5, False)
    assert (await masc.call("masc_votes", limit=1, status="cancelled"))["total"] == 2
    for arguments in ({"limit": 0}, {"limit": 101}, {"status": "open"}):
        assert (await masc.error("masc_votes", **arguments))["code"] == "invalid_argument"


async def test_a_listed_vote_is_the_record_with_its_tally(masc: MascApp) -> None:
    await create(masc, deadline_seconds=60, eligible=["claude", "gemini"])
    await cast(masc, "claude", "B")
    await cast(masc, "gemini", "B")
    standing = await status(masc)
    assert (await masc.call("masc_votes"))["votes"] == [{**standing["vote"], "tally": standing["tally"]}]


async def test_a_page_asked_for_again_is_the_page_as_it_is_now(masc: MascApp) -> None:
    for _ in range(3):
        await create(masc)
    first = await masc.call("masc_votes")
    assert await masc.call("masc_votes") == first
    assert (await masc.call("masc_votes", limit=2))["votes"] == first["votes"][:2]
    await cast(masc, "gemini", "B", vote_id="vote-002")
    page = (await masc.call("masc_votes"))["votes"]
    assert [vote["tally"]["B"] for vote in page] == [0, 1, 0]
    assert [page[0], page[2]] == [first["votes"][0], first["votes"][2]]


async def test_a_page_of_large_votes_is_listed_as_well(masc: MascApp) -> None:
    options = [f"{i:02d}{'x' * 190}" for i in range(20)]
    made = await masc.call("masc_vote_create", "claude", topic="Which?", options=options)
    for _ in range(2):
        (listed_vote,) = (await masc.call("masc_votes"))["votes"]
        assert (listed_vote["id"], listed_vote["options"]) == (made["vote"]["id"], options)


async def test_newest_first_holds_beyond_a_thousand(masc: MascApp) -> None:
    """Numbers are ordered as numbers, not as text."""
    await create(masc)
    tx = Transaction(masc.kernel.start_room.driver)
    counter = await View(COUNTERS, tx).get("vote")
    View(COUNTERS, tx).put(Counter(counter.name, 998))
    await tx.commit()
    for _ in range(3):
        await create(masc)
    assert await listed(masc) == ["vote-1001", "vote-1000", "vote-999", "vote-001"]


async def test_the_room_at_a_glance_counts_pending_votes(masc: MascApp, clock: ManualClock) -> None:
    assert "error" not in await masc.call("masc_init")
    assert (await masc.call("masc_status"))["votes_pending"] == 0
    await create(masc, deadline_seconds=60)
    await create(masc)
    await create(masc)
    await cast(masc, "claude", vote_id="vote-003", cancel=True)
    assert (await masc.call("masc_status"))["votes_pending"] == 2
    await clock.advance(60)
    assert (await masc.call("masc_status"))["votes_pending"] == 1


async def test_gc_archives_votes_that_ended_long_ago(masc: MascApp, clock: ManualClock) -> None:
    for seconds in (None, 60, None):
        await create(masc, deadline_seconds=seconds)
    await cast(masc, "claude", cancel=True)
    await clock.advance(8 * DAY)
    await create(masc)
    await cast(masc, "claude", vote_id="vote-004", cancel=True)
    planned = await masc.call("masc_gc", dry_run=True)
    assert planned["archived"]["vote"] == 2
    assert await events(masc) and len(await events(masc)) == 2
    done = await masc.call("masc_gc")
    assert done["archived"]["vote"] == 2
    assert await listed(masc) == ["vote-003", "vote-004"]
    assert (await masc.error("masc_vote_status", vote_id="vote-001"))["code"] == "vote_not_found"
    assert "vote" not in (await masc.call("masc_gc"))["archived"]


@pytest.mark.parametrize("masc", ["memory"], indirect=True)
async def test_gc_archives_any_number_of_votes(masc: MascApp, clock: ManualClock) -> None:
    for i in range(120):
        await create(masc)
        await cast(masc, "claude", vote_id=f"vote-{i + 1:03d}", cancel=True)
    await clock.advance(8 * DAY)
    assert (await masc.call("masc_gc"))["archived"]["vote"] == 120
    assert (await masc.call("masc_votes"))["total"] == 0


@pytest.mark.parametrize("masc", ["sqlite"], indirect=True)
async def test_a_reset_removes_votes_and_goes_on_counting(masc: MascApp) -> None:
    await create(masc)
    assert (await masc.call("masc_reset", confirm=True))["removed"]["votes"] == 1
    assert await listed(masc) == []
    assert (await create(masc))["vote"]["id"] == "vote-002"


async def test_every_fact_is_in_the_text_and_an_option_cannot_pose_as_another_fact(masc: MascApp) -> None:
    await masc.call("masc_vote_create", "claude", topic="Which?", options=["go on", "A=9 B"], required_votes=1)
    await cast(masc, "claude", "a=9 b")
    status = await masc.outcome("masc_vote_status", vote_id="vote-001")
    for text in (status.text, (await masc.outcome("masc_votes")).text):
        assert '"go on"=0' in text and '"A=9 B"=1' in text and 'winner="A=9 B"' in text


async def test_a_named_local_agent_proposes_and_votes(masc: MascApp) -> None:
    client = local_client("claude")
    made = await masc.outcome("masc_vote_create", client, topic="T", options=["a", "b"], required_votes=1)
    assert made.structured["vote"]["proposer"] == "claude"
    assert (await masc.outcome("masc_vote_cast", client, vote_id="vote-001", choice="a")).structured["resolved"] is True
