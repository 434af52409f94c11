"""Keys: their formats, their sources, how they wrap, and that they never show."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from masc_core.store.sealing import Encryption, Stretching
from masc_plugin_encryption import sources
from masc_plugin_encryption.changes import Master
from masc_plugin_encryption.errors import EncryptionKeyInvalid, EncryptionKeyMissing, EncryptionKeyWrong
from masc_plugin_encryption.locksmith import Locksmith
from masc_plugin_encryption.sources import Sources, new_stretching, parse_key
from masc_plugin_encryption.wrapping import check_of, fits, new_key, unwrap, wrap

RAW = bytes(range(224, 256))


@given(raw=st.binary(min_size=32, max_size=32))
@example(raw=b"\xff" * 32)
def test_every_allowed_way_of_writing_a_key_is_read(raw: bytes) -> None:
    standard, url_safe = base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()
    assert len(standard) == 44
    for text in (raw.hex(), raw.hex().upper(), standard, standard[:-1], url_safe, url_safe[:-1]):
        assert parse_key(text, "env") == raw


@pytest.mark.parametrize(
    "text",
    [
        "0123456789abcdef0123456789abcdef",  # 32 raw characters
        "x" * 32,
        RAW.hex()[:-1],
        RAW.hex() + "0",
        RAW.hex() + "\n",
        " " + RAW.hex(),
        "0x" + RAW.hex()[2:],
        "g" * 64,
        "٠" * 64,  # digits, but not those of hex
        base64.b64encode(RAW).decode() + "=",
        base64.b64encode(RAW).decode()[:-2],
        base64.b64encode(RAW[:31]).decode(),
        base64.b64encode(RAW + b"x").decode(),
        "-/" + "A" * 41,  # both alphabets at once
        "A" * 42 + "==",
        "swordfish",
    ],
)
def test_everything_else_is_invalid_and_not_repeated(text: str) -> None:
    with pytest.raises(EncryptionKeyInvalid) as caught:
        parse_key(text, "env")
    assert caught.value.details["source"] == "MASC_ENCRYPTION_KEY"
    assert text.strip() not in str(caught.value.as_dict())


async def test_an_absent_or_empty_variable_is_missing() -> None:
    for environ in ({}, {"MASC_ENCRYPTION_KEY": "", "MASC_ENCRYPTION_PASSPHRASE": ""}):
        for source, named in (("env", "MASC_ENCRYPTION_KEY"), ("passphrase", "MASC_ENCRYPTION_PASSPHRASE")):
            with pytest.raises(EncryptionKeyMissing) as caught:
                await Sources(environ).read(source, new_stretching())
            assert caught.value.details == {"source": named}


def key_file(path: Path, content: bytes, mode: int = 0o600) -> str:
    path.write_bytes(content)
    path.chmod(mode)
    return f"file:{path}"


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
async def test_a_key_file_holds_one_line(tmp_path: Path, end: bytes) -> None:
    source = key_file(tmp_path / "key", RAW.hex().encode() + end)
    assert await Sources({}).read(source, None) == RAW
    (tmp_path / "link").symlink_to(tmp_path / "key")
    assert await Sources({}).read(f"file:{tmp_path / 'link'}", None) == RAW


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o602, 0o610])
async def test_a_key_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(EncryptionKeyInvalid, match="group or others"):
        await Sources({}).read(key_file(tmp_path / "key", RAW.hex().encode(), mode), None)


@pytest.mark.parametrize(
    "content",
    [RAW, RAW.hex().encode() + b"\n\n", RAW.hex().encode() + b"\n# mine", b"#\n" + RAW.hex().encode(), b"x" * 9999],
)
async def test_a_key_file_with_anything_else_is_invalid(tmp_path: Path, content: bytes) -> None:
    source = key_file(tmp_path / "key", content)
    with pytest.raises(EncryptionKeyInvalid) as caught:
        await Sources({}).read(source, None)
    assert caught.value.details["source"] == str(tmp_path / "key")
    assert RAW.hex() not in str(caught.value.as_dict())


async def test_what_is_no_key_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("pipe", "", "no\0name"):
        with pytest.raises(EncryptionKeyInvalid):
            await Sources({}).read(f"file:{tmp_path}/{name}", None)
    for content in (b"", b"\n"):
        with pytest.raises(EncryptionKeyMissing):
            await Sources({}).read(key_file(tmp_path / "empty", content), None)
    with pytest.raises(EncryptionKeyMissing, match="gone"):
        await Sources({}).read(f"file:{tmp_path / 'gone'}", None)


def test_a_passphrase_costs_what_is_promised() -> None:
    first, second = new_stretching(), new_stretching()
    assert (first.algorithm, first.passes, first.memory) == ("argon2id", 3, 256 * 1024 * 1024)
    assert len(base64.b64decode(first.salt)) == 16
    assert first.salt != second.salt


async def test_a_passphrase_is_stretched_once_for_each_salt(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Stretching] = []
    real = sources._argon2id

    def counting(passphrase: bytes, how: Stretching) -> bytes:
        asked.append(how)
        return real(passphrase, how)

    monkeypatch.setattr(sources, "_argon2id", counting)
    cheap = Stretching(base64.b64encode(bytes(16)).decode(), 1, 8192)
    other = Stretching(base64.b64encode(bytes(15) + b"x").decode(), 1, 8192)
    reader = Sources({"MASC_ENCRYPTION_PASSPHRASE": "twelve chars"})
    keys = [await reader.read("passphrase", how) for how in (cheap, cheap, other)]
    assert keys[0] == keys[1] != keys[2]
    assert asked == [cheap, other]
    assert [len(key) for key in keys] == [32] * 3


async def test_a_short_passphrase_and_greedy_parameters_are_invalid() -> None:
    with pytest.raises(EncryptionKeyInvalid, match="shorter than 12"):
        await Sources({"MASC_ENCRYPTION_PASSPHRASE": "elevenchars"}).read("passphrase", new_stretching())
    reader = Sources({"MASC_ENCRYPTION_PASSPHRASE": "twelve chars"})
    salt = base64.b64encode(bytes(16)).decode()
    for how in (
        Stretching(salt, 17, 8192),
        Stretching(salt, 0, 8192),
        Stretching(salt, 1, 2**31),
        Stretching(salt, 1, 1),
        Stretching("AAAA", 1, 8192),
        Stretching("?", 1, 8192),
        Stretching(salt, 1, 8192, "none"),
    ):
        with pytest.raises(EncryptionKeyInvalid, match="out of bounds"):
            await reader.read("passphrase", how)
    with pytest.raises(EncryptionKeyInvalid, match="not stored"):
        await reader.read("passphrase", None)


def test_data_keys_open_under_their_master_key_id_and_room_alone() -> None:
    (id, key), (other, _) = new_key(), new_key()
    wrapped = wrap(RAW, "cluster", id, key, "now")
    assert unwrap(RAW, "cluster", [wrapped]) == {id: key}
    moved = type(wrapped)(other.hex(), wrapped.wrapped, "now")
    for master, cluster, foreign in ((bytes(32), "cluster", wrapped), (RAW, "else", wrapped), (RAW, "cluster", moved)):
        with pytest.raises(ValueError, match="another key"):
            unwrap(master, cluster, [foreign])
    check = check_of(RAW, "cluster")
    assert fits(RAW, "cluster", check)
    assert not fits(bytes(32), "cluster", check)
    assert not fits(RAW, "cluster", None)
    assert RAW.hex() not in check + wrapped.wrapped
    assert key.hex() not in wrapped.wrapped


async def test_a_state_with_a_foreign_wrapped_key_gives_a_wrong_key() -> None:
    id, key = new_key()
    state = Encryption(
        "on", "c", "env", check_of(RAW, "c"), keys=[wrap(bytes(32), "c", id, key, "now")], active=id.hex()
    )
    smith = Locksmith({"MASC_ENCRYPTION_KEY": RAW.hex()})
    with pytest.raises(EncryptionKeyWrong):
        await smith(state, True)
    with pytest.raises(EncryptionKeyMissing):  # what a running process answers
        await smith(state, False)


def test_no_representation_shows_a_key() -> None:
    smith = Locksmith({"MASC_ENCRYPTION_KEY": RAW.hex()})
    smith.keep(RAW)
    for thing in (Master(RAW, "env"), smith, smith.sources):
        assert RAW.hex() not in repr(thing)
        assert repr(RAW)[2:-1] not in repr(thing)
