"""Datasets: found anywhere in a contract, hashed while they stream, refused on mismatch."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from nightproof.contract import Contract, ContractModel, Dataset, datasets, local_path, verify_all
from nightproof.contract.fetching import sha256_of
from nightproof.errors import ContractError, DatasetMismatch, StoreReadOnly, Transient
from nightproof.model import clock

T = TypeVar("T")
BYTES = b"Date,USD\n2026-10-19,1.08\n"
SHA256 = hashlib.sha256(BYTES).hexdigest()
OTHER = "f" * 64


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


class NoWaiting(clock.System):
    """The clock of a test that must not wait; remembers the waits."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def block(self, seconds: float) -> None:  # type: ignore[override]
        self.waits.append(seconds)


class Lots(Contract):
    task: str = "lots"
    fx: Dataset | None = None
    more: tuple[Dataset, ...] = ()
    named: dict[str, Dataset] | None = None


def test_every_dataset_is_found(weekly: Callable[..., Any], weekly_class: type[Any]) -> None:
    """Datasets in fields, lists and dicts count, and pairs of ...Uri and ...Sha256."""
    one = Dataset(uri="file:x", sha256=OTHER)
    found = datasets(Lots(fx=one, more=(one, one), named={"a": one}))
    assert [field for field, _, _ in found] == ["fx", "more[0]", "more[1]", "named.a"]
    assert datasets(weekly_class.load(weekly())) == [
        ("inputs.datasetUri", "file:rates.csv", SHA256)
    ]


def test_relative_to_the_contract(
    weekly: Callable[..., Any], weekly_class: type[Any], rates: Path
) -> None:
    """A relative file: URI starts at the contract's folder, wherever the command runs."""
    contract = weekly_class.load(weekly()).in_folder(rates.parent)
    (verified,) = run(verify_all(contract))
    assert (verified.path, verified.sha256) == (rates, SHA256)


def test_relative_to_the_working_directory(rates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a folder it starts at the working directory; the path stays right after chdir."""
    monkeypatch.chdir(rates.parent)
    dataset = Dataset(uri="file:rates.csv", sha256=SHA256)
    path = run(dataset.fetch())
    monkeypatch.chdir("/")
    assert path.read_bytes() == BYTES
    assert dataset.path == rates


def test_mismatch_names_everything(rates: Path) -> None:
    """Both digests, the address and what to do are in the message."""
    with pytest.raises(DatasetMismatch) as caught:
        run(verify_all(Lots(fx=Dataset(uri=rates.as_uri(), sha256=OTHER))))
    said = str(caught.value)
    assert f"sha256:{OTHER}" in said
    assert f"sha256:{SHA256}" in said
    assert rates.as_uri() in said
    assert "Bring back the file" in said


def test_all_mismatches_at_once(rates: Path, tmp_path: Path) -> None:
    """Two datasets that differ are both named."""
    other = tmp_path / "b.csv"
    other.write_bytes(b"b")
    wrong = tuple(Dataset(uri=path.as_uri(), sha256=OTHER) for path in (rates, other))
    with pytest.raises(DatasetMismatch, match=r"(?s)rates\.csv.*b\.csv"):
        run(verify_all(Lots(more=wrong)))


def test_what_is_no_file(tmp_path: Path) -> None:
    """Missing, a directory, a pipe: a clear error, and no waiting for a pipe's writer."""
    os.mkfifo(tmp_path / "pipe")
    for name, said in [
        ("none", "does not exist"),
        ("", "not a regular"),
        ("pipe", "not a regular"),
    ]:
        with pytest.raises(ContractError, match=said):
            run(Dataset(uri=f"file:{tmp_path / name}", sha256=OTHER).fetch())


def test_a_file_that_changes_after_verification(rates: Path) -> None:
    """What was verified is verified again once it was touched."""
    dataset = Dataset(uri=rates.as_uri(), sha256=SHA256)
    assert run(dataset.fetch()) == rates
    assert dataset.path == rates
    rates.write_bytes(BYTES + b"more")
    with pytest.raises(DatasetMismatch):
        _ = dataset.path
    with pytest.raises(DatasetMismatch):
        run(dataset.fetch())
    rates.write_bytes(BYTES)
    assert dataset.path == rates


def test_a_dataset_in_a_part_is_found_by_job_code(rates: Path) -> None:
    """After verify_all a Dataset knows its file, even one that was built anew."""

    class Part(ContractModel):
        fx: Dataset

    class Nested(Contract):
        task: str = "nested"
        part: Part

    loaded = Nested.load({"part": {"fx": {"uri": "file:rates.csv", "sha256": SHA256}}})
    run(verify_all(loaded.in_folder(rates.parent)))
    assert loaded.part.fx.path == rates
    assert Dataset(uri="file:rates.csv", sha256=SHA256).path == rates


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:data/a%20b.csv", "data/a b.csv"),
        ("file:///tmp/x", "/tmp/x"),
        ("file://localhost/tmp/x", "/tmp/x"),
        ("file:/tmp/x", "/tmp/x"),
    ],
)
def test_local_paths(uri: str, path: str) -> None:
    """The forms of file: URIs, percent-encoding undone."""
    assert local_path(uri) == Path(path)
    assert local_path(uri, Path("/base")) == Path("/base") / path


@pytest.mark.parametrize("uri", ["file:", "file://nas/x", "https://a.org/x", "x.csv"])
def test_what_is_not_a_local_path(uri: str) -> None:
    """Anything else is an error that says what to write."""
    with pytest.raises(ContractError) as caught:
        local_path(uri)
    assert caught.value.hint


