"""What the documents show is run."""

from __future__ import annotations

import re
import types
from pathlib import Path

from masc_core.testing.app import masc_app

ROOT = Path(__file__).parent.parent


def blocks(document: str, language: str) -> list[str]:
    """The fenced blocks of one language in a document."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


async def test_the_plugin_of_the_readme_works(tmp_path: Path) -> None:
    (source,) = blocks("README.md", "python")
    plugin = types.ModuleType("masc_acme")
    # The handler's annotations are strings to the contract, so the module must be where they are looked up.
    exec(compile(source, "README.md", "exec"), plugin.__dict__)
    async with masc_app(tmp_path, extra=[("acme", plugin)]) as masc:
        task = (await masc.call("masc_add_task", "claude", title="Fix login"))["task"]
        assert await masc.call("acme_age", task_id=task["id"]) == {"created_at": task["created_at"]}


def test_the_commands_that_the_readme_names_exist() -> None:
    """Every `masc …` command in the README and the docs is one the program has."""
    from masc_core.cli import main

    known = set(main.list_commands(None))  # type: ignore[arg-type]
    for document in ["README.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]:
        text = (ROOT / document).read_text(encoding="utf-8")
        named = set(re.findall(r"(?:^|`|-- )masc ([a-z]+)", text, re.MULTILINE))
        assert named <= known, f"{document} names {sorted(named - known)}"
