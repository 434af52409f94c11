"""Draws the pictures of the documents, ``docs/pictures/*.svg``; ``--check`` only compares.

Each has a ground of its own, so that it can be read on any page, and a dark one where the reader prefers that.
"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path

from attrs import define, field

DIRECTORY = Path(__file__).parent / "pictures"
_STYLE = """
  .ground { fill: #f7f8fa } .box { fill: #ffffff; stroke: #56606d } .mark { fill: #e3ecfb; stroke: #2f5fa7 }
  .end { fill: #e4f3e6; stroke: #3a7d44 } .frame { fill: none; stroke: #8a94a1; stroke-dasharray: 5 4 }
  text { fill: #1c2128; font: 15px system-ui, sans-serif } .small { font-size: 12.5px; fill: #444c56 }
  .line { stroke: #56606d; stroke-width: 1.5; fill: none } .head { fill: #56606d }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #1b1f24 } .box { fill: #272d35; stroke: #9aa5b1 } .mark { fill: #1f3354; stroke: #7fa9e8 }
    .end { fill: #1e3a24; stroke: #7cc48a } .frame { stroke: #77818c }
    text { fill: #e9edf1 } .small { fill: #b9c2cb } .line { stroke: #9aa5b1 } .head { fill: #9aa5b1 }
  }
"""
_HEAD = """<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto">
<path class="head" d="M0 0 L10 5 L0 10 z"/></marker></defs>"""


@define
class Picture:
    """A drawing in pixels, from the left and from the top."""

    width: int
    height: int
    title: str
    _parts: list[str] = field(factory=list)

    def box(self, x: int, y: int, w: int, h: int, *lines: str, kind: str = "box") -> None:
        """A box with a first line, and smaller ones, in its middle. ``frame`` has them at its top."""
        self._parts.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{w}" height="{h}" rx="8"/>')
        top = y + 22 if kind == "frame" else y + h / 2 + 5 - 9 * (len(lines) - 1)
        for i, line in enumerate(lines):
            self.text(x + w // 2, int(top) + 18 * i, line, small=i > 0 or kind == "frame")

    def text(self, x: int, y: int, words: str, small: bool = False, anchor: str = "middle") -> None:
        """Words at a point."""
        name = ' class="small"' if small else ""
        self._parts.append(f'<text{name} x="{x}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>')

    def arrow(self, *points: tuple[int, int], words: str = "", at: tuple[int, int] | None = None) -> None:
        """A line through points that ends in a head, with words at a point or above its middle."""
        path = " ".join(f"{x},{y}" for x, y in points)
        self._parts.append(f'<polyline class="line" points="{path}" marker-end="url(#head)"/>')
        if words:
            (x1, y1), (x2, y2) = points[0], points[-1]
            x, y = at or ((x1 + x2) // 2, (y1 + y2) // 2 - 8)
            self.text(x, y, words, small=True)

    def svg(self) -> str:
        """The file."""
        size = f'width="{self.width}" height="{self.height}"'
        box = f'viewBox="0 0 {self.width} {self.height}"'
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" {box} {size} role="img">',
            f"<title>{escape(self.title)}</title>", f"<style>{_STYLE}</style>", _HEAD,
            f'<rect class="ground" {size} rx="12"/>', *self._parts, "</svg>", "",
        ])  # fmt: skip


def room() -> Picture:
    """Agents, their servers, the room they share, and the person."""
    p = Picture(760, 372, "Agents reach one room through servers of their own or a shared one")
    agents = (("Claude Code", "stdio"), ("Codex", "stdio"), ("Gemini CLI", "HTTP"), ("yours", "HTTP"))
    for x, (name, how) in zip(range(24, 760, 184), agents, strict=True):
        p.box(x, 20, 160, 44, name)
        p.arrow((x + 80, 64), (x + 80, 118), words=how, at=(x + 106, 96))
    p.box(24, 118, 160, 44, "masc serve")
    p.box(208, 118, 160, 44, "masc serve")
    p.box(392, 118, 344, 44, "masc serve --http")
    for x in (104, 288, 564):
        p.arrow((x, 162), (x, 204))
    kept = "tasks · agents · messages · locks · portals · votes · checkpoints · costs · audit log"
    p.box(24, 204, 712, 84, "The room, in .masc/ beside the code", kept, kind="mark")
    p.arrow((380, 340), (380, 290))
    p.text(380, 358, "the person at the machine: masc status, masc checkpoint approve, masc doctor …", small=True)
    return p


def task() -> Picture:
    """From todo to done."""
    p = Picture(760, 250, "The life of a task")
    for x, name, kind in (
        (24, "todo", "box"),
        (224, "claimed", "mark"),
        (424, "in progress", "mark"),
        (624, "done", "end"),
    ):
        p.box(x, 80, 112, 48, name, kind=kind)
    p.arrow((136, 104), (222, 104), words="claim")
    p.arrow((336, 104), (422, 104), words="start")
    p.arrow((536, 104), (622, 104), words="done")
    p.arrow((280, 80), (280, 36), (680, 36), (680, 78), words="done", at=(480, 28))
    p.arrow(
        (480, 128), (480, 162), (80, 162), (80, 130), words="release; the agent leaves or falls silent", at=(280, 180)
    )
    p.arrow((280, 128), (280, 161))
    p.box(624, 180, 112, 48, "cancelled", kind="end")
    p.arrow((24, 118), (12, 118), (12, 214), (622, 214), words="cancel, from each state but done", at=(400, 206))
    return p


def call() -> Picture:
    """One call from arguments to answer."""
    p = Picture(760, 330, "One call")
    p.box(270, 14, 220, 40, "a call", "MCP, command line, a test")
    steps = [
        ("which tool", "mode"), ("who calls", "auth"), ("may it", "auth"), ("how often", "ratelimit"),
        ("with what", "contract"), ("no secrets", "redaction"),
    ]  # fmt: skip
    for i, (what, who) in enumerate(steps):
        p.box(24 + 120 * i, 84, 106, 56, what, who)
        if i:
            p.arrow((24 + 120 * i - 14, 112), (24 + 120 * i - 2, 112))
    p.arrow((380, 54), (380, 68), (77, 68), (77, 82))
    p.box(24, 178, 586, 92, "one unit of work: all of it is committed, or nothing", kind="frame")
    p.box(44, 210, 166, 46, "the handler", "runs again on a conflict", kind="mark")
    p.box(234, 210, 166, 46, "the result", "contract")
    p.box(424, 210, 166, 46, "audit and events", "audit")
    p.arrow((210, 233), (232, 233))
    p.arrow((400, 233), (422, 233))
    p.arrow((677, 140), (677, 160), (127, 160), (127, 208))
    p.box(630, 204, 106, 58, "answer", "text and data", kind="end")
    p.arrow((590, 233), (628, 233))
    p.text(380, 296, "What is refused on the way changes nothing, and is on record.", small=True)
    p.text(380, 314, "Where encryption is on, the store keeps it sealed.", small=True)
    return p


def interrupt() -> Picture:
    """An agent asks before a risky step."""
    p = Picture(760, 236, "Asking before a risky step")
    p.box(24, 60, 150, 116, "the agent", "masc_interrupt")
    p.box(290, 60, 150, 116, "interrupted", "kept in the room,", "whatever restarts", kind="mark")
    p.arrow((174, 92), (288, 92), words="asks")
    p.arrow((290, 148), (176, 148), words="is told, once")
    for y, name, who in ((20, "completed", "approved"), (160, "rejected", "or nobody in time")):
        p.box(570, y, 166, 56, name, who, kind="end")
    p.arrow((440, 92), (568, 48), words="approve", at=(490, 58))
    p.arrow((440, 144), (568, 188), words="reject", at=(490, 188))
    p.text(653, 108, "decided by a person, by a form,", small=True)
    p.text(653, 126, "by an agent that did not ask", small=True)
    return p


PICTURES = {"room": room, "task": task, "call": call, "interrupt": interrupt}


def main() -> int:
    """Compare or write; 1 when a picture is not up to date and only compared."""
    stale = {}
    for name, draw in PICTURES.items():
        path, text = DIRECTORY / f"{name}.svg", draw().svg()
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale[path] = text
    for path, text in stale.items():
        if "--check" in sys.argv:
            sys.stderr.write(f"changed: docs/pictures/{path.name}; run python docs/pictures.py\n")
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
