"""Plays the example calls in ``docs/examples`` and writes down their answers; ``--check`` only compares."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path

from masc_docs.examples import file_text, files, play, steps_of


async def stale(paths: Iterable[Path]) -> dict[Path, str]:
    """The files that do not say what a new room answers, and the text they should have."""
    wanted = {path: file_text(await play(steps_of(path))) for path in paths}
    return {path: text for path, text in wanted.items() if path.read_text(encoding="utf-8") != text}


def main() -> int:
    """Compare or write; 1 when a file is not up to date and only compared."""
    found = asyncio.run(stale(files()))
    for path, text in found.items():
        if "--check" in sys.argv:
            sys.stderr.write(f"changed: docs/examples/{path.name}; run python docs/record_examples.py\n")
        else:
            path.write_text(text, encoding="utf-8", newline="\n")
    return 1 if found and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
