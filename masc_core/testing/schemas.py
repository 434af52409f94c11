"""Whether the reviewed contracts of a plugin are those of its code."""

from __future__ import annotations

from pathlib import Path

from masc_core import schema_files
from masc_core.testing.app import category_of, registry_of

__all__ = ["assert_contract"]


def assert_contract(plugin: object, directory: Path) -> None:
    """Assert that ``directory``, the ``schemas`` folder of a plugin's package, says what the code says.

    It has one file a tool, ``<category>/<tool>.json``: what goes in, what comes out, who may call it and how it fails.
    ``plugin`` is what the fixture ``masc_app`` takes. Raises ``AssertionError`` naming each file that is missing, changed
    or left over, and the command that writes them.
    """
    category = category_of(plugin)
    differences = schema_files.compare(registry_of([plugin]), directory, category)
    if differences:
        found = "\n".join(f"  {d.problem}: {directory / d.path}" for d in differences)
        command = f"masc schemas --write --plugin {category} {directory}"
        raise AssertionError(f"the contracts differ from the code of plugin {category}:\n{found}\nif meant: {command}")
