"""Secrets are handed out in new files that are nobody else's to read."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from masc_core import ADMIN, READ, Context, tool
from masc_core.frozen import frozen
from masc_core.secret_files import Deliver, Delivered, deliver_secret
from masc_core.testing.app import MascApp, masc_app


@frozen
class Handed:
    path: str | None = None
    value: str | None = None


@tool(effect=READ, role=ADMIN, transactional=False)
async def hand_out(ctx: Context, name: str, deliver: Deliver | None = None) -> Handed:
    """Hand out a secret."""
    delivered = await deliver_secret(ctx, "token", name, "geheim", deliver)
    return Handed(delivered.path, delivered.value)


class Plugin:
    @staticmethod
    def masc_tools(register: object) -> None:
        assert callable(register)
        register(hand_out)


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[MascApp]:
    async with masc_app(tmp_path, backend="sqlite", extra=[("handing", Plugin())]) as app:
        await app.call("masc_init")
        yield app


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_file_holds_the_secret_and_only_its_owner_reads_it(app: MascApp, tmp_path: Path) -> None:
    path = Path((await app.call("hand_out", name="claude"))["path"])
    assert path == tmp_path / ".masc" / "secrets" / "token-claude"
    assert path.read_text() == "geheim\n"
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    assert (await app.call("hand_out", name="claude", deliver="result")) == {"value": "geheim"}
    assert (await app.call("hand_out", name="claude", deliver="file"))["path"] == f"{path}-2"


async def test_names_never_collide_however_many_ask_at_once(app: MascApp) -> None:
    results = await asyncio.gather(*(app.call("hand_out", name="x") for _ in range(30)))
    assert len({result["path"] for result in results}) == 30


@pytest.mark.parametrize("name", ["../../evil", "a/b", "..", "é\n", "x" * 500, "\0"])
async def test_a_name_never_leads_out_of_the_directory(app: MascApp, tmp_path: Path, name: str) -> None:
    path = Path((await app.call("hand_out", name=name if "\0" not in name else "0"))["path"])
    assert path.parent == tmp_path / ".masc" / "secrets"
    assert path.is_file()


async def test_links_are_not_followed(app: MascApp, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / ".masc" / "secrets").symlink_to(outside)
    assert (await app.error("hand_out", name="x"))["code"] == "storage_unavailable"
    assert list(outside.iterdir()) == []
    (tmp_path / ".masc" / "secrets").unlink()
    (tmp_path / ".masc" / "secrets").mkdir(mode=0o755)
    (tmp_path / ".masc" / "secrets" / "token-x").symlink_to(outside / "target")
    path = Path((await app.call("hand_out", name="x"))["path"])
    assert path.name == "token-x-2"
    assert mode(path.parent) == 0o700
    assert list(outside.iterdir()) == []


async def test_a_withdrawn_secret_is_gone(app: MascApp) -> None:
    path = (await app.call("hand_out", name="x"))["path"]
    delivered = Delivered(path=path)
    await delivered.withdraw()
    await delivered.withdraw()
    assert not Path(path).exists()
    await Delivered(value="geheim").withdraw()
    assert "geheim" not in repr(Delivered(value="geheim"))
