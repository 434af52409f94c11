"""masc_generate_key: a key to keep somewhere safe."""

from __future__ import annotations

import base64
import os
from typing import Literal

from attrs import field

from masc_core import ADMIN, READ, Context, tool
from masc_core.frozen import frozen
from masc_core.secret_files import Deliver, deliver_secret
from masc_plugin_encryption.sources import KEY_BYTES

__all__ = ["Generated", "masc_generate_key"]


@frozen
class Generated:
    """Result of masc_generate_key; the key, or the file it is in."""

    output: str
    key: str | None = field(default=None, repr=False)
    key_path: str | None = None


@tool(
    effect=READ,
    role=ADMIN,
    idempotent=False,
    limit="general",
    transactional=False,
    examples=({}, {"output": "base64", "deliver": "result"}),
    keywords=(
        "create new fresh random secret key encrypt bytes aes make; generate produce keygen material base64 hex "
        "master vault hand bits show crypto cryptographic later somewhere passphrase entropy"
    ),
)
async def masc_generate_key(
    ctx: Context, output: Literal["hex", "base64"] = "hex", deliver: Deliver | None = None
) -> Generated:
    """Generate a random 32-byte encryption key and hand it out once; it is not kept."""
    raw = os.urandom(KEY_BYTES)
    text = raw.hex() if output == "hex" else base64.b64encode(raw).decode()
    handed = await deliver_secret(ctx, "key", output, text, deliver)
    return Generated(output, handed.value, handed.path)
