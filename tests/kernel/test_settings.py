"""Settings from file and environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from masc_core.errors import StartError
from masc_core.settings import load_settings


def config(path: Path, text: str) -> Path:
    """A room directory with that config.toml."""
    (path / ".masc").mkdir()
    (path / ".masc" / "config.toml").write_text(text)
    return path


def test_without_file_and_environment_defaults_hold(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, {})
    assert (settings.cluster, settings.storage.type, settings.locks.ttl_seconds) == (tmp_path.name, "sqlite", 1800)


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    base = config(tmp_path, "[locks]\nttl_seconds = 60\n[health]\nzombie_seconds = 86400\n")
    settings = load_settings(base, {"MASC_LOCK_TIMEOUT_SEC": "90", "MASC_CLUSTER_NAME": "c"})
    assert (settings.locks.ttl_seconds, settings.health.zombie_seconds, settings.cluster) == (90, 86_400, "c")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[locks]\nttl_second = 60", "locks.ttl_second; did you mean ttl_seconds?"),
        ("[lock]\nttl_seconds = 60", "[lock]; did you mean locks?"),
        ("locks = 3", "locks must be a section"),
        ("[locks]\nttl_seconds = 59", "locks.ttl_seconds must be 60 to 86400"),
        ("[locks]\nttl_seconds = 86401", "locks.ttl_seconds must be 60 to 86400"),
        ("[locks]\nttl_seconds = true", "must be of type int"),
        ("[locks]\nttl_seconds = 60.0", "must be of type int"),
        ("[locks]\ncase_insensitive = 1", "must be of type bool"),
        ("[storage]\ntype = 'redis'", "must be one of sqlite, memory"),
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
