"""Datasets: named by address and sha256, verified before the first step sees them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator

from nightproof.contract.base import Contract, ContractModel
from nightproof.contract.fetching import Located, hashed, mismatch, obtain
from nightproof.contract.findings import Fault, join
from nightproof.contract.patterns import uri_keys
from nightproof.contract.pins import Sha256
from nightproof.contract.uris import fault
from nightproof.errors import ContractError, DatasetMismatch

CACHE = Path(".nightproof/datasets")
"""Where downloads are kept unless told otherwise."""
AT_ONCE = 4

# What this process has verified. By digest too, so that a job finds the file by its
# Dataset alone, whatever folder the contract came from.
_verified: dict[tuple[str, str], Located] = {}


def _uri(text: str) -> str:
    if wrong := fault(text):
        raise Fault(*wrong)
    return text


Uri = Annotated[str, AfterValidator(_uri)]
"""The address of a dataset: ``file:rel/path``, ``file:///abs`` or ``https://…``."""


class Dataset(ContractModel):
    """A file that a run reads: where it is, and the sha256 of its bytes.

    The bytes are authoritative: the run is refused where they differ. Relative
    ``file:`` URIs start at the contract's folder.
    """

    uri: Uri
    sha256: Sha256

    @property
    def path(self) -> Path:
        """The verified local file.

        Inside a run it is there from the start. Elsewhere a ``file:`` dataset is
        verified now, and one on the network has to be fetched first.
        """
        known = _known(self.uri, self.sha256)
        if known is not None:
            return known.path
        if not self.uri.startswith("file:"):
            raise ContractError(
                f"the dataset {self.uri} was not fetched yet", "Call `await dataset.fetch()` first."
            )
        return _obtained(self.uri, self.sha256, CACHE, None).path

    async def fetch(self, cache_dir: Path | None = None, base: Path | None = None) -> Path:
        """The verified local file, fetched and hashed in a thread where needed.

        Raises DatasetMismatch, ContractError or Transient.
        """
        return await fetch(self, cache_dir, base)


class Verified(NamedTuple):
    """A dataset of a contract after verification: its field, address, digest and file."""

    field: str
    uri: str
    sha256: str
    path: Path


async def fetch(dataset: Dataset, cache_dir: Path | None = None, base: Path | None = None) -> Path:
    """The verified local file of `dataset`; see `Dataset.fetch`."""
    known = _known(dataset.uri, dataset.sha256)
    if known is not None:
        return known.path
    located = await asyncio.to_thread(
        _obtained, dataset.uri, dataset.sha256, cache_dir or CACHE, base
    )
    return located.path


def datasets(contract: Contract) -> list[tuple[str, str, str]]:
    """(field, uri, sha256) of every dataset anywhere in `contract`.

    A dataset is an object with ``uri`` and ``sha256``, or a pair of sibling
    fields like ``datasetUri`` and ``datasetSha256``.
    """
    return list(_pairs(contract.model_dump(mode="json", by_alias=True), ""))


def stated(document: Any) -> list[tuple[str, str, str]]:
    """(field, uri, sha256) of every dataset in the JSON value of a contract; see `datasets`."""
    return list(_pairs(document, ""))


async def verify_all(contract: Contract, cache_dir: Path | None = None) -> list[Verified]:
    """Fetch and hash every dataset of `contract`, a few at a time.

    To be awaited before the first step. Raises DatasetMismatch naming every dataset
    whose bytes differ, ContractError for one that is not there, Transient where a
    host does not answer.
    """
    found = datasets(contract)
    if not found:
        return []
    gate = asyncio.Semaphore(AT_ONCE)
    base = contract.source_folder

    async def one(field: str, uri: str, sha256: str) -> Verified:
        async with gate:
            located = await asyncio.to_thread(_obtained, uri, sha256, cache_dir or CACHE, base)
        return Verified(field, uri, sha256, located.path)

    outcomes = await asyncio.gather(*(one(*each) for each in found), return_exceptions=True)
    failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    mismatches = [error for error in failed if isinstance(error, DatasetMismatch)]
    if len(failed) > 1 and len(failed) == len(mismatches):
        raise DatasetMismatch("\n".join(m.message for m in mismatches), mismatches[0].hint)
    if failed:
        raise next(iter(mismatches), failed[0])
    return [outcome for outcome in outcomes if isinstance(outcome, Verified)]


def _known(uri: str, sha256: str) -> Located | None:
    """The file that was verified under this name, verified again if it was touched since."""
    located = _verified.get((uri, sha256))
    if located is None or located.untouched():
        return located
    located = hashed(located.path, uri)
    if located.sha256 != sha256:
        raise mismatch(uri, sha256, located.sha256)
    _verified[uri, sha256] = located
    return located


def _obtained(uri: str, sha256: str, cache: Path, base: Path | None) -> Located:
    located = obtain(uri, sha256, cache, base)
    _verified[uri, sha256] = located
    return located


def _pairs(value: Any, path: str) -> Iterator[tuple[str, str, str]]:
    if isinstance(value, dict):
        for uri_key, sha_key in uri_keys(value):
            uri, sha256 = value[uri_key], value.get(sha_key)
            if isinstance(uri, str) and isinstance(sha256, str):
                yield (join(path, uri_key) if uri_key != "uri" else path), uri, sha256
        for key, item in value.items():
            yield from _pairs(item, join(path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _pairs(item, join(path, index))
