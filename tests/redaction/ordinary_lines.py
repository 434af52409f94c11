"""Lines without secrets: comments and code of the interpreter's own library, this project's files, logs made here."""

from __future__ import annotations

import random
import sysconfig
import uuid
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PROSE = """\
The secret sauce is a small kernel and plugins that nobody has to import.
Please reset your password before Friday; the old ones stop working then.
Where do you keep the API key? Not in the repository, I hope.
An access token is sent with each request, and a refresh token once a day.
It is no secret that the parser is slow; the token stream is copied twice.
Passwords are hashed, tokens are hashed, secrets are never logged.
I printed pwd and was in the wrong directory.
The tokenizer counts 1250 tokens for the minimal mode, which is fine.
Who holds the keys? The api keys page says: three admins.
The bearer of this message knows what to do.
scikit-learn and sk-learn are the same; sk_buff is something else.
The token's lifetime is 24 h; the password's is unlimited.
We chose AKIA as a code name long before we met the cloud.
ghp_ and gho_ are prefixes; a prefix is not a token.
Set password to <your password> and token to ${TOKEN}; the sample has password=changeme.
In the docs it says token=<token>, api_key: "***" and secret: example, leave them.
The URL is https://example.test:8443/a/b?page=2&sort=asc#top and has no user.
Clone ssh://git@example.test:2222/team/repo.git, or git@example.test:team/repo.git.
Prices went from 3.00 to 15.00 USD per million input_tokens.
max_tokens: 4096, stop: null, token_count=123456789, password_hash_rounds: 210000
See BEGIN CERTIFICATE in the bundle; certificates are public.
""".splitlines()


def _library() -> Iterator[str]:
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        yield from path.read_text(encoding="utf-8", errors="replace").splitlines()


def _project() -> Iterator[str]:
    for folder, pattern in (("masc_core", "**/*.py"), ("docs", "*.md"), (".", "*.md")):
        for path in sorted((ROOT / folder).glob(pattern)):
            yield from path.read_text(encoding="utf-8").splitlines()


def _logs() -> Iterator[str]:
    some = random.Random(7)

    def word(alphabet: str, length: int) -> str:
        return "".join(some.choices(alphabet, k=length))

    hexadecimal, base64 = "0123456789abcdef", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    while True:
        number, sha, digest = some.randrange(10**6), word(hexadecimal, 40), word(hexadecimal, 64)
        request = uuid.UUID(int=some.getrandbits(128))
        yield f"2026-02-{number % 28 + 1:02} 12:00:{number % 60:02} INFO request={request} status=200 bytes={number}"
        yield f"commit {sha} (HEAD -> main, tag: v1.{number % 9}.0)"
        yield f"pulled registry.example.test/team/app@sha256:{digest} in {number % 90} s"
        yield f'WARN cache key "{word(base64, 12)}" missed, total tokens: {number}, cost: ${number / 10**6:.4f}'
        yield f"Etag: {word(base64, 44)}= Content-Length: {number} Host: db{number % 7}.example.test:5432"
        yield f'{{"id": "task-{number:06}", "branch": "feature/{word(base64.lower(), 8)}", "input_tokens": {number}}}'
        yield f"  at parse (/srv/app/token.js:{number % 900}:{number % 80}) // next token, then password prompt"


def english() -> list[str]:
    """10,000 lines of English and code comments."""
    comments = (line.strip() for line in _library() if line.lstrip().startswith("#"))
    prose = (line for line in _project() if line and not line.startswith(("    ", "`", "|")))
    return [*PROSE, *islice(prose, 3_000), *islice(comments, 10_000)][:10_000]


def ordinary() -> list[str]:
    """20,000 lines: prose, code, logs."""
    code = (line for line in islice(_library(), 3, None, 8) if line.strip())
    return [*PROSE, *islice(_project(), 5_000), *islice(_logs(), 3_500), *islice(code, 11_500)]