def test_download_is_cached_by_digest(site: Any, tmp_path: Path) -> None:
    """A download is kept under its digest, with its extension, and not fetched again."""
    url = site.serve("/fx/rates.csv.gz", BYTES)
    contract = Lots(fx=Dataset(uri=url, sha256=SHA256))
    (verified,) = run(verify_all(contract, tmp_path / "cache"))
    assert verified.path == tmp_path / "cache" / f"{SHA256}.csv.gz"
    assert verified.path.read_bytes() == BYTES
    run(verify_all(contract, tmp_path / "cache"))
    assert len(site.asked) == 1
    assert list((tmp_path / "cache").iterdir()) == [verified.path]


def test_a_damaged_cache_is_fetched_again(site: Any, tmp_path: Path) -> None:
    """A kept download whose bytes changed is not trusted."""
    url = site.serve("/rates.csv", BYTES)
    kept = tmp_path / f"{SHA256}.csv"
    kept.write_bytes(b"rot")
    (verified,) = run(verify_all(Lots(fx=Dataset(uri=url, sha256=SHA256)), tmp_path))
    assert verified.path.read_bytes() == BYTES


def test_a_download_that_differs(site: Any, tmp_path: Path) -> None:
    """Other bytes are refused at once, and nothing of them is kept."""
    url = site.serve("/rates.csv?sig=abcdefghij", BYTES)
    site.serve("/rates.csv", BYTES)
    with pytest.raises(DatasetMismatch) as caught:
        run(Dataset(uri=url, sha256=OTHER).fetch(tmp_path))
    assert "abcdefghij" not in str(caught.value)
    assert SHA256 in caught.value.message
    assert list(tmp_path.iterdir()) == []
    assert len(site.asked) == 1


def test_a_body_cut_short(site: Any, tmp_path: Path) -> None:
    """A truncated body is never taken for the file: it is tried again, then Transient."""
    url = site.serve("/rates.csv", BYTES[:10], Content_Length=str(len(BYTES)))
    source = NoWaiting()
    with clock.use(source), pytest.raises(Transient, match=f"after 10 of {len(BYTES)} bytes"):
        run(Dataset(uri=url, sha256=SHA256).fetch(tmp_path))
    assert len(site.asked) == 4
    assert len(source.waits) == 3
    assert list(tmp_path.iterdir()) == []


def test_trouble_that_passes(site: Any, tmp_path: Path) -> None:
    """503 with Retry-After, then a cut body, then the file: fetched, whole."""
    site.serve("/rates.csv", status=503, Retry_After="7")
    site.serve("/rates.csv", BYTES + b"x" * 10, Content_Length="999")
    url = site.serve("/rates.csv", BYTES)
    source = NoWaiting()
    with clock.use(source):
        path = run(Dataset(uri=url, sha256=SHA256).fetch(tmp_path))
    assert path.read_bytes() == BYTES
    assert source.waits[0] == 7


@pytest.mark.parametrize(("status", "hint"), [(404, "address"), (403, "without credentials")])
def test_a_refusal_is_final(site: Any, tmp_path: Path, status: int, hint: str) -> None:
    """What a server refuses is not asked again."""
    url = site.serve("/x", status=status)
    with pytest.raises(ContractError, match=f"answers {status}") as caught:
        run(Dataset(uri=url, sha256=OTHER).fetch(tmp_path))
    assert hint in caught.value.hint
    assert len(site.asked) == 1


def test_redirects(site: Any, tmp_path: Path) -> None:
    """A redirect is followed only to where a contract could have pointed itself."""
    good = site.serve("/moved", status=302, Location=site.serve("/rates.csv", BYTES))
    assert run(Dataset(uri=good, sha256=SHA256).fetch(tmp_path)).read_bytes() == BYTES
    for number, target in enumerate(["http://a.org/x", "file:///etc/passwd", "ftp://a.org/x"]):
        url = site.serve(f"/{number}", status=302, Location=target)
        with pytest.raises(ContractError, match="redirect"):
            run(Dataset(uri=url, sha256=OTHER).fetch(tmp_path))


def test_nobody_answers(tmp_path: Path) -> None:
    """A refused connection is Transient after its tries."""
    with clock.use(NoWaiting()), pytest.raises(Transient, match="cannot be fetched"):
        run(Dataset(uri="http://127.0.0.1:1/x", sha256=OTHER).fetch(tmp_path))


def test_a_cache_that_cannot_be_written(site: Any, tmp_path: Path) -> None:
    """A cache folder that is a file is said as such."""
    (tmp_path / "cache").write_text("")
    url = site.serve("/x", BYTES)
    with pytest.raises(StoreReadOnly, match="cannot be kept in"):
        run(Dataset(uri=url, sha256=SHA256).fetch(tmp_path / "cache"))


def test_not_fetched_yet(site: Any) -> None:
    """The path of a dataset on the network needs a fetch first; nothing is done behind it."""
    with pytest.raises(ContractError, match="not fetched yet"):
        _ = Dataset(uri=site.serve("/x", BYTES), sha256=SHA256).path
    assert site.asked == []


def test_learning_a_digest(site: Any, rates: Path) -> None:
    """sha256_of reads a file or an address once, and keeps nothing."""
    assert sha256_of(rates.as_uri()) == SHA256
    assert sha256_of("file:rates.csv", rates.parent) == SHA256
    assert sha256_of(site.serve("/x", BYTES)) == SHA256
