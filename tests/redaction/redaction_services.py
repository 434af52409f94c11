"""Made-up credentials of services that mark theirs, and of files and headers that hold them."""

from __future__ import annotations

import base64
import string
from collections.abc import Iterator

from redaction_makers import ALNUM, BASE64, HEX, UPPER, WORD, Maker, Secret

LOWER = string.ascii_lowercase + string.digits
DIGITS = string.digits
BY_PREFIX = (
    ("gitlab_token", "gl" + "pat-", WORD, 20),
    ("gitlab_token", "gl" + "dt-", WORD, 20),
    ("gitlab_token", "gl" + "rt-", WORD, 20),
    ("gitlab_token", "gl" + "ptt-", HEX, 40),
    ("gitlab_token", "gl" + "cbt-", WORD, 26),
    ("huggingface_token", "h" + "f_", ALNUM, 34),
    ("docker_token", "dckr" + "_pat_", WORD, 27),
    ("digitalocean_token", "dop" + "_v1_", HEX, 64),
    ("digitalocean_token", "doo" + "_v1_", HEX, 64),
    ("digitalocean_token", "dor" + "_v1_", HEX, 64),
    ("google_oauth", "GOC" + "SPX-", WORD, 28),
    ("google_oauth", "ya" + "29.", WORD, 120),
    ("google_oauth", "1/" + "/0", WORD, 60),
    ("openai_key", "sk-" + "svcacct-", WORD, 60),
    ("openai_key", "sk-" + "admin-", WORD, 60),
    ("openai_key", "sk-" + "None-", WORD, 48),
    ("anthropic_key", "sk-" + "ant-admin01-", WORD, 80),
    ("openrouter_key", "sk-" + "or-v1-", HEX, 64),
    ("groq_key", "gs" + "k_", ALNUM, 52),
    ("replicate_key", "r" + "8_", ALNUM, 37),
    ("xai_key", "xa" + "i-", ALNUM, 80),
    ("perplexity_key", "pp" + "lx-", ALNUM, 48),
    ("langsmith_key", "lsv" + "2_pt_", HEX, 32),
    ("slack_token", "xo" + "xe-1-", ALNUM, 140),
    ("slack_token", "xo" + "xe.xoxp-1-", ALNUM, 140),
    ("slack_token", "xo" + "xc-", DIGITS, 40),
    ("slack_token", "xo" + "xd-", ALNUM, 60),
    ("twilio_key", "S" + "K", HEX, 32),
    ("mailgun_key", "ke" + "y-", HEX, 32),
    ("vault_token", "hv" + "s.", WORD, 90),
    ("vault_token", "hv" + "b.", WORD, 140),
    ("shopify_token", "shp" + "at_", HEX, 32),
    ("shopify_token", "shp" + "ss_", HEX, 32),
    ("shopify_token", "shp" + "ca_", HEX, 32),
    ("square_token", "sq0" + "atp-", WORD, 22),
    ("square_token", "sq0" + "csp-", WORD, 43),
    ("square_token", "EA" + "AAE", WORD, 59),
    ("databricks_token", "da" + "pi", HEX, 32),
    ("newrelic_key", "NR" + "AK-", UPPER, 27),
    ("newrelic_key", "NR" + "II-", WORD, 32),
    ("grafana_token", "gl" + "c_", BASE64, 60),
    ("linear_key", "lin" + "_api_", ALNUM, 40),
    ("notion_token", "nt" + "n_", ALNUM, 46),
    ("notion_token", "secret" + "_", ALNUM, 43),
    ("atlassian_token", "ATA" + "TT3xFfGF0", WORD, 160),
    ("heroku_key", "HRK" + "U-", WORD, 60),
    ("pulumi_token", "pu" + "l-", HEX, 40),
    ("doppler_token", "dp" + ".pt.", ALNUM, 43),
    ("postman_key", "PM" + "AK-", HEX, 59),
    ("rubygems_key", "ruby" + "gems_", HEX, 48),
    ("planetscale_token", "pscale" + "_tkn_", WORD, 43),
    ("supabase_key", "sb" + "p_", HEX, 40),
    ("figma_token", "fig" + "d_", WORD, 40),
    ("sonar_token", "sq" + "p_", HEX, 40),
    ("netlify_token", "nf" + "p_", ALNUM, 36),
    ("jfrog_key", "AK" + "Cp8", ALNUM, 69),
    ("dynatrace_token", "dt0" + "c01.", UPPER[:26] + "234567", 24),
    ("airtable_token", "pat" + "Zq8kD2mW4xLb1p.", HEX, 64),
    ("openai_key", "sk" + "-", HEX, 32),
    ("service_token", "tsk" + "ey-auth-", ALNUM, 40),
    ("service_token", "CCI" + "PAT_", ALNUM, 60),
    ("service_token", "CF" + "PAT-", WORD, 43),
    ("service_token", "EA" + "AC", ALNUM, 120),
    ("service_token", "pc" + "sk_", ALNUM, 60),
    ("service_token", "tv" + "ly-", ALNUM, 32),
    ("service_token", "nv" + "api-", WORD, 64),
    ("service_token", "ph" + "x_", ALNUM, 43),
    ("service_token", "bk" + "ua_", HEX, 40),
    ("age_key", "AGE-" + "SECRET-KEY-1", UPPER, 58),
    ("stripe_key", "sk_" + "live_", ALNUM, 99),
    ("github_token", "ghs" + "_", ALNUM, 36),
)
"""Kind, what every credential of it begins with, and alphabet and length of the rest."""


