"""Runs in a process of its own, which a faulty plugin may bring down: loads what is examined and applies the rules.

``python -m masc_core.authoring.checker`` reads what to examine from standard input and writes its report to the file named
there, since a plugin may print whatever it likes.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import orjson

from masc_core.authoring import rules
from masc_core.authoring.added_commands import of_commands
from masc_core.authoring.findings import Finding
from masc_core.authoring.package import Package, normal
from masc_core.authoring.rehearsal import rehearse
from masc_core.contracts import Contract
from masc_core.convert import structure, unstructure
from masc_core.errors import StartError
from masc_core.modes import Modes
from masc_core.plugins import Plugin, Registry, load
from masc_core.schema_files import write_contracts

__all__ = ["main"]


def main() -> None:
    """Examine the package described on standard input."""
    request = orjson.loads(sys.stdin.buffer.read())
    package = structure({**request["package"], "root": None}, Package)
    root = request["package"]["root"]
    subject = _Subject(package if root is None else _at(package, Path(root)))
    Path(request["report"]).write_bytes(orjson.dumps(subject.report(write=request["write"])))


def _at(package: Package, root: Path) -> Package:
    return Package(package.name, package.version, package.points, package.requires, root)


class _Subject:
    """What is examined, as far as it could be loaded."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self._findings: list[Finding] = []
        self._registry = self._load()
        self._modes = Modes(self._registry) if self._registry else None

    def report(self, *, write: bool) -> dict[str, Any]:
        """What the package adds, what is wrong with it, and which contract files were written."""
        contracts, plugins = self._contracts(), self._plugins()
        self._findings += rules.usable(contracts)
        self._findings += rules.questions(contracts, self._package)
        written: list[str] = []
        if not any(finding.rule == "contracts" for finding in self._findings):
            if write and self._package.root is not None and contracts:
                written = [d.path for d in write_contracts(contracts, self._package.root / "schemas")]
            self._findings += rules.contract_files(contracts, self._package)
        self._findings += of_commands(self._package)
        self._findings += self._examined(contracts, plugins)
        return {
            "plugins": [{"name": p.name, "kind": "guard" if p.guard else "category"} for p in plugins],
            "tools": [
                {"name": c.tool.name, "tokens": self._modes.cost_of(c, caller_known=False).tokens}
                for c in contracts
                if self._modes
            ],
            "written": written,
            "findings": [unstructure(finding) for finding in self._findings],
        }

    def _examined(self, contracts: list[Contract], plugins: list[Plugin]) -> Iterator[Finding]:
        if self._registry is None or self._modes is None:
            return
        for plugin in plugins:
            yield from _of_plugin(plugin)
        for contract in contracts:
            yield from rules.of_tool(contract, self._package, self._modes)
        names = {plugin.name for plugin in plugins}
        resources = [made for made in self._registry.resources.values() if made.contract.tool.plugin in names]
        prompts = [made for made in self._registry.prompts.values() if made.contract.tool.plugin in names]
        yield from rules.of_resources(resources)
        offered = [*(made.contract for made in resources), *(made.contract for made in prompts)]
        yield from asyncio.run(rehearse(self._registry, contracts, offered))
        last = self._registry.faults.last if self._registry.faults else {}
        for plugin in plugins:
            if (fault := last.get(plugin.label, "")).startswith("hook "):
                then = "every such call is refused" if plugin.guard else "what it gave is ignored"
                yield Finding("hooks", plugin.name, fault, f"{then}; mend the hook")

    def _load(self) -> Registry | None:
        """Everything installed, so that a name taken by another plugin shows; where that stops, MASC's own and this one."""
        own = self._package.points.get("masc.plugins", {})
        ours = {p.name for p in entry_points(group="masc.plugins") if p.dist and normal(p.dist.name) == "masc"}
        try:
            return load()
        except StartError as error:
            stopped = str(error)
        try:
            alone = load(sorted({*ours, *own})) if own else load(())
        except StartError as error:
            self._findings.append(_stopping(self._package, str(error)))
            return None
        if any(f"plugin {name}" in stopped or f"category {name}" in stopped for name in own):
            self._findings.append(_stopping(self._package, stopped))
        return alone

    def _plugins(self) -> list[Plugin]:
        loaded = self._registry.plugins if self._registry else ()
        return [plugin for plugin in loaded if normal(plugin.distribution) == normal(self._package.name)]

    def _contracts(self) -> list[Contract]:
        names = {plugin.name for plugin in self._plugins() if not plugin.guard and plugin.problem is None}
        every = self._registry.contracts.values() if self._registry else ()
        return [contract for contract in every if contract.tool.plugin in names]


def _stopping(package: Package, message: str) -> Finding:
    return Finding(_rule(message), package.name, message, "servers do not start with it; mend what the message names")


def _rule(problem: str) -> str:
    return "names" if " taken " in problem or problem.startswith("takes ") else "load"


def _of_plugin(plugin: Plugin) -> Iterator[Finding]:
    if plugin.problem is not None:
        yield Finding(_rule(plugin.problem), plugin.name, plugin.problem, "it is left out until this is mended")
    elif not (importlib.import_module(plugin.module).__doc__ or "").strip():
        mend = "say in one sentence what the plugin is for"
        yield Finding("docs", plugin.module, "the module has no docstring", mend)


if __name__ == "__main__":
    main()
