"""Settings: command line, environment, ``config.toml``, defaults, first match wins.

An unknown key, an ill-typed or an out-of-range value stops the start and names the nearest known key.
"""

from __future__ import annotations

import difflib
import os
import sys
import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import attrs
from attrs import Attribute, field, frozen

from masc_core.errors import StartError

__all__ = ["ENVIRONMENT", "PluginSettings", "Settings", "between", "load_settings", "one_of"]

S = TypeVar("S")


def between(low: int, high: int) -> Any:
    """A validator: the setting lies in ``[low, high]``."""

    def check(_: object, attribute: Attribute[Any], value: int) -> None:
        if not low <= value <= high:
            raise ValueError(f"{attribute.name} must be {low} to {high}, not {value}")

    return check


def one_of(*values: str) -> Any:
    """A validator: the setting is one of ``values``."""

    def check(_: object, attribute: Attribute[Any], value: str) -> None:
        if value not in values:
            raise ValueError(f"{attribute.name} must be one of {', '.join(values)}, not {value!r}")

    return check


@frozen
class StorageSettings:
    """``[storage]``"""

    type: str = field(default="sqlite", validator=one_of("sqlite", "postgres", "redis", "memory"))
    """Where the room is kept. ``memory`` ends with the process and is for trying out."""
    durability: str = field(default="full", validator=one_of("full", "process"))
    """``full``: what was answered survives a power failure. ``process``: it survives the end of the process."""
    allow_network_fs: bool = False
    """Keep SQLite's file on a network file system, where locks may not hold."""


@frozen
class LockSettings:
    """``[locks]``"""

    ttl_seconds: int = field(default=1800, validator=between(60, 86_400))
    """How long a file lock holds when its holder does not say."""
    case_insensitive: bool = sys.platform in {"darwin", "win32"}
    """``A.py`` and ``a.py`` are one file. On macOS and Windows the default is true."""


@frozen
class HealthSettings:
    """``[health]``"""

    zombie_seconds: int = field(default=300, validator=between(60, 86_400))
    """An agent that has been silent for longer is taken for gone."""


@frozen
class ServerSettings:
    """``[server]``"""

    max_body_bytes: int = field(default=2_097_152, validator=between(65_536, 20_971_520))
    """A longer request over HTTP, or line on stdio, is refused."""
    log_level: str = field(default="info", validator=one_of("debug", "info", "warning", "error"))
    """What is written to standard error, and what is not."""
    check_results: bool = False
    """Validate every result against its contract, and refuse one that breaks it; on in tests."""


@frozen
class PluginSettings:
    """``[plugins]``: bounds for plugins that MASC does not ship."""

    hook_seconds: int = field(default=5, validator=between(1, 60))
    """How long a hook may take before it is left out; hooks that go through records have ten times as long."""
    tool_seconds: int = field(default=50, validator=between(1, 3600))
    """How long a tool, resource or prompt may take before it is stopped; many clients give up after 60 s and learn nothing."""


@frozen
class Settings:
    """All settings in force for one room."""

    cluster: str = "default"
    storage: StorageSettings = StorageSettings()
    locks: LockSettings = LockSettings()
    health: HealthSettings = HealthSettings()
    server: ServerSettings = ServerSettings()
    plugins: PluginSettings = PluginSettings()
    sections: Mapping[type, Any] = field(factory=dict)
    """The sections of plugins, by their class."""

    def of(self, section: type[S]) -> S:
        """The settings of a plugin's section, its defaults where nothing is set."""
        found: S = self.sections.get(section) or _defaults(section)  # type: ignore[arg-type]  # classes are hashable
        return found


@cache
def _defaults(section: type[S]) -> S:
    """A section in which nothing is set; made once, because calls ask for it."""
    return section()


KERNEL_SECTIONS: Mapping[str, type] = {
    "storage": StorageSettings,
    "locks": LockSettings,
    "health": HealthSettings,
    "server": ServerSettings,
    "plugins": PluginSettings,
}
_ALIKE = 0.5
"""How alike, from 0 to 1, a name must be to be suggested for another."""
_ACCEPTED: Mapping[type, tuple[type, ...]] = {float: (int, float), Decimal: (int, float)}

ENVIRONMENT: Mapping[str, tuple[str, str]] = {
    "MASC_STORAGE_TYPE": ("storage", "type"),
    "MASC_LOCK_TIMEOUT_SEC": ("locks", "ttl_seconds"),
    "MASC_ZOMBIE_THRESHOLD_SEC": ("health", "zombie_seconds"),
    "MASC_MCP_MAX_BODY_BYTES": ("server", "max_body_bytes"),
    "MASC_LOG_LEVEL": ("server", "log_level"),
}
"""Variables of the environment that go before ``config.toml``, and the section and key of each."""


