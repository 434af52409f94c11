"""The form a client shows to its user, and reading what comes back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from masc_core.context import Context
from masc_core.errors import MascError
from masc_core.values import check_text
from masc_plugin_interrupt.records import Checkpoint

__all__ = ["FORM", "question", "read_form"]

MAX_COMMENT = 2_000

FORM: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "decision": {"type": "string", "title": "Decision", "enum": ["approve", "reject"]},
        "comment": {"type": "string", "title": "Comment", "maxLength": MAX_COMMENT},
    },
    "required": ["decision"],
}


_UNSEEN = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What a terminal or a window obeys instead of showing it: control characters, and those that turn text around."""


def question(checkpoint: Checkpoint) -> str:
    """What the user reads above the form. Every line of the agent's begins with ``>``; it cannot speak as MASC."""
    of = f" of {checkpoint.total_steps}" if checkpoint.total_steps is not None else ""
    state = f"\n\nIts state: masc checkpoint show {checkpoint.id}" if checkpoint.state is not None else ""
    return (
        f"{checkpoint.agent} asks before step {checkpoint.step}{of} of {checkpoint.task_id}. What it wants to do:"
        f"\n\n{_quoted(checkpoint.action)}\n\nWhat it says of it:\n\n{_quoted(checkpoint.interrupt_message or '')}{state}"
    )


def _quoted(text: str) -> str:
    return "\n".join(f"> {_UNSEEN.sub(' ', line)}" for line in text.splitlines())


async def read_form(ctx: Context, content: Mapping[str, Any]) -> tuple[bool, str] | None:
    """Whether the user approves, and the comment, redacted like any argument; ``None`` for a form that decides nothing."""
    decision, comment = content.get("decision"), content.get("comment") or ""
    if decision not in ("approve", "reject") or not isinstance(comment, str) or len(comment) > MAX_COMMENT:
        return None
    try:
        arguments = {"comment": check_text("comment", comment)}
    except MascError:
        return None
    await ctx.ask("masc_redact", ctx=ctx, arguments=arguments)
    return decision == "approve", arguments["comment"]
