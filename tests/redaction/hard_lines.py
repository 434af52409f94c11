"""Lines that look as if they held secrets and hold none: code that handles them, hashes, ids, documentation, placeholders."""

from __future__ import annotations

import base64
import random
import uuid
from collections.abc import Iterator

WRITTEN = r"""
password = getpass()
password = getpass.getpass("Password: ")
password: str
password: str | None = None
token: str
token: Optional[str] = None
def login(user: str, password: str) -> Session:
def refresh(self, token: str, *, secret: bytes | None = None) -> str:
token = get_token(request)
token = await self.tokens.create(agent_name=agent, role=role)
token = request.headers["X-Auth-Token"]
token = os.environ["GITHUB_TOKEN"]
token = os.environ.get("GITHUB_TOKEN")
token = os.getenv("GITHUB_TOKEN", "")
const token = process.env.NPM_TOKEN;
const token = localStorage.getItem("token");
let password = document.getElementById("password").value;
self.password = password
self._token = token
self.secret = self.settings.secret
api_key = settings.api_key
api_key=config.api_key,
client = Client(token=token, secret=secret)
client = OpenAI(api_key=os.environ["OPENAI_API_KEY"])
password=args.password, token=args.token
if token == "":
if password != confirm_password:
if (token == null || token === undefined) return;
return {"token": token, "expires": expires}
{"password": password, "username": username}
this.token = token;
this.password = null;
private String password;
private final String token;
var token = await tokenService.GetTokenAsync(cancellationToken);
String password = System.getenv("DB_PASSWORD");
String token = request.getHeader("Authorization");
token := r.Header.Get("Authorization")
token, err := jwt.Parse(raw, keyFunc)
password := os.Getenv("DB_PASSWORD")
secret, err := client.Secrets(ns).Get(ctx, name, opts)
let token = env::var("TOKEN")?;
let password = rpassword::prompt_password("Password: ")?;
$password = $_POST['password'];
$token = bin2hex(random_bytes(32));
password = params[:password]
password: <%= ENV["DB_PASSWORD"] %>
password: {{ .Values.db.password }}
password: {{ db_password }}
token: ${{ secrets.GITHUB_TOKEN }}
token: ${GITHUB_TOKEN}
token: $GITHUB_TOKEN
token: $(cat /run/secrets/token)
export TOKEN=$(vault read -field=token auth/token)
export GITHUB_TOKEN="$(gh auth token)"
export DB_PASSWORD="$DB_PASSWORD"
set TOKEN=%GITHUB_TOKEN%
curl -H "Authorization: Bearer $TOKEN" https://api.example.test/v1
curl -H "Authorization: Bearer ${TOKEN}" https://api.example.test/v1
curl -H "Authorization: Bearer <your-token>" https://api.example.test/v1
curl -u "$USER:$PASSWORD" https://api.example.test/v1
headers = {"Authorization": f"Bearer {token}"}
headers = {"Authorization": "Bearer " + token}
headers: { Authorization: `Bearer ${token}` }
"Authorization": "Token " + os.environ["API_TOKEN"],
Authorization: Bearer <token>
Authorization: Bearer YOUR_TOKEN
Authorization: Bearer xxxxxxxxxxxxxxxxxxxx
api_key: YOUR_API_KEY
api_key = "your-api-key"
api_key: "<your-api-key>"
OPENAI_API_KEY=sk-...
OPENAI_API_KEY=your_key_here
ANTHROPIC_API_KEY=sk-ant-xxxxxxxxxxxxxxxxxxxxxxxx
STRIPE_KEY=sk_test_xxxxxxxxxxxxxxxxxxxxxxxx
token=xxxxxxxx
token=xxxx-xxxx-xxxx
password=********
password: "********"
password: '...'
password: [REDACTED]
password=<redacted>
password=(hidden)
token: null
token: None
token: undefined,
secret: false
secret: required
"password": null,
"password": {"type": "string", "minLength": 8}
"token": {"type": "string", "pattern": "^[0-9a-f]{64}$"}
password VARCHAR(255) NOT NULL,
token TEXT PRIMARY KEY,
token: text("token").notNull().unique(),
password: z.string().min(8),
password: yup.string().required(),
password = models.CharField(max_length=128)
password = serializers.CharField(write_only=True)
password: Mapped[str] = mapped_column(String(128))
token: Annotated[str, Depends(oauth2_scheme)]
token: Callable[[], Awaitable[str]]
token: Token
token: JwtPayload;
token?: string;
token: string;
password!: string;
secret: Buffer,
secret: Secret<String>,
pub token: String,
pub password: Option<String>,
token *string
token: lexer.Token
token = tokens[i + 1]
token = self.next_token()
token = next(tokens)
next_token: 42
token_type: bearer
token_count: 123456, max_tokens=4096, total_tokens: 2000000
tokens: 1048576
input_tokens=123456 output_tokens=654321
parse error: unexpected token: identifier
SyntaxError: Unexpected token '<', "<!DOCTYPE "... is not valid JSON
SyntaxError: Unexpected token: punctuator (,)
Unexpected token: expected ';' but found 'return'
unexpected token `newline`
error: invalid password: must be at least 8 characters
Error: invalid token: signature has expired
error: token: expired, please log in again
WARN token: missing, falling back to anonymous
Enter password:
Password for user app:
Password (again):
fatal: could not read Password for 'https://git.example.test': No such device or address
Please enter the password: it was mailed to you yesterday.
The secret: start early and test often.
The secret: simplicity.
Every request needs a token: without one the server answers 401.
Pass the API key: the header is described below.
Use --token TOKEN or --password PASSWORD to log in.
  --password PASSWORD   the password to use
  --token <token>       a token
  --token string        token for the API server
  --secret-key FILE     read the key from FILE
  --password-file PATH  read the password from a file
masc serve --max-tokens 4096 --agent claude
masc auth token claude --role reader
docker run -u 1000:1000 -e TOKEN app
docker login --username app --password-stdin
psql postgres://localhost:5432/app
psql "postgresql://${DB_USER}:${DB_PASSWORD}@db/app"
postgres://user:password@localhost is what the sample says, so change it.
DATABASE_URL=postgres://<user>:<password>@<host>/<db>
git clone git@github.com:acme/app.git && git remote add up ssh://git@github.com/acme/app.git
https://example.test/login?next=/a&token_type=bearer
https://example.test/reset?token={token}
https://example.test/reset?token=:token
- uses: actions/checkout@b4ffde65f46336ab88eb53be808477a3936bae11
from passlib.hash import bcrypt
import { token } from "./token";
from .tokens import Token, TokenKind
class PasswordHasher(Protocol):
assert response.json()["token"] == token
expect(screen.getByLabelText("Password")).toBeInTheDocument()
<input type="password" name="password" placeholder="Password">
<label for="password">Password:</label>
<label>Password</label><input name="token">
<token>identifier</token>
<summary>Secret handling</summary>
-----BEGIN CERTIFICATE-----
-----BEGIN PUBLIC KEY-----
ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGx0bW9zdG9mdGhlc2V3b3Jkc2FyZXB1Ymxp app@example.test
Cookie: the browser sends it by itself.
Set-Cookie headers are listed below
cookie: SimpleCookie = SimpleCookie()
const cookie = req.cookies[name];
basic authentication is the default; Basic understanding suffices
Basic usage: see documentation/authentication-overview.
Authorization: see documentation/authorization-overview.
auth: authenticated
oauth: enabled
author: somebody
authority: certificate
key: value
keyboard: qwertyuiop
primary_key=True, foreign_key: customers.id
access key: see above
sort_key=lambda item: item.name
cache_key = f"{prefix}:{name}"
partition_key: customer_id
storage_key = storage.key(name)
key-value pairs, key-by-key comparison, monkey-patching
a sk-learn pipeline, risk-free, disk-based, task-driven, ask-me-anything
npm_config_registry=https://registry.npmjs.org/
github_pattern = re.compile(pattern)
hooks.slack.com is blocked by the proxy
discord.com/api/webhooks is documented upstream
webhook_url: https://example.test/hooks/build
AccountName=acme;EndpointSuffix=core.windows.net
data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk
""".strip("\n").splitlines()


