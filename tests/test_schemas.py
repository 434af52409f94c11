"""schemas/ says what the code says."""

from __future__ import annotations

from masc_core.plugins import load
from masc_core.schema_files import compare, default_directory


def test_the_contract_files_agree_with_the_code() -> None:
    differences = compare(load(enabled=()), default_directory())
    assert not differences, f"run: masc schemas --write  # {differences}"
