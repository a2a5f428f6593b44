"""Ed25519 keys, and DSSE envelopes signed with them.

DSSE signs a "pre-authentication encoding" of the payload's type and bytes, not
JSON (github.com/secure-systems-lab/dsse, protocol.md). A key's id is the sha256
of its public half in DER (SubjectPublicKeyInfo), so that both halves name it alike.
"""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nightproof.config import PRIVATE_KEY as PRIVATE_NAME
from nightproof.errors import ConfigError
from nightproof.model.canonical import canonical, sha256_hex

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

PAYLOAD_TYPE = "application/vnd.in-toto+json"
PUBLIC_NAME = "signing.pub"
_OTHERS = 0o077
_INSTALL = "Install it with `pip install 'nightproof[sign]'`."


class Keys(NamedTuple):
    """A pair of keys as files, and its id (sha256, hex)."""

    private: Path
    public: Path
    keyid: str


class Signed(NamedTuple):
    """An envelope taken apart: what was signed, by which key, and the signature."""

    payload: bytes
    keyid: str
    signature: bytes


def new_keys(folder: Path) -> Keys:
    """Make a pair of keys in `folder`, the private one readable by its owner only.

    Raises ConfigError where there is a key already: signatures made with it could
    not be checked any more. Also where the files cannot be written, and without
    the package cryptography.
    """
    private_type, _, serialization = _cryptography()
    private, public = folder / PRIVATE_NAME, folder / PUBLIC_NAME
    for path in (private, public):
        if path.exists():
            raise ConfigError(
                f"there is a key at {path} already, and it is not overwritten",
                "Keep it, or give another folder with --dir.",
            )
    key = private_type.generate()
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    open_half = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _create(private, secret, 0o600)
        _create(public, open_half, 0o644)
    except OSError as error:
        raise ConfigError(
            f"the key cannot be written to {folder}: {error.strerror}",
            "Give a folder of your own with --dir.",
        ) from error
    return Keys(private, public, _keyid(key.public_key()))


def _create(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


class Signer:
    """Signs with a private key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.keyid = _keyid(key.public_key())

    def envelope(self, payload: bytes) -> bytes:
        """`payload` in a DSSE envelope, as canonical JSON."""
        signature = self._key.sign(encoded(PAYLOAD_TYPE, payload))
        return _envelope(Signed(payload, self.keyid, signature))


class Verifier:
    """Checks signatures with a public key."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key
        self.keyid = _keyid(key)

    def accepts(self, signed: Signed) -> bool:
        """Whether the signature is this key's, over these bytes."""
        from cryptography.exceptions import InvalidSignature  # only where signatures are checked

        try:
            self._key.verify(signed.signature, encoded(PAYLOAD_TYPE, signed.payload))
        except InvalidSignature:
            return False
        return True


def signer(folder: Path) -> Signer | None:
    """The signer of a folder; None where it holds no key.

    Raises ConfigError where others may read the key, where it is no Ed25519 key,
    and without the package cryptography.
    """
    path = folder / PRIVATE_NAME
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"the key {path} cannot be read: {error.strerror}") from error
    if found.st_mode & _OTHERS:
        raise ConfigError(
            f"the private key {path} may be used by others (mode {found.st_mode & 0o777:04o})",
            f"`chmod 600 {path}`, or make another one if somebody may have read it.",
        )
    private_type, _, serialization = _cryptography()
    try:
        key = serialization.load_pem_private_key(_read(path), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, private_type):
        raise ConfigError(
            f"{path} is not an Ed25519 private key", "`nightproof keys new` makes one."
        )
    return Signer(key)


def verifier(path: Path) -> Verifier:
    """The public key in a file (PEM).

    Raises ConfigError for anything else, a private key among it.
    """
    data = _read(path)
    if b"PRIVATE KEY" in data:
        raise ConfigError(
            f"{path} is a private key, and checking a signature needs the public one",
            f"Give {PUBLIC_NAME}, which lies beside it; a private key stays where it is.",
        )
    _, public_type, serialization = _cryptography()
    try:
        key = serialization.load_pem_public_key(data)
    except ValueError:
        key = None
    if not isinstance(key, public_type):
        raise ConfigError(
            f"{path} is not an Ed25519 public key (PEM)", "`nightproof keys new` writes one."
        )
    return Verifier(key)


def encoded(kind: str, body: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what is signed."""
    return b"DSSEv1 %d %b %d %b" % (len(kind.encode()), kind.encode(), len(body), body)


def opened(document: dict[str, Any], data: bytes) -> Signed | None:
    """Take an envelope apart; None where `data` is not exactly as an envelope is written."""
    try:
        (one,) = document["signatures"]
        found = Signed(
            base64.b64decode(document["payload"], validate=True),
            str(one["keyid"]),
            base64.b64decode(one["sig"], validate=True),
        )
    except (KeyError, TypeError, ValueError, binascii.Error):
        return None
    # Base64 has spare bits, and JSON spare spaces: only one spelling is accepted.
    return found if _envelope(found) == data else None


def _envelope(signed: Signed) -> bytes:
    return canonical(
        {
            "payload": base64.b64encode(signed.payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [
                {"keyid": signed.keyid, "sig": base64.b64encode(signed.signature).decode()}
            ],
        }
    )


def _keyid(key: Ed25519PublicKey) -> str:
    serialization = _cryptography()[2]
    return sha256_hex(
        key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"the key {path} cannot be read: {error.strerror}") from error


def _cryptography() -> tuple[Any, Any, Any]:
    """The two key classes and the serialization module; an extra, loaded where it is used."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise ConfigError(
            "keys and signatures need the package cryptography, which is not installed", _INSTALL
        ) from error
    return ed25519.Ed25519PrivateKey, ed25519.Ed25519PublicKey, serialization
