"""How a message that was just sent is shown in a text result: on one line, or a line a field."""

from __future__ import annotations

from typing import Literal

from masc_core.render import printable

__all__ = ["MessageFormat", "compact", "message_line", "verbose"]

MessageFormat = Literal["compact", "verbose"]

_IN_LINE = str.maketrans({"\\": "\\\\"})
_BETWEEN_BARS = str.maketrans({"\\": "\\\\", "|": "\\|"})


def message_line(format: MessageFormat, sender: str, to: str, timestamp: str, content: str) -> str:
    """The message in the form asked for."""
    return (compact if format == "compact" else verbose)(sender, to, timestamp, content)


def compact(sender: str, to: str, timestamp: str, content: str) -> str:
    """One line ``MSG|from|to|timestamp|content``, with backslash, bar and control characters escaped."""
    return "|".join(("MSG", *(printable(part.translate(_BETWEEN_BARS)) for part in (sender, to, timestamp, content))))


def verbose(sender: str, to: str, timestamp: str, content: str) -> str:
    """Lines ``name: value``; backslash and control characters are escaped, so that each value is on one."""
    fields = {"from": sender, "to": to, "timestamp": timestamp, "content": content}
    return "\n".join(f"{name}: {printable(value.translate(_IN_LINE))}" for name, value in fields.items())
