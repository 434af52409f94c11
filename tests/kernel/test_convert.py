"""Plain data of records: what is plain already is taken as it is, all else is made plain."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import pytest

from masc_core.convert import unstructure
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
