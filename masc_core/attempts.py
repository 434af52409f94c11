"""The attempts of one call: a context for each, and the caller's presence, refreshed with the change."""

from __future__ import annotations

from masc_core.agents import PRESENCE_SECONDS
from masc_core.context import Context
from masc_core.frozen import evolve
from masc_core.identity import join
from masc_core.records import Room
from masc_core.store.transaction import Transaction
from masc_core.tools import Effect

__all__ = ["Attempts", "Overtaken", "be_present", "may_go_unmarked"]


class Overtaken(Exception):
    """Another process has made the room that a call was to make."""


class Attempts:
    """The contexts of a call's attempts. The first is the primed one; a repeated one neither says things twice nor keeps
    what the lost one did."""

    def __init__(self, primed: Context) -> None:
        self._primed = primed
        self._tx = primed.tx
        self._room, self._caller, self._warnings = primed.room, primed.caller, tuple(primed.warnings)

    async def context(self, tx: Transaction) -> Context:
        """The context of the attempt that runs in ``tx``."""
        ctx = self._primed
        if tx is not self._tx:
            now = ctx.clock.now()
            ctx = evolve(
                ctx, tx=tx.dated(now), caller=self._caller, now=now, warnings=list(self._warnings), delivered=[],
                committed=[],
                events=[],
            )  # fmt: skip
        ctx.call.joined_as = None
        ctx.committed.clear()
        ctx.room = self._room
        if self._room is not None:
            # A room that is missing is made by the very change that needs it: a refused one leaves none behind.
            # On the way to the caller it was mostly found in this very unit of work.
            made, known = False, tx.notes.get(Room) is self._room
            if not known:
                ctx.room, made = await ctx._open.found(tx, ctx.call.client.actor)
            if ctx.call.founding and not made:
                raise Overtaken
            if ctx.call.tool.transactional:
                ctx.call.room_created = made
        return ctx


_DECIDE_THEMSELVES = frozenset({"masc_init", "masc_join", "masc_leave", "masc_start"})
"""They join or end a membership: a presence refreshed before would make a zombie's name one that is taken."""


async def be_present(ctx: Context) -> bool:
    """Refresh the caller's presence, at most every 5 s; join it first where the tool says so. True when it was joined."""
    ctx.call.marking = False
    if not ctx.caller.known or ctx.caller.auth == "local" or ctx.call.tool.name in _DECIDE_THEMSELVES:
        return False
    agent = await ctx.agents.find(ctx.caller.name.lower())
    if agent is None or agent.left_at:
        if not ctx.call.tool.auto_join:
            return False
        joined = await join(ctx, ctx.caller.name)
        ctx.caller = evolve(ctx.caller, name=joined.agent.name)
        return True
    presence = (await ctx.presence.peek([agent.name.lower()]))[0]
    if presence is None or ctx.call.unmarked:
        return False
    # One that lies ahead was written before somebody set the clock back.
    if not ctx.after(-PRESENCE_SECONDS) <= presence.last_seen <= ctx.now:
        ctx.presence.put(evolve(presence, last_seen=ctx.now))
        ctx.call.marking = True
    return False


def may_go_unmarked(ctx: Context) -> bool:
    """Whether a reading call is to be tried again without the caller's presence, which a full disk does not take.

    One that refreshed no presence needed no write, so its store is out of reach and a second try only takes as long again.
    """
    ctx.call.unmarked = ctx.call.marking and ctx.call.tool.effect is Effect.READ
    return ctx.call.unmarked
