"""What Temporal is given: packed, claimed, encrypted."""

from __future__ import annotations

import asyncio
import base64
import os
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.converter import ActivitySerializationContext, WorkflowSerializationContext

from nightproof.config import Settings
from nightproof.engines.temporal import codec
from nightproof.errors import BlobError, ConfigError
from nightproof.journal.records import UseBlob
from nightproof.stores.files import FileBlobs

RUN = "job-0123456789"


def keyfile(path: Path, *keys: bytes, mode: int = 0o600) -> str:
    """A key file with these keys."""
    path.write_text("\n".join(base64.b64encode(key).decode() for key in keys) + "\n")
    path.chmod(mode)
    return str(path)


class Referred:
    """Takes note of blobs; `there` says whether the run exists yet."""

    def __init__(self) -> None:
        self.there = True
        self.calls: list[tuple[str, list[str]]] = []

    async def __call__(self, run: str, blobs: list[UseBlob]) -> bool:
        if self.there:
            self.calls.append((run, [one.digest for one in blobs]))
        return self.there


def made(folder: Path, key: str = "", refer: Any = None) -> Any:
    """A codec for the payloads of one run's workflow."""
    settings = Settings(temporal_key=key)
    converter = codec.data_converter(settings, FileBlobs(folder / "blobs"), refer)
    found = converter.payload_codec
    assert isinstance(found, codec.Codec)
    return found.with_context(WorkflowSerializationContext("default", f"nightproof/{RUN}"))


def payload(data: bytes) -> Payload:
    """A payload as the converter makes it."""
    return Payload(metadata={"encoding": b"json/plain"}, data=data)


def through(where: Any, data: bytes) -> Payload:
    """A payload on its way to Temporal."""
    (found,) = asyncio.run(where.encode([payload(data)]))
    return found  # type: ignore[no-any-return]


def back(where: Any, sent: Payload) -> bytes:
    """What comes back of it."""
    (found,) = asyncio.run(where.decode([sent]))
    assert found.metadata == {"encoding": b"json/plain"}
    return found.data  # type: ignore[no-any-return]


@pytest.mark.parametrize("size", [0, 1, 900, 5_000, 40_000, 3_000_000])
@pytest.mark.parametrize("with_key", [False, True], ids=["plain", "encrypted"])
@pytest.mark.parametrize("packs", [False, True], ids=["noise", "text"])
def test_payloads_come_back_as_they_were(
    tmp_path: Path, size: int, with_key: bool, packs: bool
) -> None:
    """Of every size, compressible or not; large frames travel as a digest."""
    key = keyfile(tmp_path / "key", os.urandom(32)) if with_key else ""
    where = made(tmp_path, key)
    data = b"a word, " * (size // 8) if packs else os.urandom(size)
    sent = through(where, data)
    assert back(where, sent) == data
    assert len(sent.SerializeToString()) <= codec.CLAIM_BYTES + 200
    if with_key and size > 100:
        assert data[:50] not in sent.SerializeToString()


def test_small_payloads_stay_readable_without_a_key(tmp_path: Path) -> None:
    """So that Temporal's own pages show them."""
    assert through(made(tmp_path), b'{"a": 1}').data == b'{"a": 1}'


def test_a_claim_is_encrypted_like_what_stands_for_it(tmp_path: Path) -> None:
    """A blob holds no more than Temporal would."""
    secret = b"the-secret-token " + os.urandom(60_000)
    sent = through(made(tmp_path, keyfile(tmp_path / "key", os.urandom(32))), secret)
    assert "blob" in sent.metadata
    blobs = FileBlobs(tmp_path / "blobs")
    (one,) = blobs.iterate()
    assert b"the-secret-token" not in blobs.get(one.digest)


def test_keys_are_rotated(tmp_path: Path) -> None:
    """The first line encrypts; what older keys encrypted can be read while they are there."""
    old, new = os.urandom(32), os.urandom(32)
    sent = through(made(tmp_path, keyfile(tmp_path / "old", old)), b"x" * 100)
    both = made(tmp_path, keyfile(tmp_path / "both", new, old))
    assert back(both, sent) == b"x" * 100
    assert through(both, b"y").metadata["key"] != sent.metadata["key"]
    with pytest.raises(ConfigError, match="not in the key file"):
        back(made(tmp_path, keyfile(tmp_path / "new", new)), sent)


def test_what_was_changed_on_its_way_is_refused(tmp_path: Path) -> None:
    """A frame that was tampered with is not decoded."""
    where = made(tmp_path, keyfile(tmp_path / "key", os.urandom(32)))
    sent = through(where, b"x" * 100)
    sent.data = sent.data[:-1] + bytes([sent.data[-1] ^ 1])
    with pytest.raises(ConfigError, match="changed on its way"):
        back(where, sent)


def test_claims_are_referred_to_by_their_run(tmp_path: Path) -> None:
    """Also those from before the run was there; each once."""
    refer = Referred()
    refer.there = False
    where = made(tmp_path, refer=refer)
    first = through(where, os.urandom(50_000))
    refer.there = True
    second = through(where, os.urandom(50_000))
    digests = {one.metadata["blob"].decode() for one in (first, second)}
    assert [run for run, _ in refer.calls] == [RUN]
    assert set(refer.calls[0][1]) == digests
    back(where, first)
    assert len(refer.calls) == 1
    other = where.with_context(
        ActivitySerializationContext("default", "1", "a", "q", "nightproof/other-1", "t", False)
    )
    back(other, first)
    assert refer.calls[-1] == ("other-1", [first.metadata["blob"].decode()])


def test_a_claim_whose_blob_is_gone_says_so(tmp_path: Path) -> None:
    """It is not decoded to something else."""
    where = made(tmp_path)
    sent = through(where, os.urandom(50_000))
    FileBlobs(tmp_path / "blobs").delete(sent.metadata["blob"].decode())
    with pytest.raises(BlobError):
        back(where, sent)


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        (b"", 0o600, "holds no key"),
        (b"not base64!\n", 0o600, "line 1"),
        (base64.b64encode(bytes(32)) + b"\n" + base64.b64encode(bytes(16)), 0o600, "line 2"),
        (base64.b64encode(bytes(32)), 0o644, "read by others"),
        (b"\xff\xfe", 0o600, "cannot be read"),
    ],
    ids=["empty", "no base64", "short", "open", "no text"],
)
def test_key_files_that_cannot_be_used(
    tmp_path: Path, content: bytes, mode: int, message: str
) -> None:
    """One line that says what is wrong, and what to do."""
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=message) as caught:
        codec.read_keys(str(path))
    assert caught.value.hint


def test_a_key_file_that_is_not_there() -> None:
    """It is named."""
    with pytest.raises(ConfigError, match="/nowhere/key"):
        codec.read_keys("/nowhere/key")


def test_two_claims_of_a_run_at_once(tmp_path: Path) -> None:
    """Each is referred to, and neither stumbles over the other."""
    calls: list[list[str]] = []

    async def refer(run: str, blobs: list[UseBlob]) -> bool:
        calls.append([one.digest for one in blobs])
        await asyncio.sleep(0)
        return True

    async def main() -> None:
        claims = codec.Claims(FileBlobs(tmp_path / "blobs"), refer)
        await asyncio.gather(claims.use(RUN, "a", 1), claims.use(RUN, "b", 1))
        await claims.use(RUN, "a", 1)

    asyncio.run(main())
    assert len(calls) == 2
    assert {one for call in calls for one in call} == {"a", "b"}
