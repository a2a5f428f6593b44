"""Blobs in an object store: on a real S3 server, and what else a URL can mean."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import pytest

from nightproof import Contract, job, step
from nightproof.app import App
from nightproof.blobs.collect import collect
from nightproof.blobs.protocol import digest_of
from nightproof.config import Settings
from nightproof.errors import BlobError, NightproofError, StoreBusy, StoreError, StoreReadOnly
from nightproof.stores.files import FileBlobs
from nightproof.stores.objects import ObjectBlobs, store
from nightproof.stores.objects.address import parse
from nightproof.stores.objects.client import understand
from nightproof.testing import servers

NOISE = random.Random(7).randbytes(100_000)


def refused(url: str, **how: Any) -> NightproofError:
    """What a put and a get say; both the same."""
    said = []
    for act in (lambda b: b.put(NOISE), lambda b: b.get(digest_of(b"x")), lambda b: b.probe()):
        with pytest.raises(StoreError) as caught:
            act(ObjectBlobs(url, patience=0, **how))
        said.append(caught.value)
    assert len({(type(one), one.message) for one in said}) == 1, said
    assert "\n" not in said[0].message
    assert len(said[0].message) < 160
    return said[0]


def test_a_wrong_secret_is_said(bucket: str, monkeypatch: pytest.MonkeyPatch):
    """With the variables that it comes from."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    error = refused(bucket)
    assert isinstance(error, StoreReadOnly)
    assert "its secret is wrong" in error.message
    assert "AWS_SECRET_ACCESS_KEY" in error.hint


