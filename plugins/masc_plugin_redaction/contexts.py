"""Credentials that are known by the header, the address, the file or the command they stand in.

Every finder takes time linear in the text: a repeat either has an end, or swallows what it looked at whether it matched
or not, so that nothing is looked at again (possessive ``++`` and ``*+`` never give back).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from masc_plugin_redaction.shapes import Shape, Span, compiled, pattern
from masc_plugin_redaction.stand_ins import is_placeholder

__all__ = ["CONTEXTS"]

_ANY_CASE = re.ASCII | re.IGNORECASE
_AWS_SECRET = r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{40}(?![A-Za-z0-9+/=])"
_BLOCKS = (
    # RFC 7468 and OpenPGP; SSH2 (RFC 4716) has four dashes and a blank.
    (
        r"-{4,5} ?BEGIN [^\n-]{0,64}?PRIVATE KEY[^\n-]{0,16}-{4,5}",
        r"-{4,5} ?END [^\n-]{0,64}?PRIVATE KEY[^\n-]{0,16}-{4,5}",
    ),
    (r"PuTTY-User-Key-File-\d:", r"Private-MAC: ?[0-9a-f]{0,128}"),
)
_ENCODED_PEM = r"LS0tLS1CRUdJTi[A-Za-z0-9+/]{20,}+"
_PART = r"[A-Za-z0-9_-]"
# Two more parts where it is encrypted (RFC 7516).
_JWT = rf"eyJ(?:({_PART}{{7,}}+\.{_PART}{{10,}}+\.{_PART}{{10,}}+)(?:\.{_PART}++){{0,2}}|{_PART}*+)"
_AUTHORITY = r"(?<=[A-Za-z0-9+.-])://([^\s/?#\"'<>`\\]*+)"
_REST_OF_USER = re.compile(r"[^\s\"'<>`@]{0,100}@")
_SAMPLES = frozenset(("password", "passwd", "pass", "PASSWORD", "PASS"))
_TOKEN_FOR_USER = re.compile(r"[A-Za-z0-9_-]{30,}+\Z")
_IS = r"[\"'\\`]{0,4}[ \t]{0,8}[:=][ \t]{0,8}[\"'\\`]{0,4}"
_PAIR = r"[^\s=;,:\"'\\]{1,64}=[^\s;,\"'\\]{4,}+"
_SESSION = r"(?:PHPSESSID|[JP]SESSIONID|connect\.sid|ASP\.NET_SessionId|sessionid|laravel_session)"


def _aws_secrets(text: str) -> Iterator[Span]:
    for match in compiled(_AWS_SECRET, re.ASCII).finditer(text):
        before = text[max(0, match.start() - 120) : match.start()]
        label = before.rstrip(" \t\r\n\"'`\\=:>|")
        between = before[len(label) :]
        label = re.split(r"[^\w .\-\"'\]\[]", label.lower())[-1]
        said = between.strip() or label.endswith(("secret", "key"))
        if said and "aws" in label and "secret" in label:
            yield match.span()


def _private_keys(text: str) -> Iterator[Span]:
    """A block from its BEGIN line to its END line, or to the end of the text; one that is base64 once more, as in a
    kubeconfig."""
    for begin, end in _BLOCKS:
        at = 0
        while opening := compiled(begin).search(text, at):
            closing = compiled(end).search(text, opening.end())
            at = closing.end() if closing else len(text)
            yield opening.start(), at
    for match in compiled(_ENCODED_PEM).finditer(text):
        head = match[0][:84]
        if b"PRIVATE KEY" in base64.b64decode(head[: len(head) // 4 * 4]):
            yield match.span()


def _jwts(text: str) -> Iterator[Span]:
    for match in compiled(_JWT).finditer(text):
        if match.start(1) >= 0:
            yield match.span()


def _url_passwords(text: str) -> Iterator[Span]:
    for match in compiled(_AUTHORITY).finditer(text):
        start, end = match.span(1)
        colon = text.find(":", start, end)
        if colon < 0:
            at = text.find("@", start, end)
            if _TOKEN_FOR_USER.match(text, start, max(at, start)):
                yield start, at
            continue
        at = text.rfind("@", colon, end)
        # A password that holds / ? or # unescaped; what looks like a port is one.
        if at < 0 and not text[colon + 1 : end].isdigit() and (rest := _REST_OF_USER.match(text, end)):
            at = rest.end() - 1
        if at > colon + 1 and not is_placeholder(text[colon + 1 : at]) and text[colon + 1 : at] not in _SAMPLES:
            yield colon + 1, at


def _is_no_basic(value: str) -> bool:
    """It is not base64 of ``user:password`` (RFC 7617)."""
    try:
        user, colon, password = base64.b64decode(value + "=" * (-len(value) % 4), validate=True).partition(b":")
        return not (colon and user and password and (user + password).decode().isprintable())
    except (binascii.Error, UnicodeDecodeError):
        return True


def _has_no_digit(value: str) -> bool:
    return not any(c.isdigit() for c in value)


def _is_no_password(value: str) -> bool:
    return value.isdigit() or is_placeholder(value)


CONTEXTS: tuple[Shape, ...] = (
    Shape("aws_secret", ("aws",), _aws_secrets),
    Shape("private_key", ("private key", "putty-user-key-file", "ls0tls1crudjti"), _private_keys),
    Shape("bearer", ("bearer",), pattern(r"bearer[ \t]{1,8}([\w.~+/-]{16,}+={0,2})", _ANY_CASE)),
    Shape("jwt", ("eyj",), _jwts),
    Shape("url_password", ("://",), _url_passwords),
    Shape(
        "basic_auth",
        ("basic ", "auth"),
        pattern(rf"(?:basic[ \t]{{1,8}}|auth{_IS})([A-Za-z0-9+/]{{8,}}+={{0,2}})", _ANY_CASE, _is_no_basic),
    ),
    Shape(
        "authorization",
        ("authorization",),
        pattern(
            rf"authorization{_IS}(?:[A-Za-z][\w-]{{0,30}}[ \t]{{1,4}})?([\w.~+/-]{{16,}}+={{0,2}})",
            _ANY_CASE,
            _has_no_digit,
        ),
    ),
    Shape(
        "cookie",
        ("cookie", "sess", "connect.sid"),
        pattern(
            rf"(?:set-cookie2?{_IS}[^\s=;,:\"'\\]{{1,64}}=(?=([^\s;,\"'\\]{{8,}}+))"
            rf"|(?:(?<![\w-])|(?<=\\[nrt]))cookie{_IS}(?=({_PAIR}(?:;[ \t]{{0,4}}{_PAIR})*+))"
            rf"|{_SESSION}=(?=([^\s;,&\"'\\]{{16,}}+)))",
            _ANY_CASE,
        ),
    ),
    Shape(
        "password",
        ("curl", "sshpass", "mysql"),
        pattern(
            r"(?:curl\b[^\n]{0,300}?[ \t](?:-u|--user|--proxy-user)[ \t=]{0,4}[\"']?[\w.@-]{1,64}:"
            r"|sshpass[ \t]{1,4}-p[ \t]{0,4}[\"']?|mysql\w{0,8}\b[^\n|;&]{0,200}?[ \t]-p)([^\s\"'`<>$|;&]{6,}+)",
            re.ASCII,
            _is_no_password,
        ),
    ),
)
"""Their hints are in lower case, for a text in lower case."""