def services(make: Maker) -> Iterator[Secret]:
    """Credentials that are known by their shape."""
    for kind, prefix, alphabet, length in BY_PREFIX:
        # No service begins or ends a token with a dash.
        ends = "".join(filter(str.isalnum, alphabet))
        yield Secret(prefix, kind, prefix + make.word(1, ends) + make.word(length - 2, alphabet) + make.word(1, ends))
    yield Secret("aws long", "aws_key", "AB" + "IA" + make.word(16, UPPER[:26] + "234567"))
    yield Secret("grafana service", "grafana_token", "gl" + "sa_" + make.word(32) + "_" + make.word(8, HEX))
    yield Secret("sendgrid", "sendgrid_key", "S" + "G." + make.word(22, ALNUM) + "." + make.word(43, ALNUM))
    yield Secret("mailchimp", "mailchimp_key", make.word(32, HEX) + "-us" + "14")
    yield Secret("telegram", "telegram_token", "8" + make.word(9, DIGITS) + ":A" + "A" + make.word(33))
    yield Secret("discord", "discord_token", "M" + make.word(25) + "." + make.word(6) + "." + make.word(38))
    yield Secret("terraform", "terraform_token", make.word(14) + ".atlas" + "v1." + make.word(67))
    yield Secret("newrelic ingest", "newrelic_key", make.word(36, HEX) + "NR" + "AL")
    yield Secret("cloudflare ca", "cloudflare_key", "v1" + ".0-" + make.word(24, HEX) + "-" + make.word(146, HEX))
    yield Secret("azure client", "azure_key", make.word(3) + "8Q" + "~" + make.word(34))
    yield from _webhooks(make)
    yield from _private_keys(make)
    yield from _azure(make)


def _webhooks(make: Maker) -> Iterator[Secret]:
    slack = f"T{make.word(8, UPPER)}/B{make.word(10, UPPER)}/{make.word(24)}"
    yield Secret("slack webhook", "webhook", slack, "https://hooks.slack" + ".com/services/{}")
    for host in ("discord", "discordapp", "canary.discord"):
        path = make.word(18, DIGITS) + "/" + make.word(68)
        yield Secret(f"{host} webhook", "webhook", path, f"https://{host}" + ".com/api/webhooks/{}")
    teams = f"{make.word(8, HEX)}@{make.word(8, HEX)}/IncomingWebhook/{make.word(32, HEX)}/{make.word(36, HEX)}"
    yield Secret("teams webhook", "webhook", teams, "https://acme.webhook.office" + ".com/webhookb2/{}")


