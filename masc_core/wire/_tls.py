"""TLS of our own, for a server without a proxy in front."""

from __future__ import annotations

import ssl
from pathlib import Path

from masc_core.errors import StartError

__all__ = ["server_context"]


def server_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """A server's context, TLS 1.2 or newer. ``certificate`` has the chain, and the key too where there is no file for it.

    Raises :class:`StartError` for files that are no certificate and its key, or a key that needs a passphrase.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Without a passphrase of ours OpenSSL would ask for one at the terminal.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (OSError, ValueError) as error:
        named = f"{certificate} and {key}" if key is not None else str(certificate)
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        raise StartError(
            message=f"{named} cannot be used for TLS ({reason}); give a PEM certificate chain and its key without passphrase"
        ) from error
    return context
