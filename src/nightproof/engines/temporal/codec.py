"""What Temporal is given: compressed, large values as a claim check, encrypted where there is a key.

Every payload becomes one frame: zstd, then AES-256-GCM, then, where it is still large, a
blob whose digest travels in its place. So a blob holds no more than Temporal would.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)

from nightproof.blobs.protocol import Blobs
from nightproof.config import Settings
from nightproof.errors import BlobError, ConfigError
from nightproof.journal.records import UseBlob
from nightproof.model import clock

ENCODING = b"nightproof/frame"
"""The `encoding` of a payload that is a frame."""
CLAIM_BYTES = 16 * 1024
"""Frames over this many bytes go to the blob store."""
PLAIN_BYTES = 1024
"""Without a key, payloads up to this many bytes stay readable in Temporal's own tools."""
KEY_BYTES = 32
_NONCE = 12
_LEVEL = 1

Refer = Callable[[str, list[UseBlob]], Awaitable[bool]]
"""Keeps blobs from collection while the run of that name exists; False where there is none yet."""


class Keys:
    """Keys by their id; the first encrypts, all decrypt."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers = {sha256(key).hexdigest()[:16]: AESGCM(key) for key in keys}
        self.first = next(iter(self._ciphers), "")

    def __bool__(self) -> bool:
        return bool(self._ciphers)

    def encrypt(self, data: bytes) -> bytes:
        """`data` under the first key."""
        nonce = bytes.fromhex(clock.token_hex(_NONCE))
        return nonce + self._ciphers[self.first].encrypt(nonce, data, self.first.encode())

    def decrypt(self, data: bytes, key_id: str) -> bytes:
        """The reverse. Raises ConfigError where the key is not there or is not the one."""
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise ConfigError(
                f"temporal_key: a value of Temporal's was encrypted with key {key_id}, which is "
                "not in the key file",
                "Add that key as a line to the file; the first line encrypts.",
            )
        try:
            return cipher.decrypt(data[:_NONCE], data[_NONCE:], key_id.encode())
        except InvalidTag:
            raise ConfigError(
                f"temporal_key: a value encrypted with key {key_id} was changed on its way",
                "Nothing can be made of it: cancel the run and start it again.",
            ) from None


def read_keys(path: str) -> Keys:
    """The keys in a file: base64 of 32 bytes a line; "" for no file and no keys.

    Raises ConfigError for a file that cannot be read, holds no key, or may be read by others.
    """
    if not path:
        return Keys(())
    how = "Make one: head -c 32 /dev/urandom | base64 > FILE; chmod 600 FILE"
    file = Path(path).expanduser()
    try:
        lines = file.read_text("ascii").split()
        mode = file.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        told = getattr(error, "strerror", None) or "it is no text"
        raise ConfigError(f"temporal_key: {path} cannot be read: {told}", how) from error
    if mode & 0o077:
        raise ConfigError(f"temporal_key: {path} may be read by others", f"chmod 600 {path}")
    if not lines:
        raise ConfigError(f"temporal_key: {path} holds no key", how)
    return Keys([_key(path, number, line) for number, line in enumerate(lines, 1)])


def _key(path: str, number: int, line: str) -> bytes:
    try:
        key = base64.b64decode(line, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(
            f"temporal_key: line {number} of {path} is not a key of {KEY_BYTES} bytes in base64",
            "Make one: head -c 32 /dev/urandom | base64",
        )
    return key


class Claims:
    """The blobs that a process has put for workflows, and whether their runs know them."""

    def __init__(self, blobs: Blobs, refer: Refer | None) -> None:
        self.blobs = blobs
        self._refer = refer
        self._waiting: dict[str, dict[str, int]] = {}
        self._known: dict[tuple[str, str], None] = {}

    async def put(self, run: str, data: bytes) -> str:
        """Store `data` for a run; its digest."""
        stored = await asyncio.to_thread(self.blobs.put, data)
        await self.use(run, stored.digest, stored.size)
        return stored.digest

    async def use(self, run: str, digest: str, size: int) -> None:
        """Note that a run refers to a blob; tried again later where there is no such run yet."""
        if self._refer is None or not run or (run, digest) in self._known:
            return
        waiting = self._waiting.setdefault(run, {})
        waiting[digest] = size
        sent = list(waiting)
        if await self._refer(run, [UseBlob(one, waiting[one]) for one in sent]):
            for one in sent:
                waiting.pop(one, None)
                self._known[run, one] = None
            if not waiting:
                self._waiting.pop(run, None)
        while len(self._known) > 10_000:
            del self._known[next(iter(self._known))]


class Codec(PayloadCodec, WithSerializationContext):
    """Frames payloads; `run` is the one whose workflow they belong to."""

    def __init__(self, claims: Claims, keys: Keys, run: str = "") -> None:
        self._claims = claims
        self._keys = keys
        self._run = run

    def with_context(self, context: SerializationContext) -> Self:
        """The same for the payloads of one workflow."""
        known = isinstance(context, (WorkflowSerializationContext, ActivitySerializationContext))
        run = run_of(getattr(context, "workflow_id", None) or "") if known else ""
        if run == self._run:
            return self
        return type(self)(self._claims, self._keys, run)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Frames for `payloads`."""
        return [await self._encoded(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """What `payloads` were before they were framed."""
        return [await self._decoded(payload) for payload in payloads]

    async def _encoded(self, payload: Payload) -> Payload:
        data = payload.SerializeToString()
        if len(data) <= PLAIN_BYTES and not self._keys:
            return payload
        metadata = {"encoding": ENCODING}
        packed = _packed(data)
        if len(packed) < len(data):
            data, metadata["packed"] = packed, b"zstd"
        if self._keys:
            data, metadata["key"] = self._keys.encrypt(data), self._keys.first.encode()
        if len(data) > CLAIM_BYTES:
            metadata["size"] = str(len(data)).encode()
            metadata["blob"] = (await self._claims.put(self._run, data)).encode()
            data = b""
        return Payload(metadata=metadata, data=data)

    async def _decoded(self, payload: Payload) -> Payload:
        said: Mapping[str, bytes] = payload.metadata
        if said.get("encoding") != ENCODING:
            return payload
        data = payload.data
        if "blob" in said:
            digest = said["blob"].decode()
            data = await asyncio.to_thread(self._claims.blobs.get, digest)
            await self._claims.use(self._run, digest, int(said["size"]))
        if "key" in said:
            data = self._keys.decrypt(data, said["key"].decode())
        if said.get("packed") == b"zstd":
            data = _unpacked(data)
        return Payload.FromString(data)


def _packed(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=_LEVEL).compress(data)


def _unpacked(data: bytes) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompress(data)
    except zstandard.ZstdError as error:
        raise BlobError(f"a value of Temporal's cannot be unpacked: {error}") from error


PREFIX = "nightproof/"
"""What the ids of runs' workflows begin with."""


def run_of(workflow_id: str) -> str:
    """The run of a workflow; "" for another workflow."""
    return workflow_id.removeprefix(PREFIX) if workflow_id.startswith(PREFIX) else ""


def data_converter(settings: Settings, blobs: Blobs, refer: Refer | None = None) -> DataConverter:
    """How clients and workers of these settings write what they give to Temporal.

    `refer` keeps the claim checks of a run from collection (``Journal.refer``). Raises
    ConfigError for a key file that cannot be used.
    """
    codec: Any = Codec(Claims(blobs, refer), read_keys(settings.temporal_key))
    # Messages of failures are payloads too, so that they are encrypted like everything else.
    return replace(
        DataConverter.default,
        payload_codec=codec,
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )
