"""Made-up secrets of every kind in the places where they turn up. Put together here, so that none stands in a file."""

from __future__ import annotations

import string
from collections.abc import Iterator

from redaction_makers import ALNUM, BASE64, HEX, UPPER, WORD, Maker, Secret
from redaction_services import in_files, services

from masc_core.frozen import frozen


@frozen
class Case:
    """A secret somewhere in a text."""

    secret: Secret
    context: str
    text: str


def _shapes(make: Maker) -> Iterator[Secret]:
    for prefix in ("AK" + "IA", "AS" + "IA"):
        yield Secret(prefix, "aws_key", prefix + make.word(16, UPPER))
    for mark in ("p", "o", "u", "s", "r"):
        yield Secret(f"gh{mark}", "github_token", f"gh{mark}" + "_" + make.word(36))
    yield Secret("gh long", "github_token", "gh" + "p_" + make.word(60))
    yield Secret("github_pat", "github_token", "github" + "_pat_" + make.word(22) + "_" + make.word(59))
    yield Secret("anthropic", "anthropic_key", "sk" + "-ant-" + "api03-" + make.word(93, WORD))
    yield Secret("openai project", "openai_key", "sk" + "-proj-" + make.word(64, WORD))
    yield Secret("openai", "openai_key", "sk" + "-" + make.word(48))
    for prefix in ("xoxa", "xoxb", "xoxp", "xoxr", "xoxs", "xapp"):
        yield Secret(prefix, "slack_token", f"{prefix}-" + make.word(12, string.digits) + "-" + make.word(24))
    yield Secret("google", "google_key", "AI" + "za" + make.word(35, WORD))
    for prefix in ("sk_live", "sk_test", "rk_live", "rk_test", "whsec"):
        yield Secret(prefix, "stripe_key", f"{prefix}_" + make.word(24))
    yield Secret("npm", "npm_token", "np" + "m_" + make.word(36))
    yield Secret("pypi", "pypi_token", "py" + "pi-" + "AgEIcHlwaS5vcmc" + make.word(120, WORD))
    yield Secret("jwt", "jwt", "ey" + "J" + make.word(33) + "." + make.word(60, WORD) + "." + make.word(43, WORD))
    for label in ("RSA ", "EC ", "DSA ", "OPENSSH ", "ENCRYPTED ", ""):
        body = "\n".join(make.word(64, BASE64) for _ in range(4))
        yield Secret(f"pem {label}", "private_key", body, _pem(label, ""))
    yield Secret("pgp", "private_key", make.word(64, BASE64), _pem("PGP ", " BLOCK"))


def _pem(label: str, block: str) -> str:
    line = "-----{} " + label + "PRIVATE" + " KEY" + block + "-----"
    return line.format("BEGIN") + "\n{}\n" + line.format("END")


def _in_context(make: Maker) -> Iterator[Secret]:
    yield Secret("bearer", "bearer", make.word(32, WORD), "Authorization: Bearer {}")
    yield Secret("bearer lower", "bearer", make.word(40) + "==", "authorization: bearer {}")
    for scheme in ("postgres", "postgresql+psycopg", "mysql", "redis", "amqp", "mongodb+srv", "https", "ftp", "smtp"):
        yield Secret(f"url {scheme}", "url_password", make.word(12), scheme + "://app:{}@db.example.test:5432/main")
    yield Secret("url without user", "url_password", make.word(9), "redis://:{}@cache:6379/0")
    yield Secret("url with signs", "url_password", "p@" + make.word(6) + "!:" + make.word(3), "amqp://u:{}@mq/v")
    for label in ("AWS_SECRET_ACCESS_KEY=", "aws_secret_access_key = ", '"awsSecretAccessKey": "', "aws.secret.key: "):
        around = label + "{}" + ('"' if label.endswith('"') else "")
        yield Secret(f"aws {label}", "aws_secret", make.word(40, BASE64), around)
    yield Secret("masc", "masc_token", make.word(64, HEX))


LABELS = {
    "password": ("password", "Passwd", "PWD", "DB_PASSWORD", "userPassword"),
    "api_key": ("api_key", "API-KEY", "apikey", "X-Api-Key"),
    "secret": ("secret", "client_secret", "CLIENT_SECRET", "webhookSecret"),
    "token": ("token", "access_token", "ACCESS_TOKEN", "refreshToken"),
}
FORMS = (
    "{label} = {value}",
    "{label}={value}",
    "{label}: {value}",
    "{label}: '{value}'",
    '{label} = "{value}"',
    '"{label}": "{value}"',
    '{{"n": 1, "{label}":"{value}","m":[2]}}',
    '{{\\"{label}\\": \\"{value}\\"}}',
    "[db]\nuser = app\n{label} = {value}\nport = 5432",
    "export {label}={value}; run",
    "run --{label}={value} --verbose",
    "GET /cb?{label}={value}&state=x",
    "{label} := `{value}`",
    ":{label} => '{value}',",
    "config['{label}'] = '{value}'",
    "login(user='a', {label}='{value}')",
    'const {label}: string = "{value}"',
    "the {label} '{value}' works",
    "**{label}:** `{value}`",
    "{label}:\n{value}\n",
    "{label}: |\n  {value}\n",
    "the {label} “{value}” works",
    "Here is the {label}:\n\n```text\n{value}\n```\n",
    "{label} = (\n    '{value}'\n)",
    "{label}:\n  - {value}\n",
    "{label} = b'it''s {value}'",
)


def _labelled(make: Maker) -> Iterator[Secret]:
    for kind, labels in LABELS.items():
        for i, form in enumerate(FORMS):
            label = labels[i % len(labels)]
            value = make.word(1) + make.word(4 + i, ALNUM + "!#%+.?@^_~-") + make.word(1)
            yield Secret(f"{label} in {form!r}", kind, value, _escaped(form, label))


def _escaped(form: str, label: str) -> str:
    """The form with its label filled in, still to be formatted with the value."""
    braces = form.replace("{label}", label).replace("{value}", "\0")
    return braces.replace("\0", "{}")


PLACES = {
    "alone": "{}",
    "start": "{} is what the deployment used, rotate it",
    "middle": "The deployment used {} yesterday, rotate it.",
    "end": "For the record, the deployment used {}",
    "lines": "first line\n{}\nlast line",
    "log": "2026-03-01T10:00:00.123Z INFO worker[17] sending {} to upstream id=4711",
    "list": "- one\n- {}\n- three",
    "quoted": "he wrote “{}” in the channel",
}


def secrets() -> list[Secret]:
    """Every made-up secret."""
    make = Maker()
    return [*_shapes(make), *_in_context(make), *_labelled(make), *services(make), *in_files(make)]


def cases() -> list[Case]:
    """Every secret in every place; those known by their label stand by themselves or between lines."""
    made = []
    for secret in secrets():
        places = ("alone", "lines") if secret.kind in LABELS else tuple(PLACES)
        made += [Case(secret, place, PLACES[place].format(secret.text)) for place in places]
    return made
