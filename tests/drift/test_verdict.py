"""Verdicts from recorded environments and model pins."""

import asyncio
import itertools
import json

import pytest

from nightproof import job, step
from nightproof.drift.compare import compare
from nightproof.drift.verdict import judge
from nightproof.errors import BlobError
from nightproof.model.canonical import digest

STRICT = {
    "python/version": "3.11.9",
    "package/numpy": "2.0 sha256:aa",
    "tz": "UTC",
    "hashseed": "0",
    "code/jobs.py": "sha256:aa",
    "variable/REGION": "eu",
}
NUMERIC = {"blas/threads": "2"}


class Kept:
    """Blobs in memory."""

    def __init__(self):
        self.data = {}

    def get(self, name):
        """The bytes, or BlobError."""
        if name not in self.data:
            raise BlobError("gone")
        return self.data[name]


@pytest.fixture
def judged(night, night_contract):
    """Judge a drifted pair whose recorded environments are the given ones."""
    counter = itertools.count()

    @step
    def count(i: int) -> int:
        return next(counter)

    @job(name="main")
    async def body(contract: night_contract) -> int:
        return await count(1)

    names = [night.run(body, replicate=number).name for number in (0, 1)]

    def look(*environments, contract=None):
        async def ask(app):
            rows = [await app.journal.find(name) for name in names]
            if contract is not None:
                rows = [row._replace(contract=json.dumps(contract).encode()) for row in rows]
            return await compare(app.journal, app.blobs, *rows)

        found = night.ask(ask)
        blobs = Kept()
        for side, items in zip((found.a, found.b), environments, strict=True):
            side.events = [(side.run.updated, note) for note in noted(items, blobs)]
        return asyncio.run(judge(None, blobs, found))

    return look


def noted(items, blobs):
    """The event of a snapshot with these items; no event for None."""
    if items is None:
        return
    parts = {"strict": {**STRICT, **items.get("strict", {})}}
    parts["numeric"] = {**NUMERIC, **items.get("numeric", {})}
    name = digest(parts)
    if not items.get("gone"):
        blobs.data[name] = json.dumps({"snapshot": 1, "host": {}, **parts}).encode()
    digests = {part: digest(content) for part, content in parts.items()}
    yield {"kind": "snapshot", **digests, "items": name}


@pytest.mark.parametrize(
    ("part", "item", "value", "cause"),
    [
        ("strict", "package/numpy", "2.1 sha256:bb", "environment"),
        ("strict", "package/numpy", "2.0 sha256:bb", "environment"),
        ("strict", "python/version", "3.12.1", "environment"),
        ("strict", "tz", "Asia/Tokyo", "environment"),
        ("strict", "hashseed", "1", "environment"),
        ("numeric", "blas/threads", "1", "environment"),
        ("strict", "code/jobs.py", "sha256:bb", "code"),
        ("strict", "variable/REGION", "us", "context"),
    ],
)
def test_differing_item_names_its_cause(judged, part, item, value, cause):
    """One item differs: its cause is consistent with the drift, and named, with the item."""
    found = judged({}, {part: {item: value}})
    assert found.cause == cause
    assert found.verdicts[cause] == "consistent with"
    assert found.verdicts["sampling"] == "not testable"
    before = {**STRICT, **NUMERIC}[item]
    assert [tuple(one) for one in found.evidence] == [(cause, item, before, value)]


def test_equal_environments_exclude_code_and_environment(judged):
    """What is left is what the record does not hold: it is not named."""
    found = judged({}, {})
    assert found.verdicts == {
        "input": "excluded",
        "code": "excluded",
        "environment": "excluded",
        "context": "not testable",
        "model": "excluded",
        "sampling": "consistent with",
    }
    assert found.cause is None


def test_random_hash_order_is_not_excluded(judged):
    """Two processes with random hash seeds had two environments, whatever the digests say."""
    same = {"strict": {"hashseed": "random"}}
    assert judged(same, same).verdicts["environment"] == "not testable"


@pytest.mark.parametrize("environments", [(None, None), ({}, None), (None, {})])
def test_without_snapshots_nothing_is_excluded(judged, environments):
    """Code too: a step's digest does not cover the modules that it imports."""
    found = judged(*environments)
    assert found.verdicts["environment"] == "not testable"
    assert found.verdicts["code"] == "not testable"
    assert found.cause is None


def test_two_differences_name_none(judged):
    """Both are consistent with the drift; only an experiment could tell."""
    found = judged({}, {"strict": {"tz": "Asia/Tokyo", "variable/REGION": "us"}})
    assert found.verdicts["environment"] == found.verdicts["context"] == "consistent with"
    assert found.cause is None


def test_digests_alone_still_tell(judged):
    """The items are gone: the environment differs, in what is not known."""
    found = judged({}, {"strict": {"tz": "Asia/Tokyo"}, "gone": True})
    assert found.verdicts["environment"] == "consistent with"
    assert found.evidence[0].item == "strict digest"


def test_unknown_hash_seed_is_not_excluded(judged):
    """The digests agree, but whether hash order was fixed cannot be read any more."""
    assert judged({"gone": True}, {"gone": True}).verdicts["environment"] == "not testable"


def test_editable_install_is_code(judged):
    """The user's own package is code, however it is installed."""
    a = {"strict": {"package/own": "1.0 editable sha256:aa"}}
    b = {"strict": {"package/own": "1.0 editable sha256:bb"}}
    assert judged(a, b).cause == "code"


def test_pinned_model_is_not_excluded(judged):
    """The contract names a model, and nothing says which one served."""
    contract = {"inputs": [{"model": {"id": "m", "pinnedVersion": "m-1"}}]}
    assert judged({}, {}, contract=contract).verdicts["model"] == "not testable"
