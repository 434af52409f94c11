"""Plain data of records: what is plain already is taken as it is, all else is made plain."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

import pytest

from masc_core.convert import structure, unstructure, unstructure_once
from masc_core.frozen import frozen
from masc_core.store.collections import index, index_value
from masc_core.store.driver import IndexEntry


@frozen
class Inner:
    """A record within another."""

    name: str
    price: Decimal | None = None


@frozen
class Outer:
    """One of each kind of field that has a way of its own."""

    data: dict[str, Any]
    text: str | None = None
    count: int | None = None
    noted: Annotated[str, "bounded"] | None = None
    price: Decimal | None = None
    either: int | Decimal | None = None
    inner: Inner | None = None
    both: int | str = 0


def test_absent_values_are_left_out_and_present_ones_stay() -> None:
    assert unstructure(Outer({})) == {"data": {}, "both": 0}
    assert unstructure(Outer({}, "a", 0, "b")) == {"data": {}, "text": "a", "count": 0, "noted": "b", "both": 0}


def test_what_is_optional_and_not_plain_is_made_plain() -> None:
    made = unstructure(Outer({}, price=Decimal("1.50"), either=Decimal("2.0"), inner=Inner("x", Decimal(3))))
    assert made == {"data": {}, "price": "1.50", "either": "2.0", "inner": {"name": "x", "price": "3"}, "both": 0}
    odd: Any = Outer({}, both=Decimal("1.5"))  # type: ignore[arg-type]
    assert unstructure(odd) == {"data": {}, "both": "1.5"}


@pytest.mark.parametrize(
    ("value", "plain"),
    [(Decimal("0.1"), "0.1"), (Inner("x"), {"name": "x"}), ([Inner("x"), 1], [{"name": "x"}, 1]), (None, None)],
)
def test_what_a_dict_of_anything_holds_is_made_plain(value: object, plain: object) -> None:
    assert unstructure(Outer({"n": 1, "value": value})) == {"data": {"n": 1, "value": plain}, "both": 0}


@frozen
class Kept:
    """What cattrs would take apart piece by piece."""

    names: list[str]
    text: str | None = None
    count: int | None = None
    share: float | None = None
    noted: Annotated[str, "bounded"] | None = None


@pytest.mark.parametrize(
    ("data", "made"),
    [
        (
            {"names": ["a", "b"], "text": "t", "count": 2, "share": 0.5, "noted": "n"},
            Kept(["a", "b"], "t", 2, 0.5, "n"),
        ),
        ({"names": [], "text": None, "count": None}, Kept([])),
        ({"names": [1, None], "text": 7, "count": "3", "share": 1}, Kept(["1", "None"], "7", 3, 1.0)),
        ({"names": (), "count": True, "unknown": 1}, Kept([], count=1)),
    ],
)
def test_scalars_are_structured_as_the_declaration_says(data: dict[str, Any], made: Kept) -> None:
    found = structure(data, Kept)
    assert found == made
    assert [type(value) for value in vars(found).values()] == [type(value) for value in vars(made).values()]


@pytest.mark.parametrize(
    "data", [{}, {"names": 1}, {"names": None}, {"names": [], "count": "x"}, {"names": [], "share": []}, 5, None, []]
)
def test_what_does_not_fit_a_record_is_refused(data: object) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        structure(data, Kept)


@dataclass
class Simple:
    """What somebody else's collection may hold."""

    id: str
    count: int | None = None


def test_what_is_written_is_plain_whatever_its_class_is_made_with() -> None:
    assert unstructure_once(Kept(["a"], count=1)) == {"names": ["a"], "count": 1}
    assert unstructure_once(Simple("a")) == unstructure(Simple("a")) == {"id": "a", "count": None}


def test_a_dict_is_copied() -> None:
    for data in ({"n": 1}, {"n": [1]}):
        record = Outer(dict(data))
        made = unstructure(record)
        made["data"]["more"] = 2
        assert record.data == data


def test_an_index_entry_of_one_part_is_that_part() -> None:
    assert index("by", "a") == IndexEntry("by", "a")
    assert index("by", 7, counted=True) == IndexEntry("by", index_value([7]), "7")
    assert index("by", "a", 7, counted=True) == IndexEntry("by", index_value(["a", 7]), "a")