def load_settings(
    base: Path,
    environ: Mapping[str, str] | None = None,
    sections: Mapping[str, type] | None = None,
    *,
    tolerant: bool = False,
) -> Settings:
    """The settings of the room at ``base``; ``sections`` are those of the loaded plugins, by name.

    ``tolerant``: a plugin was left out, so a section that nobody knows may be its own and is passed over.

    Raises :class:`StartError` naming the file or variable and the nearest known key.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {"cluster": _cluster(base, environ)}
    config = base / ".masc" / "config.toml"
    given = _read(config)
    origins: dict[tuple[str, str], str] = {}
    for variable, (section, key) in ENVIRONMENT.items():
        if (text := environ.get(variable)) is not None:
            _section(given, section)[key] = _from_text(variable, text, section, key)
            origins[section, key] = variable
    added: dict[type, Any] = {}
    known = {**KERNEL_SECTIONS, **(sections or {})}
    for name, content in given.items():
        if name not in known and tolerant:
            continue
        if name not in known:
            raise StartError(message=f"{config}: unknown {_unknown(name, content, known)}")
        built = _build(config, name, known, content, origins)
        if name in KERNEL_SECTIONS:
            values[name] = built
        else:
            added[known[name]] = built
    return Settings(**values, sections=added)


def _cluster(base: Path, environ: Mapping[str, str]) -> str:
    """The cluster's name. What is no UTF-8 has no place in a store or an answer."""
    given = environ.get("MASC_CLUSTER_NAME") or ""
    for what, text in (("the base directory", str(base)), ("MASC_CLUSTER_NAME", given)):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise StartError(message=f"{what} is not UTF-8: {text!a}; choose another name") from None
    return given or base.name or "default"


def _read(config: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(config.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StartError(message=f"{config} cannot be read: {error}") from error


def _section(given: dict[str, Any], name: str) -> dict[str, Any]:
    section = given.setdefault(name, {})
    return section if isinstance(section, dict) else {}


def _from_text(variable: str, text: str, section: str, key: str) -> Any:
    kind = attrs.fields_dict(type(getattr(Settings(), section)))[key].type
    if kind in (str, "str"):
        return {"fs": "sqlite"}.get(text, text) if variable == "MASC_STORAGE_TYPE" else text
    try:
        return int(text)
    except ValueError:
        raise StartError(message=f"{variable} must be a whole number, not {text!r}") from None


def _build(
    config: Path, name: str, sections: Mapping[str, type], content: object, origins: Mapping[tuple[str, str], str]
) -> Any:
    if not isinstance(content, dict):
        raise StartError(message=f"{config}: {name} must be a section [{name}]")
    cls = sections[name]
    known = get_type_hints(cls)
    values: dict[str, Any] = {}
    for key, value in content.items():
        if key not in known:
            near = _nearest(key, _keys(sections, name), f"are {', '.join(known)}")
            raise StartError(message=f"{config}: unknown setting {name}.{key}{near}")
        wanted = _plain(known[key])
        if type(value) not in _ACCEPTED.get(wanted, (wanted,)):
            raise StartError(message=f"{config}: {name}.{key} must be of type {wanted.__name__}, not {value!r}")
        values[key] = Decimal(str(value)) if wanted is Decimal else value
    try:
        return cls(**values)
    except ValueError as error:
        at_fault = origins.get((name, str(error).split(" ", 1)[0]), str(config))
        raise StartError(message=f"{at_fault}: {name}.{error}") from error


def _plain(hint: Any) -> type:
    """The class a value must have: ``dict`` for ``Mapping[str, X]``, ``int`` for ``int | None``."""
    if isinstance(hint, UnionType):
        hint = next(arm for arm in get_args(hint) if arm is not NoneType)
    origin = get_origin(hint) or hint
    return dict if origin is Mapping else origin


def _unknown(name: str, content: object, sections: Mapping[str, type]) -> str:
    """What an unknown name at the top of the file is, and what was probably meant: a value is a setting without its
    section, or has the place of a section."""
    named = {section: f"[{section}]" for section in sections}
    known = f"sections are {', '.join(named.values())}"
    if isinstance(content, dict):
        return f"section [{name}]{_nearest(name, named.items(), known)}"
    return f"setting {name}{_nearest(name, [*_keys(sections), *named.items()], known)}"


def _keys(sections: Mapping[str, type], own: str | None = None) -> list[tuple[str, str]]:
    """Every key with how to name it, those of the section ``own`` first."""
    ordered = sorted(sections, key=lambda section: section != own)
    return [(k, k if s == own else f"{k} in [{s}]") for s in ordered for k in get_type_hints(sections[s])]


def _nearest(name: str, candidates: Iterable[tuple[str, str]], known: str) -> str:
    """The most alike of names with how to name them, the first of equals; all that is ``known`` where none is alike."""
    rated = [(difflib.SequenceMatcher(None, name, candidate).ratio(), shown) for candidate, shown in candidates]
    alike, shown = max(rated, key=lambda rating: rating[0])
    return f"; did you mean {shown}?" if alike >= _ALIKE else f"; known {known}"
