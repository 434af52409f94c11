"""What is made of records once is what would be made each time, and goes when they go."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from masc_core import WORKER, WRITE, Context, Message, hookimpl, tool
from masc_core.convert import unstructure
from masc_core.frozen import evolve, frozen
from masc_core.identity import Client
from masc_core.remembered import (
    _MOST,
    _MOST_TOGETHER,
    Rows,
    _kept,
    _together,
    all_shared,
    memo_of,
    remembered,
    remembered_together,
    share,
)
from masc_core.render import render
from masc_core.store.collections import Collection, _load, own_copies
from masc_core.testing.app import MascApp, masc_app

CLIENT = Client(transport="http", source="test")


@frozen
class Item:
    """A record."""

    name: str
    parts: list[Any]
    version: int = 0


@frozen
class Shown:
    """What is shown of it."""

    name: str


ITEMS = Collection("items", Item, lambda item: item.name)


def stored(name: str = "a", version: int = 1) -> Item:
    """The record as a store hands it out."""
    return _load(ITEMS, name, b'{"name":"%s","parts":["x"]}' % name.encode(), "version", version)


def test_equal_bytes_give_one_record_whose_plain_data_is_everyones_own() -> None:
    first, second = unstructure(stored()), unstructure(stored())
    assert stored() is stored()
    first["parts"].append("y")
    first["name"] = "b"
    assert second == unstructure(stored()) == {"name": "a", "parts": ["x"], "version": 1}


def test_a_changed_record_does_not_show_what_it_was() -> None:
    assert unstructure(stored())["version"] == 1
    assert unstructure(evolve(stored(), version=2))["version"] == 2
    assert unstructure(stored(version=3))["version"] == 3


def test_what_json_would_change_is_made_each_time() -> None:
    for value in (2**70, float("nan"), float("inf")):
        record = share(Item("a", [value]))
        assert [repr(unstructure(record)["parts"]) for _ in range(2)] == [repr([value])] * 2


def test_own_copies_are_shared_with_nobody() -> None:
    with own_copies():
        own = stored()
    assert memo_of(own) is None
    own.parts.append("mine")
    assert unstructure(stored())["parts"] == ["x"]


def test_a_derived_record_is_made_once_for_a_shared_one() -> None:
    made: list[str] = []

    @remembered
    def shown(item: Item) -> Shown:
        made.append(item.name)
        return Shown(item.name)

    one, other = share(Item("a", [])), share(Item("b", []))
    assert shown(one) is shown(one) is not shown(other)
    assert made == ["a", "b"]
    assert shown(Item("a", [])) == shown(Item("a", []))
    assert made == ["a", "b", "a", "a"]


def test_what_was_made_of_several_counts_for_these_alone() -> None:
    one, two, three = (share(Item(name, [])) for name in "abc")
    made: list[str] = []

    def asked(*records: Item, about: int = 0) -> str:
        def make() -> str:
            made.append("".join(record.name for record in records))
            return made[-1]

        return remembered_together(records, about, make)

    assert [asked(one, two), asked(one, two), asked(one), asked(one, three), asked(one, two, about=1)] == [
        "ab", "ab", "a", "ac", "ab"
    ]  # fmt: skip
    assert made == ["ab", "a", "ac", "ab"]
    assert asked(one, two, about=1) == "ab"
    assert len(made) == 4
    # The same bytes read anew are another object, for which nothing is known.
    assert asked(one, share(evolve(three))) == "ac"
    assert len(made) == 5


def test_only_what_is_shared_is_remembered_together() -> None:
    one = share(Item("a", []))
    assert all_shared([one, one])
    assert not all_shared([one, Item("b", [])])
    assert not all_shared([])


def test_a_list_that_is_shared_is_remembered_as_a_whole() -> None:
    rows = share(Rows([Item("a", []), Item("b", [])]))
    first = remembered_together(rows, "shared", object)
    assert remembered_together(rows, "shared", object) is first
    whole = Whole(rows, [])
    plain = unstructure(whole)
    plain["items"].clear()
    assert [item["name"] for item in unstructure(whole)["items"]] == ["a", "b"]
    assert not all_shared(Rows([Item("a", [])]))


def test_pages_are_remembered_up_to_a_bound() -> None:
    pages = [[share(Item(str(n), []))] for n in range(_MOST_TOGETHER + 10)]
    for page in pages:
        remembered_together(page, "bound", lambda: 1)
    assert len(_together) == _MOST_TOGETHER


def test_large_pages_are_shown_and_not_kept() -> None:
    whole = Whole([share(Item(str(n), ["x" * 1_000])) for n in range(40)], [])
    plain = unstructure(whole)
    assert [item["name"] for item in plain["items"]] == [str(n) for n in range(40)]
    for _ in range(2):
        assert unstructure(whole) == plain
        assert render(plain, "", whole).count("\n- name=") == 40
    kept = [made for _, made in _together.values()]
    assert all(len(made) <= 16_384 for made in kept if isinstance(made, bytes))
    assert all(sum(map(len, made)) <= 16_384 for made in kept if isinstance(made, list))


def test_a_page_with_one_record_too_large_to_keep_is_shown_whole() -> None:
    whole = Whole([share(Item("small", [])), share(Item("large", ["x" * 20_000]))], [])
    for _ in range(2):
        assert [item["name"] for item in unstructure(whole)["items"]] == ["small", "large"]


def test_a_memo_goes_with_its_record() -> None:
    gc.collect()  # what other tests have left
    before = len(_kept)
    record = share(Item("a", []))
    remembered_together([record], 0, lambda: 1)
    unstructure(record)
    assert len(_kept) == before + 1
    del record
    gc.collect()
    assert len(_kept) == before


def test_memos_that_hold_their_own_records_are_bounded() -> None:
    for n in range(_MOST + 10):
        record = share(Item(str(n), []))
        memo = memo_of(record)
        assert memo is not None
        memo["itself"] = record
    assert len(_kept) <= _MOST
    _kept.clear()


async def test_one_record_is_shown_as_each_result_declares(masc: MascApp) -> None:
    for agent in ("claude", "gemini"):
        await masc.outcome("masc_join", CLIENT, agent_name=agent)
    await masc.outcome("masc_add_task", CLIENT, agent_name="claude", title="mend it")
    await masc.outcome("masc_claim", CLIENT, agent_name="claude", task_id="task-001")
    for _ in range(2):
        listed = await masc.outcome("masc_tasks", CLIENT)
        whole = await masc.outcome("masc_claim", CLIENT, agent_name="claude", task_id="task-001")
        assert "log" not in listed.structured["tasks"][0]
        assert "log=" not in listed.text
        assert "log" in whole.structured["task"]
        assert "log" in whole.text


@frozen
class Whole:
    """A result."""

    items: list[Item]
    warnings: list[Shown]


@frozen
class Short:
    """Another."""

    items: list[Shown]


def test_lines_are_those_of_the_declaration() -> None:
    item = share(Item("a", ["x"]))
    whole, short = Whole([item], [Shown("b")]), Short([item])  # type: ignore[list-item]
    for _ in range(2):
        assert render({"items": unstructure(whole)["items"]}, "", whole) == "items:\n- name=a parts=[x] version=0"
        assert render(unstructure(short), "", short) == "items:\n- name=a"


def test_lines_of_what_the_pipeline_added_are_not_those_of_the_result() -> None:
    whole = Whole([], [share(Shown("b"))])
    assert render({"warnings": [{"code": "told"}]}, "", whole) == "warnings:\n- code=told"
    assert render({"warnings": [{"code": "one"}, {"code": "two"}]}, "", whole) == "warnings:\n- code=one\n- code=two"


CONSTANT = Shown("always the same")


@tool(effect=WRITE, role=WORKER)
async def masc_show(ctx: Context, words: Message = "hello") -> Shown:
    """Show what many calls show."""
    return share(CONSTANT)


class Showing:
    """A plugin with this tool."""

    @hookimpl
    def masc_tools(self, register: Callable[[Any], None]) -> None:
        """One."""
        register(masc_show)


async def test_a_text_that_is_kept_says_nothing_of_the_call_before(tmp_path: Path) -> None:
    async with masc_app(tmp_path, extra=[("showing", Showing())]) as masc:
        plain, client = 'name="always the same"', masc.client()

        async def text(agent: str, words: str = "hello") -> str:
            return (await masc.outcome("masc_show", client, agent_name=agent, words=words)).text

        assert await text("ann") == f"{plain} joined=true"
        assert [await text("ann") for _ in range(3)] == [plain] * 3
        assert await text("bob") == f"{plain} joined=true"
        assert "redacted" in await text("bob", "my key is ghp_" + "aB3" * 12)
        assert await text("bob") == plain
