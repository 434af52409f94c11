"""masc serve over TLS, with a certificate of the test's own and a real client."""

from __future__ import annotations

import signal
import ssl
import subprocess
from pathlib import Path

import httpx2 as httpx
import pytest
from cli_support import ENVIRONMENT, masc
from masc_forking import launcher
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client


def certificate(directory: Path, *options: str) -> tuple[Path, Path]:
    """A self-signed certificate for localhost and its key."""
    cert, key = directory / "cert.pem", directory / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert,
         *(options or ("-nodes",))],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


async def test_a_client_that_trusts_the_certificate_speaks_to_it(project: Path, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    command = [
        *launcher(),
        "serve",
        "--project",
        str(project),
        "--port",
        "0",
        "--tls-cert",
        str(cert),
        "--tls-key",
        str(key),
    ]
    with subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            url = process.stderr.readline().strip()
            assert url.startswith("https://127.0.0.1:")
            trusting = ssl.create_default_context(cafile=cert)
            async with httpx.AsyncClient(verify=trusting) as http:
                async with Client(
                    streamable_http_client(f"{url}?agent=claude", http_client=http), cache=None
                ) as client:
                    added = await client.call_tool("masc_add_task", {"title": "Fix login"})
                    assert added.structured_content is not None
                    assert added.structured_content["task"]["created_by"] == "claude"
                health = url.removesuffix("mcp") + "health"
                assert (await http.get(health)).json()["status"] == "ok"
                own = url.removesuffix("/mcp")
                for origin, status in ((own, 200), (own.replace("https", "http"), 403), ("https://evil.example", 403)):
                    assert (await http.get(health, headers={"Origin": origin})).status_code == status
            with pytest.raises(httpx.ConnectError):
                httpx.get(health)
            with pytest.raises(httpx.HTTPError):
                httpx.get(health.replace("https", "http"))
            process.send_signal(signal.SIGTERM)
            assert process.communicate(timeout=20)[1] == ""
            assert process.returncode == 0
        finally:
            if process.poll() is None:
                process.kill()


def test_files_that_will_not_do_stop_the_start(project: Path, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    (tmp_path / "other").mkdir()
    _, other = certificate(tmp_path / "other")
    (tmp_path / "locked").mkdir()
    locked = certificate(tmp_path / "locked", "-passout", "pass:word")
    (tmp_path / "junk").write_text("junk")
    for files in ((cert, other), (tmp_path / "none", key), (tmp_path / "junk", key), locked, (cert, None)):
        given = ["--tls-cert", str(files[0]), *(["--tls-key", str(files[1])] if files[1] else [])]
        ran = masc(project, "serve", "--port", "0", *given)
        assert (ran.status, ran.out) == (1, ""), ran
        assert ran.err.startswith("masc: ")
        assert "cannot be used for TLS" in ran.err
        assert ran.err.count("\n") == 1
    assert masc(project, "serve", "--tls-key", str(key)).status == 2