def test_an_unknown_key_is_said(bucket: str, monkeypatch: pytest.MonkeyPatch):
    """Not the same as a wrong secret."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    assert "does not know the access key" in refused(bucket).message


def test_a_missing_bucket_is_said(bucket: str):
    """Not that a blob is missing."""
    blobs = ObjectBlobs("s3://no-such-bucket/x", patience=0)  # this server would make it on a put
    for act in (lambda: blobs.get(digest_of(NOISE)), lambda: list(blobs.iterate()), blobs.probe):
        with pytest.raises(StoreError, match="there is no bucket for blobs at s3://no-such-bucket"):
            act()


def test_no_route_is_said(bucket: str):
    """Nobody listens there; no such host."""
    error = refused("s3://nights?endpoint=http://127.0.0.1:9")
    assert "out of reach: the connection was refused" in error.message
    assert "resume" in error.hint
    error = refused("s3://nights?endpoint=http://no-such-host.invalid")
    assert "out of reach: the host's name is not known" in error.message


@pytest.mark.parametrize(
    ("text", "passing", "said"),
    [
        ("status code: 503 Slow Down: <Code>SlowDown</Code>", True, "503 SlowDown"),
        ("status code: 409 Conflict: <Code>ConditionalRequestConflict</Code>", True, "another"),
        ("status code: 429 Too Many Requests", True, "429"),
        ("status code: 403 Forbidden: <Code>AccessDenied</Code>", False, "denied (AccessDenied)"),
        ("status code: 301 Moved: <Code>PermanentRedirect</Code>", False, "another region"),
        ("status code: 403: <Code>RequestTimeTooSkewed</Code>", False, "clock is wrong"),
        ("status code: 507 Insufficient Storage", False, "is full"),
        ("Error performing PUT http://169.254.169.254/latest/api/token", False, "no credentials"),
        ("status code: 400 Bad Request: <Code>InvalidRequest</Code>", False, "InvalidRequest"),
    ],
)
def test_what_errors_mean(text: str, passing: bool, said: str):
    """Which may pass by themselves, and what people are told of the others."""
    found = understand(Exception(text), parse("s3://nights/p"))
    assert found.passing is passing
    assert said in found.message


def test_a_conflict_is_asked_again(objects: Any, monkeypatch: pytest.MonkeyPatch):
    """Two conditional writes at once: S3 lets one try again (409), which is not "there" (412)."""
    from obstore.exceptions import AlreadyExistsError

    from nightproof.stores.objects import client

    plain, tries = client.obstore.put, []

    def put(*given: Any, **how: Any) -> Any:
        tries.append(given[1])
        if len(tries) < 3:
            raise AlreadyExistsError("status code: 409: <Code>ConditionalRequestConflict</Code>")
        return plain(*given, **how)

    monkeypatch.setattr(client.obstore, "put", put)
    ref = objects.open().put(NOISE)
    assert len(tries) == 3
    assert objects.open().get(ref.digest) == NOISE


def test_a_server_that_is_down_for_a_while_is_waited_for(objects: Any, s3_server: servers.S3Server):
    """Puts and gets go on when it is back."""
    kept = objects.open().put(b"before" * 1000).digest
    s3_server.kill()
    try:
        with ThreadPoolExecutor(2) as pool:
            put = pool.submit(ObjectBlobs(objects.url, patience=60).put, NOISE)
            get = pool.submit(ObjectBlobs(objects.url, patience=60).get, kept)
            with pytest.raises(StoreError, match="out of reach"):
                ObjectBlobs(objects.url, patience=0.3).get(kept)
            assert not put.done()
            assert not get.done()
            s3_server.start()
            assert put.result().digest == digest_of(NOISE)
            assert get.result() == b"before" * 1000
    finally:
        if not s3_server.running:
            s3_server.start()
    assert objects.open().get(digest_of(NOISE)) == NOISE


class Large(Contract):
    """Of a run with large values."""

    task: Literal["large"] = "large"


def test_a_run_goes_on_when_the_object_store_is_back(
    bucket: str, s3_server: servers.S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What was recorded is not done again, and is not called lost while it is out of reach."""
    import asyncio

    calls: list[int] = []

    @step
    async def one(n: int) -> str:
        calls.append(n)
        if n == 2 and calls.count(2) == 1:
            s3_server.kill()
        return f"{n}" * 100_000

    @job
    async def large(contract: Large) -> int:
        return len(await one(1)) + len(await one(2))

    monkeypatch.setattr(store, "PATIENCE_SECONDS", 0.3)
    settings = Settings(store=f"sqlite:///{tmp_path}/journal.db", blobs=bucket)

    async def attempt() -> Any:
        app = App(settings)
        try:
            return await app.run(large, Large())
        finally:
            await app.close()

    try:
        for _ in range(2):
            left = asyncio.run(attempt())
            assert isinstance(left.error, StoreError)
            assert "out of reach" in left.error.message
            assert left.status == "running"
    finally:
        s3_server.start()
    assert asyncio.run(attempt()).value == 200_000
    assert calls == [1, 2, 2]


PUT = """
import sys
from nightproof.stores.objects import ObjectBlobs
blobs = ObjectBlobs(sys.argv[1])
data = bytes(range(256)) * 100 + __import__("random").Random(int(sys.argv[2])).randbytes({size})
sys.stdin.readline()
print("ready", flush=True)
blobs.put(data)
print("put", flush=True)
"""


def put_in(url: str, number: int, size: int = 60_000_000) -> subprocess.Popen[bytes]:
    """A process that puts one large value when it is told to."""
    return subprocess.Popen(
        [sys.executable, "-c", PUT.format(size=size), url, str(number)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def test_a_put_that_is_killed_leaves_nothing_half(objects: Any):
    """The blob is whole or not there, and there is nothing to sweep."""
    child = put_in(objects.url, 1)
    child.stdin.write(b"\n")
    child.stdin.flush()
    assert child.stdout.readline() == b"ready\n"
    child.kill()
    child.communicate()
    blobs = objects.open()
    data = bytes(range(256)) * 100 + random.Random(1).randbytes(60_000_000)
    if blobs.exists(digest_of(data)):
        assert blobs.get(digest_of(data)) == data
    assert blobs.sweep(4e9) == (0, 0)
    assert blobs.get(blobs.put(data).digest) == data


def test_processes_may_put_the_same_blob_at_once(objects: Any):
    """All succeed, and one object results."""
    children = [put_in(objects.url, 2, 3_000_000) for _ in range(3)]
    for child in children:
        child.stdin.write(b"\n")
        child.stdin.flush()
    assert [child.communicate()[0].split() for child in children] == [[b"ready", b"put"]] * 3
    assert len(objects.names()) == 1


def test_a_large_blob_in_bounded_memory(objects: Any):
    """100 MB are in memory a few times, not many."""
    program = """
import resource, sys
from nightproof.stores.objects import ObjectBlobs
blobs = ObjectBlobs(sys.argv[1])
blobs.put(b"warm" * 1000)
data = __import__("random").Random(3).randbytes(100_000_000)
ref = blobs.put(data)
del data
assert len(blobs.get(ref.digest)) == 100_000_000
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program, objects.url], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) < 450


def test_an_old_blob_that_is_put_again_gets_a_young_copy(objects: Any):
    """Nothing is written over; copies that newer ones have made superfluous are swept."""
    blobs = objects.open()
    digest = blobs.put(NOISE).digest
    for count in (2, 3):
        objects.age()
        blobs.put(NOISE)
        blobs.put(NOISE)
        assert len(objects.names()) == count
    before = max(info.modified for info in blobs.iterate()) - 60
    assert blobs.sweep(before) == (1, len(NOISE))
    assert len(objects.names()) == 2
    assert collect(blobs, {digest}.intersection).count == 0
    objects.write(f"sha256/{digest[7:9]}/{digest[9:]}", b"damaged")
    assert blobs.get(digest) == NOISE


def test_one_collection_at_a_time(objects: Any):
    """The second says so; the lock of one that was killed is void after an hour."""
    first, second = objects.open(), objects.open()
    first.put(NOISE)
    with first.collecting():
        with pytest.raises(StoreBusy, match="another collection"):
            collect(second, set)
        assert "collecting" in objects.names()
    assert "collecting" not in objects.names()
    killed = first.collecting()
    killed.__enter__()
    objects.age()
    assert collect(second, lambda _: set()).count == 1


def test_a_collection_that_lost_its_lock_deletes_nothing(objects: Any):
    """It was suspended for longer than the lock lasts, and another one has begun."""
    slow, other = objects.open(), objects.open()
    digest = slow.put(NOISE).digest
    taken = slow.collecting()
    taken.__enter__()
    objects.age()
    with other.collecting():
        assert slow._held is not None
        slow._held = (slow._held[0], slow._held[1] - 2 * store.LOCK_SECONDS)
        with pytest.raises(StoreBusy):
            slow.delete(digest)
    assert slow.exists(digest)
    with slow.collecting():
        slow._held = (slow._held[0], slow._held[1] - 2 * store.RENEW_SECONDS)
        assert slow.delete(digest)


def test_files_can_be_copied_to_a_bucket_as_they_are(objects: Any, tmp_path: Path):
    """Same names, same bytes."""
    files = FileBlobs(tmp_path)
    digests = [files.put(data).digest for data in (NOISE, b"x" * 5000)]
    for path in tmp_path.glob("sha256/*/*"):
        objects.write(str(path.relative_to(tmp_path)), path.read_bytes())
    assert [objects.open().get(one) for one in digests] == [NOISE, b"x" * 5000]


def test_a_missing_blob_hints_at_lifecycle_rules(objects: Any):
    """A bucket that expires objects is the likeliest thief."""
    with pytest.raises(BlobError) as caught:
        objects.open().get(digest_of(b"never"))
    assert "lifecycle rule" in caught.value.hint


def test_threads_share_one_client(objects: Any):
    """It is made once."""
    blobs = objects.open()
    threads = [threading.Thread(target=blobs.put, args=(b"%d" % n * 1000,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(objects.names()) == 8


def test_probe_leaves_nothing(objects: Any):
    """It is what `doctor` asks."""
    assert objects.open().probe()[0] > 0
    assert objects.names() == []
