"""Guard redaction: secrets in texts are replaced before anything is stored, sealed, logged or sent on.

Read :mod:`.kinds` and :mod:`.labels` for what is a secret, :mod:`.engine` for what happens to it, :mod:`.walk` for where.
Which arguments are texts follows from their declared types (:class:`masc_core.Verbatim`), not from a list of tools.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from masc_core import Context, hookimpl
from masc_plugin_redaction.settings import RedactionSettings

if TYPE_CHECKING:
    from masc_plugin_redaction.engine import Redactor

__all__: list[str] = []


@hookimpl
def masc_settings(register: Callable[[str, type], None]) -> None:
    """The section ``[redaction]``."""
    register("redaction", RedactionSettings)


@hookimpl
async def masc_redact(ctx: Context, arguments: dict[str, Any]) -> Mapping[str, int] | None:
    """Replace secrets in the texts among the arguments. An argument that the tool's contract does not know is text."""
    settings = ctx.settings.of(RedactionSettings)
    if not settings.enabled or not arguments:
        return None
    declared = ctx.call.contract.texts
    texts = {n: where for n in arguments if (where := declared.get(n, True)) is not False}
    return await _redact(ctx, arguments, texts, settings) if texts else None


async def _redact(
    ctx: Context, arguments: dict[str, Any], texts: Mapping[str, Any], settings: RedactionSettings
) -> Mapping[str, int] | None:
    if not settings.patterns and _quick()(arguments, texts):
        return None
    from masc_plugin_redaction.walk import rewritten

    redactor = _redactor(settings.named, tuple(settings.allow))
    known = await _known(ctx, arguments, texts)
    counts: Counter[str] = Counter()
    for name, where in texts.items():
        before = counts.total()
        value = rewritten(
            arguments[name], lambda key, text: redactor.redact(text, counts, key, known), where, name.rstrip("_")
        )
        if counts.total() > before:
            arguments[name] = value
    return dict(counts) or None


async def _known(ctx: Context, arguments: Mapping[str, Any], texts: Mapping[str, Any]) -> frozenset[str]:
    """The words of 64 hex digits in the texts that are this room's own secrets."""
    from masc_plugin_redaction.engine import hex_words
    from masc_plugin_redaction.walk import strings

    words = {
        word
        for name, where in texts.items()
        for _, text in strings(arguments[name], where)
        for word, _ in hex_words(text)
    }
    if not words:
        return frozenset()
    answers = await ctx.ask("masc_known_secrets", ctx=ctx, words=sorted(words))
    return frozenset(word for answer in answers for word in answer["secrets"])


@cache
def _quick() -> Callable[[Mapping[str, Any], Mapping[str, Any]], bool]:
    """The quick look at texts; imported when the first one comes, and once, since every call looks."""
    from masc_plugin_redaction.plain import all_plain

    return all_plain


@lru_cache(maxsize=16)
def _redactor(patterns: tuple[tuple[str, str], ...], allow: tuple[str, ...]) -> Redactor:
    """The redactor of a room's settings; imported and compiled when the first text comes."""
    from masc_plugin_redaction.engine import Redactor

    return Redactor(patterns, allow)
