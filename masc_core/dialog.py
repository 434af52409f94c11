"""Asking the user behind a client with a form, in both protocol eras.

In the handshake era a question goes to the client while the call waits. In the stateless era the call ends with
:class:`InputRequired`; the client asks its user and repeats the call with the answer and the state it was given. That state is
signed with a key of the room, so that any server of the room can trust what comes back, and says what it is about::

    dialog = ctx.call.dialog                      # None: the client cannot ask its user
    back = await dialog.returned(ctx)             # the repeated call of the stateless era
    answer = await dialog.form(ctx, "Delete?", schema, about=checkpoint.id)
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import orjson
from attrs import field

from masc_core.errors import InvalidArgument
from masc_core.frozen import frozen
from masc_core.records import DIALOG_KEYS, DialogKey

if TYPE_CHECKING:
    from masc_core.context import Context

__all__ = ["Answer", "Ask", "Dialog", "InputRequired", "Returned"]

FORM = "form"
"""The one question of a round."""
STATE_SECONDS = 86_400
"""How long a user may take."""
_MAX_STATE = 4_096
_KEY = "form"


@frozen
class Answer:
    """What a user did with a form; ``content`` is what the client sent and was checked by nobody."""

    action: Literal["accept", "decline", "cancel"]
    content: Mapping[str, Any] = field(factory=dict)


Ask = Callable[[str, Mapping[str, Any]], Awaitable[Answer]]
"""``await ask(message, schema)`` puts a form to the user while the call goes on."""


class InputRequired(Exception):
    """Ends a call of the stateless era: its client is to ask its user and to call again.

    Raised outside a unit of work, whose writes would be lost.
    """

    def __init__(self, message: str, schema: Mapping[str, Any], state: str) -> None:
        super().__init__("the client is to ask its user")
        params = {"mode": "form", "message": message, "requestedSchema": schema}
        self.requests: Mapping[str, Any] = {FORM: {"method": "elicitation/create", "params": params}}
        self.state = state


@frozen
class Returned:
    """What a repeated call brought back; without an answer the form was not shown."""

    about: str
    answer: Answer | None
    same_call: bool
    """It came with the arguments of the call that was sent away."""


@frozen
class Dialog:
    """How one call can ask the user behind its client."""

    ask: Ask | None = None
    """Asks while the call goes on; ``None`` in the stateless era."""
    state: str | None = None
    answers: Mapping[str, Answer] = field(factory=dict)

    @property
    def during_call(self) -> bool:
        """The form is shown while the call goes on, so there is something to wait for beside it."""
        return self.ask is not None

    async def returned(self, ctx: Context) -> Returned | None:
        """What this call brought back from the form it was sent away with, if it is such a call.

        Raises :class:`InvalidArgument` for a state that this room did not sign for this tool and agent, or that is too old.
        """
        if self.during_call or self.state is None:
            return None
        room, tool, agent, joined, about, expires_at, arguments = await _verified(ctx, self.state)
        if [room, tool, agent] != _scope(ctx):
            raise _unusable("foreign")
        if expires_at <= ctx.now:
            raise _unusable("expired")
        ctx.call.joined_earlier = bool(joined)
        return Returned(about, self.answers.get(FORM), arguments == _digest(ctx))

    async def form(self, ctx: Context, message: str, schema: Mapping[str, Any], *, about: str) -> Answer:
        """Ask the user. ``schema`` is a flat object schema; ``about`` names what the answer concerns.

        In the stateless era raises :class:`InputRequired` unless the call brought the answer with it; call
        :meth:`returned` first, outside any unit of work.
        """
        if self.ask is not None:
            return await self.ask(message, schema)
        back = await self.returned(ctx)
        if back is not None and back.about != about:
            raise _unusable("foreign")
        if back is not None and back.answer is not None:
            return back.answer
        joined = ctx.call.joined_earlier or ctx.call.joined_as is not None
        payload = orjson.dumps([*_scope(ctx), joined, about, ctx.after(STATE_SECONDS), _digest(ctx)])
        signature = _sign(await _key(ctx), payload)
        raise InputRequired(message, schema, f"{base64.urlsafe_b64encode(payload).decode()}.{signature}")


def _scope(ctx: Context) -> list[str]:
    assert ctx.room is not None
    return [ctx.room.path, ctx.call.tool.name, ctx.agent.lower()]


def _digest(ctx: Context) -> str:
    """The call's arguments, as far as two calls can be told apart by them; guards ask before they are checked."""
    try:
        text = json.dumps(ctx.call.arguments, sort_keys=True, default=str)
    except RecursionError:
        return "too deep"  # to be those of any call that was sent away
    return hashlib.sha256(text.encode()).hexdigest()[:32]


async def _verified(ctx: Context, state: str) -> list[Any]:
    encoded, _, signature = state.partition(".")
    try:
        payload = base64.b64decode(encoded, altchars=b"-_", validate=True)
        given = signature.encode("ascii")
    except (binascii.Error, ValueError):
        raise _unusable("tampered") from None
    if len(state) > _MAX_STATE or not hmac.compare_digest(_sign(await _key(ctx), payload).encode(), given):
        raise _unusable("tampered")
    parts: list[Any] = orjson.loads(payload)
    return [*parts, ""][:7]  # one signed by a server of before says nothing of the arguments


def _sign(key: bytes, payload: bytes) -> str:
    return hmac.new(key, payload, hashlib.sha256).hexdigest()


async def _key(ctx: Context) -> bytes:
    """The room's key, made on first use."""

    async def read(work: Context) -> DialogKey:
        keys = work.collection(DIALOG_KEYS)
        return await keys.find(_KEY) or keys.put(DialogKey(_KEY, secrets.token_hex(32)))

    return bytes.fromhex((await ctx.transact(read)).key)


def _unusable(reason: str) -> InvalidArgument:
    return InvalidArgument(
        field="requestState", reason=reason, expected="must be the state this call was sent back with; call again"
    )