def hard() -> list[str]:
    """All written lines, and thousands made from ids, hashes, lock files, traces and minified code."""
    return [*WRITTEN, *_made(random.Random(11), 1_500)]


def _made(some: random.Random, rounds: int) -> Iterator[str]:
    def digits(length: int, alphabet: str = "0123456789abcdef") -> str:
        return "".join(some.choices(alphabet, k=length))

    def blob(length: int) -> str:
        return base64.b64encode(some.randbytes(length)).decode()

    for n in range(rounds):
        unique = uuid.UUID(int=some.getrandbits(128), version=4)
        yield f"2026-03-{n % 28 + 1:02}T10:00:00.{n % 1000:03}Z INFO request_id={unique} session_id={digits(32)} user_id={n}"
        yield f"{digits(7)} {digits(40)} refs/heads/feature-{digits(8)}"
        yield f'    "integrity": "sha512-{blob(64)}",'
        yield f'    {{file = "app-1.{n}-py3-none-any.whl", hash = "sha256:{digits(64)}"}},'
        yield f"golang.org/x/net v0.{n}.0 h1:{blob(32)}"
        yield f'checksum = "{digits(64)}"'
        yield f'<img src="data:image/png;base64,{blob(60)}" alt="chart {n}">'
        yield f'  File "/srv/app/auth/token.py", line {n}, in verify_password\n    raise InvalidToken(token)'
        yield f"    at Object.<anonymous> (/srv/app/node_modules/jsonwebtoken/verify.js:{n}:{n % 80})"
        yield f'!function(e,t){{var n={n},r=e.token,o=t.password;return r&&o?i(r,o):null}}(this,{{a:"{digits(12)}"}})'
        yield f'GET /static/js/main.{digits(8)}.chunk.js HTTP/1.1 200 {n} "https://example.test/a?b={digits(16)}"'
        yield f'trace_id={digits(32)} span_id={digits(16)} etag=W/"{digits(40)}" md5={digits(32)}'
        yield f"https://cdn.example.test/{unique}/{blob(24).replace('/', '_')}.woff2?v={digits(20)}"
        yield f"arn:aws:iam::{n:012}:role/deploy and s3://acme-{digits(12)}/{digits(40)}.tar.gz"
        yield f"task-{n:03} vote-{n:03} fence 1{n} audit head {digits(64)}"
