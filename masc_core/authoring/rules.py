"""What is asked of a tool and of the package that brings it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence, Set
from pathlib import Path

from masc_core.authoring.findings import Finding
from masc_core.authoring.package import Package, normal
from masc_core.contracts import Contract
from masc_core.errors import MascError, StartError
from masc_core.modes import Modes
from masc_core.offers import Resource
from masc_core.questions import FILE, place_of, read_questions
from masc_core.render import printable
from masc_core.schema_files import compare_contracts
from masc_core.tools import READER, CallerUse, Effect

__all__ = [
    "MAX_DESCRIPTION",
    "MAX_TOKENS",
    "contract_files",
    "of_package",
    "of_resources",
    "of_tool",
    "questions",
    "usable",
]

MAX_TOKENS = 200
"""What one listed tool may cost a conversation."""
MAX_DESCRIPTION = 240
"""Characters of a description."""
_REMOVES = re.compile(r"(^|_)(delete|remove|drop|purge|wipe|clear|reset|destroy)(_|$)")
_MIME_TYPE = re.compile(r"[a-z]+/[A-Za-z0-9][\w.+-]*( *; *[\w-]+=(\"[^\"]*\"|[\w.+-]+))*\Z", re.ASCII)
_OWN = "masc"
"""The distribution whose tools need no category in their names."""


def of_package(package: Package) -> Iterator[Finding]:
    """What its files say, without running any of them."""
    if not package.points:
        yield Finding(
            "package", "pyproject.toml", "it adds nothing to MASC: no entry point in a group masc.plugins or masc.guards",
            f'add [project.entry-points."masc.plugins"] with a line such as {_category(package)} = "{_module(package)}"',
        )  # fmt: skip
    if normal(package.name) != _OWN and not any(re.match(r"masc\b(?![-_.])", need) for need in package.requires):
        yield Finding(
            "package", "pyproject.toml", "masc is not among its dependencies", 'add "masc" to dependencies in [project]'
        )
    if package.root is not None:
        yield from _of_sources(package, package.root)


def _category(package: Package) -> str:
    return re.sub(r"\W", "_", normal(package.name).removeprefix("masc-"))


def _module(package: Package) -> str:
    return re.sub(r"\W", "_", normal(package.name))


def _of_sources(package: Package, root: Path) -> Iterator[Finding]:
    untyped = set()
    for module in sorted(package.modules):
        top = module.partition(".")[0]
        if (place := package.importable_from(module)) is None:
            yield Finding(
                "package", "pyproject.toml", f"an entry point names module {module}, which is neither in src/ nor in {root}",
                f"create src/{top}/__init__.py, or name the module that is there",
            )  # fmt: skip
        elif top not in untyped and (place / top).is_dir() and not (place / top / "py.typed").is_file():
            untyped.add(top)
            yield Finding(
                "package", (place / top).relative_to(root).as_posix(), "type checkers ignore its annotations",
                "create an empty file py.typed in it",
            )  # fmt: skip
    if not any((root / name).is_file() for name in ("README.md", "README.rst", "README.txt", "README")):
        yield Finding("docs", "README.md", "there is none", "say what the plugin is for and name its tools")


def of_tool(contract: Contract, package: Package, modes: Modes) -> Iterator[Finding]:
    """What its declaration says: name, description, effect and cost."""
    tool = contract.tool
    own = normal(package.name) == _OWN
    if not own and not tool.name.removeprefix("masc_").startswith(f"{tool.category}_"):
        yield Finding(
            "names", tool.name, "its name does not say whose it is, and another plugin may take it",
            f"call it {tool.category}_{tool.name.removeprefix('masc_')}",
        )  # fmt: skip
    yield from _of_description(contract)
    yield from _of_effect(contract)
    if (cost := modes.cost_of(contract, caller_known=False)).tokens > MAX_TOKENS:
        yield Finding(
            "tokens", tool.name, f"it costs every conversation {cost.tokens} tokens; {MAX_TOKENS} are plenty",
            "shorten the description, drop parameters that are seldom used, or make two tools of it",
        )  # fmt: skip
    if package.root is not None and not _named_in_readme(tool.name, package.root):
        yield Finding("docs", tool.name, "the README does not mention it", f"say in the README what {tool.name} does")


def of_resources(resources: Iterable[Resource]) -> Iterator[Finding]:
    """MIME types that are none, by which clients decide what to do with a resource."""
    for resource in resources:
        if not _MIME_TYPE.match(resource.mime_type):
            what = f"{resource.mime_type!r} is no MIME type"
            mend = "say what it holds as type/subtype, such as text/markdown"
            yield Finding("contracts", resource.uri, what, mend)


def _of_description(contract: Contract) -> Iterator[Finding]:
    tool = contract.tool
    if len(tool.description) > MAX_DESCRIPTION:
        yield Finding(
            "descriptions", tool.name, f"its description has {len(tool.description)} characters, which every agent pays for",
            f"say in at most {MAX_DESCRIPTION} what it does and when to use it; the rest goes into a second paragraph of "
            "the docstring, which is not sent",
        )  # fmt: skip
    if printable(tool.description) != tool.description:
        yield Finding(
            "descriptions", tool.name, "its description holds characters that steer a terminal or turn the writing",
            "take them out: clients show the description as it is",
        )  # fmt: skip
    if not tool.description.endswith((".", "!", "?")) or not tool.description[0].isupper():
        yield Finding(
            "descriptions", tool.name, f"its description is no sentence: {tool.description[:60]!r}",
            "begin with a capital and end with a full stop, as in: Leave a note that others can read.",
        )  # fmt: skip


def _of_effect(contract: Contract) -> Iterator[Finding]:
    tool = contract.tool
    if _REMOVES.search(tool.name) and tool.effect is not Effect.DESTRUCTIVE:
        yield Finding(
            "effects", tool.name, f"its name says that it removes, and it declares effect {tool.effect.value}",
            "declare effect=DESTRUCTIVE, so that clients ask before they call it, or rename it",
        )  # fmt: skip
    if tool.effect is Effect.DESTRUCTIVE and tool.role is READER:
        yield Finding(
            "effects", tool.name, "it destroys, and whoever may only read may call it",
            "declare role=WORKER or role=ADMIN",
        )  # fmt: skip


def _named_in_readme(tool: str, root: Path) -> bool:
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in root.glob("README*") if path.is_file()]
    return not texts or any(re.search(rf"\b{tool}\b", text) for text in texts)


def contract_files(contracts: Sequence[Contract], package: Package) -> Iterable[Finding]:
    """Where the files in ``schemas/``, if there are any, and the code say different things."""
    if package.root is None or not (package.root / "schemas").is_dir():
        return
    said = {
        "missing": "the tool has no contract file",
        "orphan": "no tool has this contract",
        "changed": "it says something else than the code",
    }
    for difference in compare_contracts(contracts, package.root / "schemas"):
        yield Finding(
            "contracts", f"schemas/{difference.path}", said[difference.problem],
            "if the code is right: masc plugins check PATH --write, and review the difference",
        )  # fmt: skip


def usable(contracts: Iterable[Contract]) -> Iterator[Finding]:
    """Results without a schema, and examples that their own contract refuses."""
    for contract in contracts:
        try:
            contract.output  # noqa: B018  # derived when it is asked for
        except StartError as error:
            yield Finding("contracts", contract.tool.name, str(error), "give every field of the result a JSON type")
        for example in contract.tool.examples:
            caller = {contract.tool.caller_field} if contract.tool.caller is not CallerUse.NONE else set()
            try:
                contract.validate({name: value for name, value in example.items() if name not in caller})
            except MascError as error:
                yield Finding(
                    "examples", contract.tool.name, f"example {dict(example)} is refused: {error}",
                    "declare examples=[{…}] in @tool, each an object with the tool's arguments",
                )  # fmt: skip


def questions(contracts: Sequence[Contract], package: Package) -> Iterator[Finding]:
    """Files of questions that no search can use or that none reads."""
    places = sorted({place_of(contract.tool) for contract in contracts})
    for place in places:
        own = {contract.tool.name for contract in contracts if place_of(contract.tool) == place}
        try:
            others = read_questions(place).keys() - own
        except ValueError as error:
            yield Finding(
                "questions", f"{place}/{FILE}", f"it cannot be used: {error}",
                'write {"tool_name": ["what somebody says who wants it", …], …}',
            )  # fmt: skip
        else:
            for name in sorted(others):
                what = "no tool of this package has that name"
                yield Finding("questions", f"{place}/{FILE}: {name[:80]}", what, "rename the key or take it out")
    if contracts:
        yield from _stray(package, set(places))


def _stray(package: Package, places: Set[str]) -> Iterator[Finding]:
    """Files of questions in its packages that have no tool."""
    for module in sorted({module.partition(".")[0] for module in package.modules}):
        if (source := package.importable_from(module)) is None:
            continue
        for file in sorted((source / module).rglob(FILE)):
            name = ".".join(file.parent.relative_to(source).parts)
            if (file.parent / "__init__.py").is_file() and name not in places:
                yield Finding(
                    "questions", f"{name}/{FILE}", "no tool is declared in a module beside it",
                    "move it into the package of the module that declares the tools",
                )  # fmt: skip
