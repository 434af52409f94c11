"""Frozen classes behave like those of attrs, and errors show themselves."""

from __future__ import annotations

import copy
import pickle
from functools import cached_property

import pytest
from attrs import field, has
from attrs.exceptions import FrozenInstanceError

from masc_core.contracts import schema_of
from masc_core.convert import unstructure
from masc_core.errors import InternalError, ToolNotEnabled
from masc_core.frozen import evolve, frozen


@frozen
class Point:
    x: int
    tags: list[str] = field(factory=list)


@frozen
class Named(Point):
    name: str | None = None


@frozen
class Pair:
    left: str
    right: int = 0


@frozen
class Checked:
    x: int

    def __attrs_post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("too small")


@frozen
class Remembering:
    x: int

    @cached_property
    def doubled(self) -> int:
        return 2 * self.x


def test_they_are_compared_and_shown_by_their_fields() -> None:
    assert Point(1) == Point(1, [])
    assert Point(1) != Point(2)
    assert Point(1) != Named(1)
    assert repr(Named(1, ["a"], "n")) == "Named(x=1, tags=['a'], name='n')"


def test_they_are_frozen_and_hashed_by_their_fields() -> None:
    with pytest.raises(FrozenInstanceError):
        Point(1).x = 2  # type: ignore[misc]
    with pytest.raises(TypeError, match="unhashable"):
        hash(Point(1))
    assert hash(Pair("a")) == hash(Pair("a", 0)) != hash(Pair("b"))


def test_a_copy_differs_in_the_fields_named_and_leaves_the_original() -> None:
    first = Named(1, ["a"], "n")
    second = evolve(first, x=2)
    assert (first, second) == (Named(1, ["a"], "n"), Named(2, ["a"], "n"))
    with pytest.raises(TypeError, match="Named has no field y"):
        evolve(first, y=2)


def test_a_copy_of_a_class_that_checks_or_remembers_is_made_anew() -> None:
    with pytest.raises(ValueError, match="too small"):
        evolve(Checked(1), x=-1)
    remembering = Remembering(1)
    assert remembering.doubled == 2
    assert evolve(remembering, x=2).doubled == 4


@pytest.mark.parametrize("made", [Point(1), Named(1, ["a"], "n")])
def test_what_is_frozen_survives_pickling_and_copying(made: Point) -> None:
    assert copy.deepcopy(made) == pickle.loads(pickle.dumps(made)) == made


def test_they_have_a_schema_and_leave_out_what_is_absent() -> None:
    assert has(Point)
    assert schema_of(Named)["required"] == ["x", "tags"]
    assert unstructure(Named(1)) == {"x": 1, "tags": []}


def test_the_repr_of_an_error_shows_its_details_and_hides_what_they_hide() -> None:
    assert repr(InternalError(incident="abc")) == "InternalError(incident='abc')"
    hidden = ToolNotEnabled(tool="t", category="c", mode="m", mode_source="url", enable=None, hint="unseen")
    assert "unseen" not in repr(hidden)


@frozen
class Keyed:
    name: str
    key: str = field(repr=False)
    note: str = field(default="", eq=False)


def test_what_is_not_to_be_shown_or_compared_is_not() -> None:
    assert repr(Keyed("a", "hidden")) == "Keyed(name='a', note='')"
    assert Keyed("a", "k", "one") == Keyed("a", "k", "two")
    assert Keyed("a", "k") != Keyed("a", "l")


def test_an_error_takes_its_details_and_nothing_else() -> None:
    with pytest.raises(TypeError, match="incident"):
        InternalError()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="other"):
        InternalError(incident="abc", other=1)  # type: ignore[call-arg]
    kept = pickle.loads(pickle.dumps(InternalError(incident="abc")))
    assert (type(kept), kept.details) == (InternalError, {"incident": "abc"})
