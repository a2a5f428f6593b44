"""Talking to an object store: how long to go on trying, and what its errors mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PreconditionError,
)
from obstore.store import AzureStore, GCSStore, MemoryStore, S3Store

from nightproof.errors import ConfigError, StoreError, StoreFull, StoreReadOnly
from nightproof.model import clock
from nightproof.stores.objects.address import Address

if TYPE_CHECKING:
    from obstore import ObjectMeta, UpdateVersion
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

T = TypeVar("T")

QUICK = "30s"
"""How long one request may take at first …"""
PATIENT = "15m"
"""… and once it took longer than that, or carries much."""
LONGEST_WAIT = 5.0
"""Seconds between two tries, at most."""
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w+)</Code>|\"reason\": \"(\w+)\"")
_WHY = re.compile(r" - (HTTP error: [^\n]*?)(?:\s*\n|$)")
_CAUSES = (
    ("Connection refused", "the connection was refused"),
    ("dns error", "the host's name is not known"),
    ("failed to lookup", "the host's name is not known"),
    ("timed out", "it did not answer in time"),
    ("TimedOut", "it did not answer in time"),
    ("kind: Timeout", "it did not answer in time"),
    ("certificate", "its TLS certificate was not accepted"),
    ("Connection reset", "the connection was reset"),
    ("kind: Connect", "no connection could be made"),
)
_CONFLICTS = ("ConditionalRequestConflict", "OperationAborted")
_CREDENTIALS = ("169.254.169.254", "metadata.google.internal", "InvalidTokenScope")


class Missing(Exception):
    """There is no such object."""


class There(Exception):
    """There is such an object already, or it is not the version that was expected."""


class Trouble(NamedTuple):
    """What an error means: whether it may pass by itself, and what to tell people."""

    passing: bool
    message: str
    hint: str
    kind: type[StoreError] = StoreError


class Client:
    """One bucket. Every call blocks, tries again for `patience` seconds, and raises StoreError.

    StoreReadOnly where access is denied.
    """

    def __init__(self, address: Address, patience: float) -> None:
        self.address = address
        self.patience = patience
        self._stores: dict[tuple[str, int], ObjectStore] = {}

    def create(self, key: str, data: bytes) -> None:
        """Write an object that is not there yet. Raises There."""
        self._ask(lambda store: obstore.put(store, key, data, mode="create"), large=len(data))

    def replace(self, key: str, data: bytes, known: ObjectMeta) -> None:
        """Write an object over the version of it that is known. Raises There."""
        mode: UpdateVersion = {}
        if known["e_tag"]:
            mode["e_tag"] = known["e_tag"]
        if known["version"]:
            mode["version"] = known["version"]
        self._ask(lambda store: obstore.put(store, key, data, mode=mode))

    def get(self, key: str) -> tuple[bytes, ObjectMeta]:
        """The bytes of an object, and what is known of it. Raises Missing."""

        def act(store: ObjectStore) -> tuple[bytes, ObjectMeta]:
            found = obstore.get(store, key)
            return found.bytes().to_bytes(), found.meta

        return self._ask(act)

    def beginning(self, key: str, most: int) -> bytes:
        """Up to `most` bytes of the beginning of an object. Raises Missing."""
        if not self.head(key)["size"]:  # of nothing there is no range
            return b""
        return self._ask(
            lambda store: obstore.get_range(store, key, start=0, length=most).to_bytes()
        )

    def head(self, key: str) -> ObjectMeta:
        """What is known of an object. Raises Missing."""
        return self._ask(lambda store: obstore.head(store, key))

    def delete(self, key: str) -> None:
        """Remove an object; asked once.

        A request that is repeated may come after somebody has written the object anew.
        """
        self._ask(lambda store: obstore.delete(store, key), tries=1)

    def below(self, prefix: str) -> Iterator[ObjectMeta]:
        """The objects below `prefix`, in the order of their keys; a thousand in memory."""
        pages: Iterator[Sequence[ObjectMeta]] | None = None
        after: str | None = None

        def act(store: ObjectStore) -> Sequence[ObjectMeta]:
            nonlocal pages
            if pages is None:
                pages = iter(obstore.list(store, prefix, offset=after, chunk_size=1000))
            try:
                return next(pages, ())
            except BaseError:
                pages = None  # the next try begins behind what is known
                raise

        while page := self._ask(act):
            yield from page
            after = page[-1]["path"]

    def _ask(self, act: Callable[[ObjectStore], T], *, large: int = 0, tries: int = 0) -> T:
        until = clock.monotonic() + self.patience
        wait, number = 0.1, 0
        while True:
            number += 1
            time = QUICK if number == 1 and large < 8 << 20 else PATIENT
            try:
                return act(self._store(time, 0 if tries else 2))
            except FileNotFoundError as error:
                if "NoSuchBucket" not in str(error) and "ContainerNotFound" not in str(error):
                    raise Missing from None
                trouble = understand(error, self.address)
            except (AlreadyExistsError, PreconditionError) as error:
                trouble = understand(error, self.address)
                if not any(code in str(error) for code in _CONFLICTS):
                    raise There from None
            except (BaseError, OSError, ValueError) as error:
                trouble = understand(error, self.address)
            if not trouble.passing or number == tries or clock.monotonic() + wait > until:
                raise trouble.kind(trouble.message, trouble.hint)
            clock.block(wait * (0.5 + clock.random()))
            wait = min(2 * wait, LONGEST_WAIT)

    def _store(self, time: str, retries: int) -> ObjectStore:
        key = (time, retries)
        if key not in self._stores:
            self._stores[key] = connect(self.address, time, retries)
        return self._stores[key]


@cache
def _memory(name: str) -> MemoryStore:
    """One store for a name in this process."""
    del name
    return MemoryStore()


def connect(address: Address, time: str, retries: int) -> ObjectStore:
    """A client; nothing is asked yet. Raises ConfigError for what it cannot work with."""
    if address.kind == "memory":
        return _memory(address.bucket)
    options = dict(address.options)
    plain = options.get("endpoint", "").startswith("http://")
    client: ClientConfig = {"timeout": time, "connect_timeout": "5s"}
    if plain:
        client["allow_http"] = True
    retry: RetryConfig = {"max_retries": retries, "retry_timeout": timedelta(seconds=10)}
    how = {"client_options": client, "retry_config": retry}
    try:
        if address.kind == "s3":
            return S3Store(address.bucket, **options, **how)  # type: ignore[arg-type]
        if address.kind == "gs":
            if "endpoint" in options:
                options["base_url"] = options.pop("endpoint")
            return GCSStore(address.bucket, **options, **how)  # type: ignore[arg-type]
        if "account" in options:
            options["account_name"] = options.pop("account")
        return AzureStore(address.bucket, **options, **how)  # type: ignore[arg-type]
    except (BaseError, OSError, ValueError) as error:
        raise ConfigError(
            f"blobs: {address.shown} cannot be used: {_first_line(error)}", _KEYS[address.kind]
        ) from None


_KEYS = {
    "s3": "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_REGION) to a key that may "
    "read, write, list and delete there.",
    "gs": "Set GOOGLE_APPLICATION_CREDENTIALS to the file of a key that may use the bucket.",
    "az": "Set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY.",
    "memory": "",
}


def understand(error: BaseException, address: Address) -> Trouble:
    """What an error of the client means for people."""
    text = str(error)
    status = int(found[1]) if (found := _STATUS.search(text)) else 0
    code = (found[1] or found[2]) if (found := _CODE.search(text)) else ""
    where, keys = address.shown, _KEYS[address.kind]
    if code in ("NoSuchBucket", "ContainerNotFound"):
        return Trouble(
            False, f"there is no bucket for blobs at {where}", "Make it, or correct blobs."
        )
    if any(host in text for host in _CREDENTIALS):
        return Trouble(False, f"no credentials for {where} were found", keys, StoreReadOnly)
    if code == "SignatureDoesNotMatch":
        return Trouble(False, f"{where} refused the key: its secret is wrong", keys, StoreReadOnly)
    if code == "InvalidAccessKeyId":
        return Trouble(False, f"{where} does not know the access key", keys, StoreReadOnly)
    if code == "RequestTimeTooSkewed":
        return Trouble(False, f"{where} refused the request: this clock is wrong", "Set the clock.")
    if status in (401, 403) or code in ("AccessDenied", "Forbidden"):
        what = f" ({code})" if code else ""
        return Trouble(False, f"access to {where} was denied{what}", keys, StoreReadOnly)
    if status in (301, 307, 308) or code in ("PermanentRedirect", "AuthorizationHeaderMalformed"):
        return Trouble(
            False, f"the bucket {where} is in another region", "Set AWS_REGION to its region."
        )
    if code == "EntityTooLarge":
        return Trouble(False, f"a blob is larger than {where} takes at once", "Return it in parts.")
    if code in ("QuotaExceeded", "InsufficientStorage") or status == 507:
        return Trouble(
            False, f"{where} is full ({code or status})", "Free some space, then resume.", StoreFull
        )
    if status == 409 or code in _CONFLICTS:
        return Trouble(
            True, f"{where} had another request for the same blob ({code or status})", ""
        )
    if 400 <= status < 500 and status not in (408, 425, 429):
        return Trouble(
            False, f"{where} refused the request: {code or status}", "See its documentation."
        )
    why = f"it answered {status} {code}".strip() if status else _cause(text)
    hint = "Check the endpoint and the network, then `nightproof resume`: nothing was lost."
    return Trouble(True, f"the blobs at {where} are out of reach: {why}", hint)


def _cause(text: str) -> str:
    for sign, words in _CAUSES:
        if sign in text:
            return words
    found = _WHY.search(text)
    return found[1] if found else _first_line(Exception(text))


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
