"""The tutorial of plugins works as it is written, from an empty directory to a published wheel."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from docs_support import TUTORIAL, accept, inline_commands, text_of
from plugin_packages import make_environment

_PART = re.compile(
    r"^(?P<step>## \d+\. [^\n]+)$|(?:^<!-- file: (?P<file>\S+?)(?P<end>, at the end)? -->\n)?"
    r"^```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_STEPS = 9


def test_the_tutorial_has_the_steps_it_promises() -> None:
    steps = re.findall(r"^## (\d+)\. ", text_of(TUTORIAL), re.MULTILINE)
    assert steps == [str(n) for n in range(1, _STEPS + 1)]
    assert "Nine steps, about ten minutes" in text_of(TUTORIAL)


def test_the_commands_in_the_tutorials_text_are_ones_we_take() -> None:
    for words in inline_commands(TUTORIAL):
        accept(words)


@pytest.mark.timeout(600)
def test_every_step_of_the_tutorial_works(tmp_path: Path) -> None:
    reader = _Reader(tmp_path)
    for part in _PART.finditer(text_of(TUTORIAL)):
        if part["step"] is not None:
            reader.step = part["step"]
        elif part["language"] == "sh":
            reader.run(part["text"])
        elif part["language"] == "text":
            reader.expect(part["text"])
        elif part["language"] == "diff":
            reader.edit(part["file"], part["text"])
        else:
            reader.write(part["file"], part["text"], at_the_end=part["end"] is not None)
    assert reader.step.startswith(f"## {_STEPS}. ")


class _Reader:
    """Does in an empty directory what the tutorial says."""

    def __init__(self, directory: Path) -> None:
        self.step = ""
        self._environment = make_environment(directory / ".venv").variables
        self._place = directory
        self._said = ""

    def run(self, commands: str) -> None:
        """Type commands into a shell that stays where the last ones left it."""
        script = f"set -e\n{commands}\npwd > '{self._place}/.place'\n"
        marker = self._place / ".place"
        done = subprocess.run(
            ["sh", "-c", script], cwd=self._place, env=self._environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, f"{self.step}\n{done.stdout}"
        self._place = Path(marker.read_text().strip())
        marker.unlink()
        self._said = done.stdout

    def expect(self, lines: str) -> None:
        """What was said last has these lines, or lines that contain them."""
        for line in lines.splitlines():
            assert line in self._said, f"{self.step}: {line}\n{self._said}"

    def write(self, file: str, text: str, *, at_the_end: bool) -> None:
        """Write a file, add to one, or find it written already as it is shown."""
        path = self._place / file
        if at_the_end:
            path.write_text(f"{path.read_text()}\n\n{text}")
        elif path.exists():
            assert path.read_text() == text, self.step
        else:
            path.write_text(text)

    def edit(self, file: str, diff: str) -> None:
        """Take out the lines with - and put in those with +; parts of a file that are apart are divided by @@."""
        path = self._place / file
        for hunk in diff.split("@@\n"):
            lines = hunk.splitlines(keepends=True)
            before = "".join(line[1:] for line in lines if line[0] in " -")
            after = "".join(line[1:] for line in lines if line[0] in " +")
            content = path.read_text()
            assert content.count(before) == 1, f"{self.step}: {before}"
            path.write_text(content.replace(before, after))