def _private_keys(make: Maker) -> Iterator[Secret]:
    rule = "-" * 5
    begin, end = f"{rule}BEGIN {{}}PRIVATE" + f" KEY{rule}", f"{rule}END {{}}PRIVATE" + f" KEY{rule}"
    for label in ("RSA ", "OPENSSH ", "EC ", ""):
        body = "\\n".join(make.word(64, BASE64) for _ in range(3))
        one_line = begin.format(label) + "\\n{}\\n" + end.format(label) + "\\n"
        yield Secret(f"one line {label}", "private_key", body, one_line)
    ssh2 = (
        "---- " + "BEGIN SSH2 ENCRYPTED PRIVATE" + " KEY ----\n{}\n---- " + "END SSH2 ENCRYPTED PRIVATE" + " KEY ----"
    )
    yield Secret("ssh2", "private_key", make.word(64, BASE64), ssh2)
    putty = "PuTTY-User-" + "Key-File-3: ssh-ed25519\nEncryption: none\nPrivate-" + "Lines: 1\n{}\nPrivate-MAC: 00ff"
    yield Secret("putty", "private_key", make.word(64, BASE64), putty)
    pem = f"{begin.format('EC ')}\n{make.word(60, BASE64)}\n{end.format('EC ')}\n"
    yield Secret("kubeconfig", "private_key", base64.b64encode(pem.encode()).decode(), "client-key-data: {}")


def _azure(make: Maker) -> Iterator[Secret]:
    key = make.word(86, BASE64) + "=="
    storage = "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey={};EndpointSuffix=core.windows.net"
    yield Secret("azure storage", "azure_key", key, storage)
    bus = "Endpoint=sb://acme.servicebus.windows.net/;SharedAccessKeyName=root;SharedAccessKey={}"
    yield Secret("azure bus", "azure_key", make.word(43, BASE64) + "=", bus)
    sas = "https://acme.blob.core.windows.net/c/f?sv=2024-05-04&st=2026-01-01&sp=r&sig={}"
    yield Secret("azure sas", "azure_key", make.word(40) + "%2B" + make.word(2) + "%3D", sas)


def _service_account() -> str:
    rule = "-" * 5
    begin, end = f"{rule}BEGIN PRIVATE" + f" KEY{rule}", f"{rule}END PRIVATE" + f" KEY{rule}"
    return '{{"type": "service_account", "private_key": "' + begin + "\\n{}\\n" + end + '\\n", "client_id": "1"}}'


