"""masc_broadcast: one message for the whole room."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from attrs import define, field

from masc_core.context import Context
from masc_core.errors import InvalidArgument
from masc_core.message_line import MessageFormat, message_line
from masc_core.records import Mention, Message
from masc_core.store.transaction import LogPosition
from masc_core.tools import WORKER, WRITE, tool
from masc_core.values import Bound
from masc_core.values import Message as Text
from masc_plugin_comm.mentions import resolve

__all__ = ["Sent", "masc_broadcast"]

EVERYBODY = "all"

Reply = Annotated[int, Bound(minimum=1, maximum=2**53)]


@define
class Sent:
    """A stored message's number and whom it mentions."""

    seq: LogPosition
    timestamp: str
    mentions: list[Mention]
    unknown_mentions: list[str]
    redacted: dict[str, int] | None = None
    """Set by the pipeline, where a guard replaced secrets."""
    _text: str = field(default="", init=False, repr=False)
    """No part of the result: what is not set on creation is not sent."""

    @classmethod
    def of(cls, seq: LogPosition, message: Message, format: MessageFormat) -> Sent:
        """The result for a message just stored."""
        unknown = [m.token for m in message.mentions if m.kind == "unknown"]
        sent = cls(seq, message.timestamp, message.mentions, unknown)
        sent._text = message_line(format, message.from_, message.to or EVERYBODY, message.timestamp, message.content)
        return sent

    def masc_text(self, structured: Mapping[str, Any]) -> str:
        """The message in the form that was asked for."""
        return self._text


@tool(
    effect=WRITE,
    role=WORKER,
    limit="broadcast",
    examples=({"agent_name": "claude", "message": "@gemini the parser is ready for review"},),
    keywords=(
        "everyone tell information announce post say message public portal group heads mentions reply know shout "
        "write warn let greet people; notify send common main room chat news note ping change test fail deploying "
        "freeze frozen publish spread word shared alert hello status update open speak talk address guys thread "
        "question morning whole agent build breaking merge refactor api outage restart megaphone"
    ),
)
async def masc_broadcast(
    ctx: Context, message: Text, format: MessageFormat = "compact", reply_to: Reply | None = None
) -> Sent:
    """Send a message to everyone; @name, @@type and @all mention agents."""
    if reply_to is not None and reply_to > (await ctx.messages.ends())[1]:
        raise InvalidArgument(
            field="reply_to", reason="not_found", expected="must be the seq of a message of this room"
        )
    stored = Message(
        from_=ctx.agent,
        type="broadcast",
        content=message,
        timestamp=ctx.now,
        mentions=await resolve(ctx, message, ctx.agent),
        reply_to=reply_to,
    )
    return Sent.of(ctx.messages.append(stored), stored, format)
