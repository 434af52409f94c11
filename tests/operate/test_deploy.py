"""What docs/deploy has is what our programs take."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli_support import masc
from docs_support import ROOT, accept

DEPLOY = ROOT / "docs" / "deploy"
VARIABLE = re.compile(r"\$\{(\w+)(?::\?[^}]*)?\}")


def compose(**given: str) -> Any:
    """The compose file with its variables filled in, as a container engine reads it."""
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(VARIABLE.sub(lambda found: given[found[1]], text))


def test_the_services_start_in_an_order_that_ends(tmp_path: Path) -> None:
    services = compose(MASC_CLUSTER_NAME="c", POSTGRES_PASSWORD="p", MASC_PUBLIC_HOST="masc.example.org")["services"]
    assert (DEPLOY / services["masc"]["build"] / "Dockerfile").is_file()
    done: set[str] = set()
    while len(done) < len(services):
        ready = {name for name, service in services.items() if set(service.get("depends_on", {})) <= done}
        assert ready > done, "a circle"
        done = ready
    for service in services.values():
        if service.get("command"):
            accept(service["command"])


def test_its_commands_make_a_room_that_may_be_served(tmp_path: Path, postgres_url: str) -> None:
    """They are run, one after the other and twice, with its environment, on a real database."""
    found = compose(MASC_CLUSTER_NAME=str(tmp_path), POSTGRES_PASSWORD="p", MASC_PUBLIC_HOST="masc.example.org")
    env = {
        **found["services"]["room"]["environment"],
        "MASC_BASE_PATH": str(tmp_path),
        "MASC_POSTGRES_URL": postgres_url,
    }
    for _ in range(2):
        for name in ("schema", "room", "auth"):
            ran = masc(tmp_path, *found["services"][name]["command"][1:], env=env)
            assert ran.status == 0, ran
    assert masc(tmp_path, "auth", "status", "--json", env=env).json["require_token"] is True
    # All that keeps it from serving the world here is that there is no certificate.
    served = found["services"]["masc"]
    ran = masc(tmp_path, *served["command"][1:], env={**env, **{k: served["environment"][k] for k in (
        "MASC_HOST", "MASC_TLS_CERT", "MASC_TLS_KEY")}})  # fmt: skip
    assert (ran.status, "TLS" in ran.err) == (1, True), ran


def test_the_unit_file_is_one_and_its_commands_are_ours(tmp_path: Path) -> None:
    unit = (DEPLOY / "masc.service").read_text(encoding="utf-8")
    commands = [shlex.split(line.partition("=")[2]) for line in unit.splitlines() if line.startswith("ExecStart")]
    assert len(commands) == 2
    for words in commands:
        assert words[0] == "/opt/masc/bin/masc"
        accept(["masc", *words[1:]])
    if (verify := shutil.which("systemd-analyze")) is None:
        if os.environ.get("CI") == "true":
            pytest.fail("systemd-analyze is not installed")
        pytest.skip("systemd-analyze is not installed")
    program = tmp_path / "masc"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copy = tmp_path / "masc.service"
    copy.write_text(unit.replace("/opt/masc/bin/masc", str(program)))
    done = subprocess.run([verify, "verify", "--man=no", str(copy)], capture_output=True, text=True)
    own = [line for line in done.stderr.splitlines() if "masc.service" in line]
    assert (done.returncode, own) == (0, []), done.stderr
