"""Whose credential a client presents, found out before there is a call: for the mode, the tool list and HTTP's answer 401."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from masc_core.errors import MascError, Unauthenticated
from masc_core.frozen import evolve, frozen
from masc_core.identity import Client
from masc_core.store.transaction import Transaction

if TYPE_CHECKING:
    from masc_core.kernel import Kernel

__all__ = ["Recognised", "note_stranger", "recognise"]

logger = logging.getLogger(__name__)


@frozen
class Recognised:
    """A client, and what the start room's guards say to its credential."""

    client: Client
    auth: bool = False
    """The room has auth on."""
    required: bool = False
    """It answers nobody without a token."""
    refused: MascError | None = None
    """What is wrong with the credential the client presents."""


async def recognise(
    kernel: Kernel, client: Client, reading: Transaction | None = None, alone: bool = True
) -> Recognised:
    """The client as its credential shows it, by the start room's guards. ``alone``: for a request that calls no tool.

    Raises what a guard has against even looking.
    """
    if not await kernel.opened():
        return Recognised(client)
    reading = reading or Transaction(kernel.start_room.driver)
    asked = {"room": kernel.start_room, "reading": reading, "client": client, "alone": alone}
    answers = kernel.registry.answers("masc_recognise", asked)
    try:
        for answer in answers:
            if (found := await answer) is not None:
                return Recognised(_as(client, found["agent"]), True, found["required"], found["refused"])
    finally:
        for answer in answers:
            answer.close()
    return Recognised(client)


async def note_stranger(kernel: Kernel, client: Client, asked: str, error: MascError | None) -> None:
    """Let guards note a request that called no tool, where ``error`` is that its credential is no good."""
    if not isinstance(error, Unauthenticated):
        return
    try:
        given = {"room": kernel.start_room, "client": client, "asked": asked, "error": error}
        for answer in kernel.registry.answers("masc_stranger", given):
            await answer
    except MascError as problem:
        logger.warning("a refused %s could not be noted: %s", asked, problem)


def _as(client: Client, agent: str | None) -> Client:
    if agent is None:
        return client
    return evolve(client, authenticated=agent, bindings=(*client.bindings, f"credential:{agent.lower()}"))
