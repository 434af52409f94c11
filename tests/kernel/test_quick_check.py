"""The quick yes is never a yes that the reference validator would refuse, and says yes to what clients send."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masc_core._quick import quick_check
from masc_core._validators import ContractValidator
from masc_core.plugins import Registry, load

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 210)
    | st.integers()
    | st.floats()
    | st.text(max_size=70)
    | st.sampled_from(["task-001", "claude", "recent", "a\n", "", "x" * 64, "x" * 65, 3.0]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@pytest.mark.parametrize("name", sorted(load().contracts))
def test_it_accepts_the_examples_of_the_contract(name: str, registry: Registry) -> None:
    contract = registry.contracts[name]
    check = quick_check(contract.input)
    assert [example for example in contract.tool.examples if not check(example)] == []


@settings(max_examples=400)
@given(data=st.data())
def test_what_it_accepts_is_valid(data: st.DataObject, registry: Registry) -> None:
    contract = registry.contracts[data.draw(st.sampled_from(sorted(registry.contracts)))]
    names = st.sampled_from([*contract.input["properties"], "unknown"])
    given_ = data.draw(st.dictionaries(names, VALUES, max_size=4))
    if quick_check(contract.input)(given_):
        assert ContractValidator(contract.input).is_valid(given_)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "format": "date"},
        {"anyOf": [{"type": "string"}]},
        {"type": "object"},
        {},
    ],
)
def test_what_it_does_not_know_it_leaves_to_the_validator(schema: dict[str, Any]) -> None:
    assert not quick_check({"properties": {"x": schema}})({"x": "text"})


@pytest.mark.parametrize(
    ("schema", "value", "fits"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 5}, 5, True),
        ({"type": "integer", "minimum": 1, "maximum": 5}, 6, False),
        ({"type": "integer", "minimum": 1}, True, False),
        ({"type": "integer"}, 3.0, False),
        ({"type": "number", "minimum": 0}, 0.5, True),
        ({"type": "number"}, True, False),
        ({"type": "number"}, float("nan"), False),
        ({"type": "boolean"}, 1, False),
        ({"type": "string", "enum": ["a"]}, "b", False),
        ({"type": "string", "maxLength": 2}, "abc", False),
        ({"type": "string", "minLength": 2}, "a", False),
        ({"type": "string", "pattern": "^a$"}, "a\n", False),
        ({"type": "array", "items": {"type": "string"}, "maxItems": 1}, ["a"], True),
        ({"type": "array", "items": {"type": "string"}, "maxItems": 1}, ["a", "b"], False),
        ({"type": "array", "items": {"type": "string"}}, [1], False),
        ({"type": "array", "items": {"type": "string"}, "minItems": 1}, [], False),
    ],
)
def test_bounds_are_kept(schema: dict[str, Any], value: Any, fits: bool) -> None:
    assert quick_check({"properties": {"x": schema}})({"x": value}) is fits


def test_a_missing_required_or_an_unknown_property_is_no_yes() -> None:
    check = quick_check({"properties": {"x": {"type": "string"}}, "required": ["x"]})
    assert check({"x": "a"})
    assert not check({})
    assert not check({"x": "a", "y": "b"})


def test_a_call_that_fits_needs_no_validator_library() -> None:
    script = (
        "import sys\nfrom masc_core.plugins import load\nc = load().contracts['masc_add_task']\n"
        "c.validate({'title': 'T', 'priority': 2, 'files': ['a']})\nprint('jsonschema' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
