"""masc_messages, and how far an agent has read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from masc_core.agents import name_meant
from masc_core.context import Context
from masc_core.frozen import evolve, frozen
from masc_core.records import Message
from masc_core.tools import READ, READER, CallerUse, tool
from masc_core.values import Bound, Parsed, Verbatim, agent_name
from masc_core.values import Sequence as SequenceNumber
from masc_plugin_comm.handing import handing_over

__all__ = ["Page", "masc_messages", "move_read_position"]

BATCH = 200
SYSTEM = "system"


def _sender(field: str, value: str) -> str:
    return SYSTEM if value.lower() == SYSTEM else agent_name(field, value)


Sender = Annotated[str, Bound(minLength=1, maxLength=64), Parsed(_sender), Verbatim()]
PageSize = Annotated[int, Bound(minimum=1, maximum=100)]


@frozen
class Page:
    """Messages of the room, and where in it they are."""

    messages: list[Message]
    count: int
    first_seq: int
    """Oldest still kept."""
    last_seq: int
    """Last of the room."""
    more: bool


@frozen
class _Wanted:
    """Which messages a reader asks for; names are lower-case."""

    sender: str | None
    mentioned: str | None
    system: bool

    def fits(self, message: Message) -> bool:
        """The message is one of those. Mentions are chosen by the index alone."""
        if self.sender is not None and message.from_.lower() != self.sender:
            return False
        return self.system or message.type != SYSTEM

    @property
    def indexed(self) -> bool:
        """The index gives the wanted messages and no others."""
        return (self.system and None in (self.sender, self.mentioned)) or (self.sender is self.mentioned is None)

    @property
    def index(self) -> tuple[str, str] | None:
        """The index, and its value, that leaves least to skip; ``None`` for the log itself."""
        if self.mentioned is not None:
            return "mentions", self.mentioned
        if self.sender is not None:
            return "from", self.sender
        return None if self.system else ("type", "broadcast")

    async def batch(self, ctx: Context, after: int, limit: int, newest_first: bool) -> list[Message]:
        if self.index is None:
            return await ctx.messages.read(after, limit, reverse=newest_first)
        by, value = self.index
        return await ctx.messages.scan(by, value, after=after, limit=limit, reverse=newest_first)


@tool(
    effect=READ,
    role=READER,
    caller=CallerUse.OPTIONAL,
    examples=({"since_seq": 41, "limit": 20},),
    keywords=(
        "chat conversation said wrote write post new news mentions feed message talk announce; read history say "
        "written catch latest last recent missing since number inbox scroll portal discussion thread transcript log "
        "received incoming mail mailbox unread happening away older newer mine name public look through somebody room "
        "communication lately fetch whoever"
    ),
)
async def masc_messages(
    ctx: Context,
    since_seq: SequenceNumber = 0,
    limit: PageSize = 10,
    from_: Sender | None = None,
    mentions_me: bool = False,
    include_system: bool = True,
) -> Page:
    """Read messages: the newest first, or those after since_seq in order."""
    wanted = _Wanted(
        sender=None if from_ is None else await _sender_name(ctx, from_),
        mentioned=ctx.agent.lower() if mentions_me else None,
        system=include_system,
    )
    found = await _collect(ctx, wanted, since_seq, limit + 1)
    page, (first, last) = found[:limit], await ctx.messages.ends()
    if page and ctx.caller.known:
        await _move_when_complete(ctx, page)
    return Page(page, len(page), first, last, more=len(found) > limit)


async def _sender_name(ctx: Context, given: str) -> str:
    """Whom a reader means; a name that is not known (any more) may still have sent messages."""
    return SYSTEM if given == SYSTEM else (await name_meant(ctx, given)).lower()


async def _collect(ctx: Context, wanted: _Wanted, since: int, limit: int) -> list[Message]:
    """Up to ``limit`` wanted messages, in bounded batches."""
    found: list[Message] = []
    position, newest_first = since, since == 0
    size = limit if wanted.indexed else BATCH
    while len(found) < limit:
        batch = await wanted.batch(ctx, position, size, newest_first)
        found += [message for message in batch if wanted.fits(message)]
        if len(batch) < size:
            break
        position = batch[-1].seq
    return found[:limit]


async def _move_when_complete(ctx: Context, page: Sequence[Message]) -> None:
    """Let the caller's read position move to the newest of ``page``, unless an unread message before it was left out."""
    presence = (await ctx.presence.peek([ctx.agent.lower()]))[0]
    newest = max(message.seq for message in page)
    if presence is None or newest <= presence.read_seq:
        return
    shown = {message.seq for message in page}
    unread = await ctx.messages.read(presence.read_seq, limit=len(page) + 1)
    if all(message.seq in shown for message in unread if message.seq <= newest):
        move_read_position(ctx, newest)


def move_read_position(ctx: Context, seq: int) -> None:
    """Move the caller's read position forward to ``seq``, once the answer was handed to the transport."""
    name = ctx.agent.lower()

    async def move(work: Context) -> None:
        presence = await work.presence.find(name)
        if presence is not None and presence.read_seq < seq:
            work.presence.put(evolve(presence, read_seq=seq))

    async def delivered() -> None:
        await ctx.transact(move)

    handing_over(ctx, delivered)
