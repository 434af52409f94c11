"""A token or the room's secret in a text is replaced before anybody can read it."""

from __future__ import annotations

from auth_support import UNKNOWN, Secured, secured
from test_auth_acceptance import dump

from masc_core.testing import MascApp

MARK = "[REDACTED:masc_token]"


async def test_tokens_and_the_secret_are_replaced_in_every_text_and_other_hex_words_stay(masc: MascApp) -> None:
    room = await secured(masc)
    token = await room.token("claude")
    for secret in (token, room.admin, room.secret, token.upper()):
        added = await room.ask("masc_add_task", token, title=f"use {secret}", description=f"{UNKNOWN} x{secret}\n")
        assert (added["task"]["title"], added["redacted"]) == (f"use {MARK}", {"masc_token": 2})
        assert added["task"]["description"] == f"{UNKNOWN} x{MARK}\n"
        asked = await room.ask(
            "masc_interrupt", token, task_id="t", step=1, action=secret[:5], message="m", state={"a": [secret]}
        )
        assert asked["redacted"] == {"masc_token": 1}
    stored = (await dump(masc)).lower()
    assert not any(secret.encode() in stored for secret in (token, room.admin, room.secret))


async def test_a_token_among_more_hex_words_than_are_looked_up_singly(masc: MascApp) -> None:
    room = await secured(masc)
    token = await room.token("claude")
    words = [f"{n:064x}" for n in range(100)]
    sent = await room.ask("masc_broadcast", token, message="\n".join([*words, token, *words]))
    assert sent["redacted"] == {"masc_token": 1}
    assert token.encode() not in await dump(masc)


async def test_what_is_replaced_follows_the_credentials(masc: MascApp) -> None:
    room = await secured(masc)
    token = await room.token("claude")

    async def shown(room: Secured, text: str) -> str:
        return str((await room.ask("masc_add_task", room.admin, title=text))["task"]["title"])

    await room.ask("masc_auth_disable", room.admin)
    assert await shown(room, token) == MARK, "credentials are kept while auth is off"
    assert await shown(room, room.secret) == room.secret, "the secret is void"
    await room.ask("masc_auth_revoke", room.admin, agent_name="claude")
    assert await shown(room, token) == token, "nobody's any more"