def in_files(make: Maker) -> Iterator[Secret]:
    """Credentials that are known by the header, the file or the option they stand in."""

    def basic(length: int) -> str:
        return base64.b64encode(f"app:{make.word(length)}".encode()).decode()

    yield Secret("basic header", "basic_auth", basic(12), "Authorization: Basic {}")
    yield Secret("basic proxy", "basic_auth", basic(14), "proxy-authorization: basic {}")
    yield Secret("basic json", "basic_auth", basic(16), '{{"Authorization": "Basic {}"}}')
    yield Secret("basic curl", "basic_auth", basic(10), "curl -H 'Authorization: Basic {}' https://api.example.test")
    yield Secret("docker config", "basic_auth", basic(20), '{{"auths": {{"registry.example.test": {{"auth": "{}"}}}}}}')
    yield Secret("npmrc _auth", "basic_auth", basic(20), "//npm.example.test/:_auth={}")
    yield Secret("npmrc", "token", make.word(40), "//npm.example.test/:_authToken={}")
    yield Secret("header token", "authorization", make.word(40, HEX), "Authorization: Token {}")
    yield Secret("header apikey", "authorization", make.word(40), "authorization: ApiKey {}")
    yield Secret("header raw", "authorization", make.word(40), '"Authorization": "{}"')
    cookie = f"sid={make.word(32)}; theme={make.word(5)}; csrf={make.word(20)}"
    yield Secret("cookie", "cookie", cookie, "Cookie: {}")
    yield Secret("set-cookie", "cookie", make.word(40), "Set-Cookie: sessionid={}; HttpOnly; Path=/")
    yield Secret("set-cookie json", "cookie", make.word(40), '{{"set-cookie": "sid={}; Secure"}}')
    for name in ("PHPSESSID", "JSESSIONID", "connect.sid", "sessionid"):
        yield Secret(f"session {name}", "cookie", make.word(32), f"GET /a {name}={{}} 200")
    yield Secret("netrc", "password", make.word(12), "machine git.example.test login app password {}")
    netrc = "machine git.example.test\n  login app\n  password {}\n"
    yield Secret("netrc lines", "password", make.word(12), netrc)
    yield Secret("curl -u", "password", make.word(12), "curl -u app:{} https://example.test/")
    yield Secret("curl --user", "password", make.word(12), "curl -sS --user app:{} https://example.test/")
    yield Secret("sshpass", "password", make.word(10), "sshpass -p {} ssh app@example.test")
    for flag, kind in (
        ("password", "password"),
        ("token", "token"),
        ("api-key", "api_key"),
        ("client-secret", "secret"),
    ):
        yield Secret(f"--{flag}", kind, make.word(16), f"deploy --verbose --{flag} {{}} --region eu")
    yield Secret(
        "service account", "private_key", f"{make.word(64, BASE64)}\\n{make.word(64, BASE64)}", _service_account()
    )
    yield Secret("sentry", "sentry_dsn", make.word(32, HEX), "https://{}@o4501.ingest.sentry.io/4502")
    yield Secret("jdbc", "password", make.word(14), "jdbc:postgresql://db.example.test/app?user=app&password={}")
    yield Secret("odbc", "password", make.word(14), "Server=db.example.test;Database=app;User Id=app;Password={};")
    yield Secret(
        "dsn", "password", make.word(14), "host=db.example.test dbname=app user=app password={} sslmode=require"
    )
    for name in ("DB_PASS", "SMTP_PASS", "SSH_PASSPHRASE", "passphrase", "REDIS_PASS"):
        yield Secret(f"{name} env", "password", make.word(12), f"{name}={{}}")
    for name in ("ACCESS_KEY", "encryption_key", "SIGNING_KEY", "storage_key", "secret_key_base"):
        kind = "secret" if name.startswith("secret") else "api_key"
        yield Secret(f"{name} env", kind, make.word(32), f"{name}: {{}}")
    yield Secret("heroku env", "api_key", "0f3a6c1e-77d2-4b1c-9a5e-3d2b8c4f6a01", "HEROKU_API_KEY={}")
    yield Secret("cloudflare env", "token", make.word(40, WORD[:-2]), "CLOUDFLARE_API_TOKEN={}")
    yield Secret("datadog env", "api_key", make.word(32, HEX), "DD_API_KEY={}")
    yield Secret("twilio env", "token", make.word(32, HEX), 'TWILIO_AUTH_TOKEN="{}"')
    yield Secret("powershell", "password", make.word(14), '$env:DB_PASSWORD = "{}"')
    yield Secret("dockerfile", "password", make.word(14), "ENV APP_PASSWORD {}")
    yield Secret("kubernetes env", "password", make.word(14), "- name: DB_PASSWORD\n  value: {}")
    yield Secret("terraform variable", "secret", make.word(20), 'client_secret = "{}"')
    yield Secret("properties", "password", make.word(14), "spring.datasource.password={}")
    yield Secret("json pass", "password", make.word(14), '{{"auth": {{"user": "app", "pass": "{}"}}}}')
    yield Secret("xml", "password", make.word(14), "<password>{}</password>")
    yield Secret("xml attribute", "password", make.word(14), '<user name="app" password="{}"/>')
    yield Secret("query", "api_key", make.word(32), "https://api.example.test/v1?q=1&api_key={}&page=2")
    yield Secret("header x-api-key", "api_key", make.word(32), "-H 'x-api-key: {}'")
    yield Secret("header x-auth", "token", make.word(32), "X-Auth-Token: {}")
    yield Secret("private-token", "token", make.word(20), "PRIVATE-TOKEN: {}")
