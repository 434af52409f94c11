"""A server's start leaves the SDK's validators to be built when they are needed, and each can be."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import BaseModel, ValidationError

from masc_core.cli.serve import _models_built_late

_ALL_OF_THE_SDK = """
from pydantic import BaseModel
from masc_core.cli.serve import _models_built_late
with _models_built_late():
    import masc_core.wire.mcp
def below(kind):
    return {kind}.union(*map(below, kind.__subclasses__()))
late = [model for model in below(BaseModel) if not model.__pydantic_complete__ and model.__module__.startswith("mcp")]
print(len(late))
broken = [model for model in late if model.model_rebuild() is False or not model.__pydantic_complete__]
assert not broken, broken
"""


def test_only_models_defined_meanwhile_are_built_late() -> None:
    with _models_built_late():

        class Late(BaseModel):
            size: int

    class Early(BaseModel):
        size: int

    assert (Late.__pydantic_complete__, Early.__pydantic_complete__) == (False, True)
    assert Late.model_validate({"size": 1}).size == 1
    with pytest.raises(ValidationError):
        Late.model_validate({"size": "one"})


def test_every_model_of_the_sdk_can_be_built_late() -> None:
    done = subprocess.run([sys.executable, "-c", _ALL_OF_THE_SDK], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100
