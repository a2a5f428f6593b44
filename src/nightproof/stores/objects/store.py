"""Blobs as objects: ``sha256/ab/cdef…`` below a bucket's prefix, ``.zst`` where compressed.

**Nothing is ever written over.** An object is created once and only ages, so whoever
found it old enough to be collected can rely on that however long it takes to act, and
whoever finds it young can rely on its staying:

- A put that finds its blob there, whole and younger than half the grace period, leaves
  it: no collection can have judged it to be old. Where it is older, a second copy is
  created under a name of its own (``again/ab/cdef…/<token>``), which is young.
- A collection deletes objects that are older than the whole grace period, each by its
  name, asked once. A repeated request could hit an object that was created anew.
- Only one collection at a time (``collecting``): of two, the slower could delete what was
  created anew after the quicker had deleted it. A collection that was killed is out of the
  way after an hour.
- Copies that later ones have made superfluous go with the next collection.

What is left: the clocks of the bucket and of its users must agree to within half the grace
period, 36 hours; and nobody else may delete: **no lifecycle rule of the bucket may expire
sha256/ or again/**, since it knows nothing of references. A put is one request, so an
interrupted one leaves nothing behind.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from nightproof.blobs.collect import GRACE_SECONDS
from nightproof.blobs.encoding import COMPRESSED, LARGEST_BLOCK, beginning, pack, unpack
from nightproof.blobs.protocol import BlobInfo, BlobRef, digest_of, hex_of
from nightproof.errors import BlobError, StoreBusy, StoreError
from nightproof.model import clock
from nightproof.stores.objects.address import parse

if TYPE_CHECKING:
    from obstore import ObjectMeta

    from nightproof.stores.objects.client import Client

PATIENCE_SECONDS: Final = 120.0
"""How long an object store may be out of reach before its users hear of it."""
YOUNG_SECONDS: Final = GRACE_SECONDS / 2
"""A blob younger than this needs no copy when it is put again."""
LOCK_SECONDS: Final = 3600.0
"""A collection holds its lock for so long at once …"""
RENEW_SECONDS: Final = 1800.0
"""… and renews it after this."""
LARGEST: Final = 5 * 1024**3
"""Bytes that every object store takes in one request."""
_FIRST, _AGAIN, _LOCK = "sha256", "again", "collecting"


class ObjectBlobs:
    """The blobs of ``s3://bucket/prefix`` and its like; any number of machines may use them.

    Nothing is asked, and obstore is not loaded, before the first use. A store that is out of
    reach is asked again for `patience` seconds, then StoreError says so. Raises ConfigError
    for a URL that means nothing.
    """

    def __init__(self, url: str, *, patience: float | None = None) -> None:
        self.address = parse(url)
        self._patience = PATIENCE_SECONDS if patience is None else patience
        self._opened: Client | None = None
        self._opening = threading.Lock()
        self._held: tuple[str, float] | None = None

    def put(self, data: bytes) -> BlobRef:
        """See Blobs.put. Raises StoreFull, StoreReadOnly, or StoreError for other failures."""
        digest, packed = pack(data)
        stored = data if packed is None else packed
        if len(stored) > LARGEST:
            raise StoreError(
                f"a value of {len(data):,} bytes is more than an object store takes at once",
                "Return it in parts, or as files.",
            )
        end = "" if packed is None else COMPRESSED
        if not self._create(self._key(digest) + end, stored) and not self._stays(digest, stored):
            self._create(f"{self._copies(digest)}/{clock.token_hex(8)}{end}", stored)
        return BlobRef(digest, len(data))

    def get(self, digest: str) -> bytes:
        """See Blobs.get."""
        damaged = ""
        for key in self._names(digest):
            stored = self._read(key)
            if stored is None:
                continue
            data = unpack(stored, key.endswith(COMPRESSED))
            if data is not None and digest_of(data) == digest:
                return data
            damaged = f"{key} holds other bytes ({len(stored)} of them)"
        if damaged:
            raise BlobError(
                f"the blob {digest} is corrupt: in {self.address.shown}, {damaged}",
                "Restore the object from a backup, or delete it and run the job afresh.",
            )
        raise self._missing(digest)

    def head(self, digest: str, most: int) -> bytes:
        """See Blobs.head."""
        from nightproof.stores.objects.client import Missing

        for key in self._names(digest):
            try:
                # A block is only of use as a whole.
                stored = self._client.beginning(key, 2 * most + LARGEST_BLOCK)
            except Missing:
                continue
            data = beginning([stored], key.endswith(COMPRESSED), most)
            if data is None:
                raise BlobError(
                    f"the blob {digest} is corrupt: in {self.address.shown}, {key} is no zstd frame",
                    "Restore the object from a backup, or delete it and run the job afresh.",
                )
            return data
        raise self._missing(digest)

    def _missing(self, digest: str) -> BlobError:
        return BlobError(
            f"the blob {digest} is missing from {self.address.shown}",
            "Restore it from a backup, or run the job afresh with --replicate; no lifecycle rule "
            "of the bucket may expire sha256/.",
        )

    def exists(self, digest: str) -> bool:
        """See Blobs.exists."""
        return any(self._head(key) is not None for key in self._names(digest))

    def delete(self, digest: str, *, before: float | None = None) -> bool:
        """See Blobs.delete."""
        self._renew()
        gone = False
        for key in self._names(digest):
            known = self._head(key)
            if known is None or (before is not None and _modified(known) >= before):
                continue
            self._client.delete(key)
            gone = True
        return gone

    def iterate(self) -> Iterator[BlobInfo]:
        """See Blobs.iterate. A blob with copies comes up once for each."""
        for digest, _, known in self._objects():
            yield BlobInfo(digest, known["size"], _modified(known))

    def sweep(self, before: float) -> tuple[int, int]:
        """See Blobs.sweep: what goes are copies that newer ones have made superfluous."""
        newest: dict[str, float] = {}
        for digest, _, known in self._objects(_AGAIN):
            newest[digest] = max(newest.get(digest, 0.0), _modified(known))
        count = size = 0
        for digest, key, known in self._objects(_AGAIN) if newest else ():
            at = _modified(known)
            if at < before and at < newest.get(digest, 0.0):
                self._renew()
                self._client.delete(key)
                count, size = count + 1, size + known["size"]
        return count, size

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """See Blobs.collecting."""
        self._take()
        try:
            yield
        finally:
            if self._held is not None:
                self._held = None
                with suppress(StoreError):
                    self._client.delete(self._path(_LOCK))

    def probe(self) -> tuple[float, float]:
        """List, write, read and delete a small object.

        The seconds of a round trip, and by how many this machine's clock is ahead of the
        store's, which knows whole seconds only. Raises StoreError with what is wrong.
        """
        from nightproof.stores.objects.client import Client

        client = Client(self.address, 0)
        key = self._path(f"probe/{clock.token_hex(8)}")
        next(client.below(self._path("probe")), None)
        begun = clock.perf()
        client.create(key, b"nightproof")
        took = clock.perf() - begun
        data, known = client.get(key)
        if data != b"nightproof":
            raise StoreError(f"{self.address.shown} does not give back what was written to it")
        client.delete(key)
        return took, clock.now().timestamp() - _modified(known)

    @property
    def hosts(self) -> tuple[tuple[str, int], ...]:
        """The server that is asked, and its port: what a trace may see besides the job's."""
        return self.address.hosts

    @property
    def _client(self) -> Client:
        with self._opening:
            if self._opened is None:
                # obstore takes 50 ms to load, which only those pay who have large values.
                from nightproof.stores.objects.client import Client

                self._opened = Client(self.address, self._patience)
            return self._opened

    def _path(self, name: str) -> str:
        return f"{self.address.prefix}/{name}" if self.address.prefix else name

    def _key(self, digest: str) -> str:
        name = hex_of(digest)
        return self._path(f"{_FIRST}/{name[:2]}/{name[2:]}")

    def _copies(self, digest: str) -> str:
        name = hex_of(digest)
        return self._path(f"{_AGAIN}/{name[:2]}/{name[2:]}")

    def _names(self, digest: str) -> Iterator[str]:
        """Where the blob may be; copies, the newest first, are looked for when these fail."""
        key = self._key(digest)
        yield key + COMPRESSED
        yield key
        copies = sorted(self._client.below(self._copies(digest)), key=_modified, reverse=True)
        yield from (known["path"] for known in copies)

    def _objects(self, *tops: str) -> Iterator[tuple[str, str, ObjectMeta]]:
        """Digest, key and what is known of every object that is ours."""
        for top in tops or (_FIRST, _AGAIN):
            below = self._path(top)
            for known in self._client.below(below):
                parts = known["path"][len(below) + 1 :].split("/")
                name = "".join(parts[:2] if top == _AGAIN else parts).removesuffix(COMPRESSED)
                with suppress(BlobError):  # a stranger's object is none of ours
                    hex_of(f"sha256:{name}")
                    yield f"sha256:{name}", known["path"], known

    def _create(self, key: str, stored: bytes) -> bool:
        """Whether it was created; False where there is one of that name."""
        from nightproof.stores.objects.client import There

        try:
            self._client.create(key, stored)
        except There:
            return False
        return True

    def _stays(self, digest: str, stored: bytes) -> bool:
        """Whether there is an object with these bytes that no collection takes before long."""
        young = clock.now().timestamp() - YOUNG_SECONDS
        for key in self._names(digest):
            known = self._head(key)
            if known is None or known["size"] != len(stored) or _modified(known) <= young:
                continue
            if self._read(key) == stored:
                return True
        return False

    def _read(self, key: str) -> bytes | None:
        from nightproof.stores.objects.client import Missing

        try:
            return self._client.get(key)[0]
        except Missing:
            return None

    def _head(self, key: str) -> ObjectMeta | None:
        from nightproof.stores.objects.client import Missing

        try:
            return self._client.head(key)
        except Missing:
            return None

    def _take(self) -> None:
        """Become the one collection of this store."""
        from nightproof.stores.objects.client import There

        key, token = self._path(_LOCK), clock.token_hex(16)
        begun = clock.monotonic()
        if not self._create(key, token.encode()):
            known = self._head(key)
            now = clock.now().timestamp()
            if known is not None and now - _modified(known) < LOCK_SECONDS:
                raise _busy(self.address.shown)
            try:
                if known is None:
                    self._client.create(key, token.encode())
                else:
                    self._client.replace(key, token.encode(), known)
            except There:
                raise _busy(self.address.shown) from None
        self._held = token, begun

    def _renew(self) -> None:
        """Go on holding the lock of a collection that takes long."""
        if self._held is None or clock.monotonic() - self._held[1] < RENEW_SECONDS:
            return
        from nightproof.stores.objects.client import There

        key, token = self._path(_LOCK), clock.token_hex(16)
        begun, known = clock.monotonic(), self._head(key)
        try:
            if known is None or self._read(key) != self._held[0].encode():
                raise There
            self._client.replace(key, token.encode(), known)
        except There:
            self._held = None
            raise _busy(self.address.shown) from None
        self._held = token, begun


def _modified(known: ObjectMeta) -> float:
    return known["last_modified"].timestamp()


def _busy(shown: str) -> StoreBusy:
    return StoreBusy(
        f"another collection of the blobs at {shown} is going on",
        "It ends by itself; the lock of one that was killed is void after an hour.",
    )
