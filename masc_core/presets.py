"""The modes that MASC has itself; plugins add theirs by the hook ``masc_modes``."""

from __future__ import annotations

from attrs import frozen

__all__ = ["DEFAULT_MODE", "LEAN", "MODES", "RESERVED", "Mode"]

DEFAULT_MODE = "standard"
LEAN = "lean"
"""Mode of the kernel's own tools, and their category."""


@frozen
class Mode:
    """A named set of categories; ``None`` means every installed one."""

    name: str
    description: str
    categories: tuple[str, ...] | None


MODES = {
    mode.name: mode
    for mode in (
        Mode("minimal", "task board and presence", ("core", "health")),
        Mode("solo", "one agent with its own checkouts", ("core", "worktree")),
        Mode("standard", "board, messages, locks, worktrees, presence", ("core", "comm", "worktree", "health")),
        Mode(
            "parallel",
            "a team that talks in private, decides and asks its human",
            ("core", "comm", "portal", "worktree", "health", "discovery", "voting", "interrupt"),
        ),
        Mode("full", "every installed category", None),
        Mode(LEAN, "every tool, found by words and called by name; the list is short and never changes", ()),
    )
}
RESERVED = frozenset({*MODES, "custom", "budget", "inherit"})
"""Names that no plugin's mode has."""
