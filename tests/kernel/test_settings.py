"""Settings from file and environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import field

from masc_core.errors import StartError
from masc_core.frozen import frozen
from masc_core.settings import load_settings


def config(path: Path, text: str) -> Path:
    """A room directory with that config.toml."""
    (path / ".masc").mkdir()
    (path / ".masc" / "config.toml").write_text(text)
    return path


def test_without_file_and_environment_defaults_hold(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, {})
    assert (settings.cluster, settings.storage.type, settings.locks.ttl_seconds) == (tmp_path.name, "sqlite", 1800)


def test_a_name_that_no_store_can_keep_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="MASC_CLUSTER_NAME is not UTF-8"):
        load_settings(tmp_path, {"MASC_CLUSTER_NAME": os.fsdecode(b"caf\xe9")})
    with pytest.raises(StartError, match="the base directory is not UTF-8"):
        load_settings(tmp_path / os.fsdecode(b"caf\xe9") / "project", {"MASC_CLUSTER_NAME": "acme"})


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    base = config(tmp_path, "[locks]\nttl_seconds = 60\n[health]\nzombie_seconds = 86400\n")
    settings = load_settings(base, {"MASC_LOCK_TIMEOUT_SEC": "90", "MASC_CLUSTER_NAME": "c"})
    assert (settings.locks.ttl_seconds, settings.health.zombie_seconds, settings.cluster) == (90, 86_400, "c")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[locks]\nttl_second = 60", "locks.ttl_second; did you mean ttl_seconds?"),
        ("[lock]\nttl_seconds = 60", "[lock]; did you mean [locks]?"),
        ("locks = 3", "locks must be a section"),
        ("zombie_second = 60", "unknown setting zombie_second; did you mean zombie_seconds in [health]?"),
        ("zombie_seconds = 60", "unknown setting zombie_seconds; did you mean zombie_seconds in [health]?"),
        ("[locks]\nzombie_second = 60", "locks.zombie_second; did you mean zombie_seconds in [health]?"),
        ("lock = 3", "unknown setting lock; did you mean [locks]?"),
        ("qqq = 3", "unknown setting qqq; known sections are [storage], [locks]"),
        ("[locks]\nqqq = 3", "locks.qqq; known are ttl_seconds, "),
        ("[locks]\nttl_seconds = 59", "locks.ttl_seconds must be 60 to 86400"),
        ("[locks]\nttl_seconds = 86401", "locks.ttl_seconds must be 60 to 86400"),
        ("[locks]\nttl_seconds = true", "must be of type int"),
        ("[locks]\nttl_seconds = 60.0", "must be of type int"),
        ("[locks]\ncase_insensitive = 1", "must be of type bool"),
        ("[storage]\ntype = 'mysql'", "must be one of sqlite, "),
        ("[locks\n", "cannot be read"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(StartError) as refused:
        load_settings(config(tmp_path, text), {})
    assert named in str(refused.value)
    assert "config.toml" in str(refused.value)


@pytest.mark.parametrize("text", ["5", "x", "", "1.5"])
def test_a_wrong_variable_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(StartError) as refused:
        load_settings(tmp_path, {"MASC_LOCK_TIMEOUT_SEC": text})
    assert "MASC_LOCK_TIMEOUT_SEC" in str(refused.value)


@frozen
class KettleSettings:
    """A plugin's section."""

    litres: Decimal = Decimal(1)
    boils_at: float = 100.0
    owner: str | None = None
    cups: Mapping[str, Any] = field(factory=dict)


def test_a_plugin_has_a_section_of_its_own(tmp_path: Path) -> None:
    text = '[kettle]\nlitres = 0.1\nboils_at = 93\nowner = "claude"\n[kettle.cups.big]\nlitres = 1\n'
    settings = load_settings(config(tmp_path, text), {}, {"kettle": KettleSettings})
    expected = KettleSettings(Decimal("0.1"), 93, "claude", {"big": {"litres": 1}})
    assert settings.of(KettleSettings) == expected


def test_a_plugins_section_without_entries_has_its_defaults(tmp_path: Path) -> None:
    assert load_settings(tmp_path, {}, {"kettle": KettleSettings}).of(KettleSettings) == KettleSettings()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[kettel]", "[kettel]; did you mean [kettle]?"),
        ("[kettle]\nlitre = 1", "kettle.litre; did you mean litres?"),
        ("litre = 1", "unknown setting litre; did you mean litres in [kettle]?"),
        ("[kettle]\nlitres = true", "kettle.litres must be of type Decimal"),
        ("[kettle]\nowner = 3", "kettle.owner must be of type str"),
        ("[kettle]\ncups = 3", "kettle.cups must be of type dict"),
    ],
)
def test_a_plugins_section_is_checked_like_any_other(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(StartError) as refused:
        load_settings(config(tmp_path, text), {}, {"kettle": KettleSettings})
    assert named in str(refused.value)
