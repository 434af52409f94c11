"""How a message that was just sent is shown in a text result: on one line, or a line a field."""

from __future__ import annotations

from typing import Literal

__all__ = ["MessageFormat", "compact", "message_line", "verbose"]

MessageFormat = Literal["compact", "verbose"]

# All that some reader takes for the end of a line, or a message could pose as a second one.
_BREAKS = dict.fromkeys("\n\v\f\x1c\x1d\x1e\x85\u2028\u2029", "\\n") | {"\\": "\\\\", "\r": "\\r"}
_IN_LINE = str.maketrans(_BREAKS)
_BETWEEN_BARS = str.maketrans(_BREAKS | {"|": "\\|"})


def message_line(format: MessageFormat, sender: str, to: str, timestamp: str, content: str) -> str:
    """The message in the form asked for."""
    return (compact if format == "compact" else verbose)(sender, to, timestamp, content)


def compact(sender: str, to: str, timestamp: str, content: str) -> str:
    """One line ``MSG|from|to|timestamp|content``, with backslash, bar and line breaks escaped."""
    return "|".join(("MSG", *(part.translate(_BETWEEN_BARS) for part in (sender, to, timestamp, content))))


def verbose(sender: str, to: str, timestamp: str, content: str) -> str:
    """Lines ``name: value``; backslash and line breaks are escaped, so that each value is on one."""
    fields = {"from": sender, "to": to, "timestamp": timestamp, "content": content}
    return "\n".join(f"{name}: {value.translate(_IN_LINE)}" for name, value in fields.items())
