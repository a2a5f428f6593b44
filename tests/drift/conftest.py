"""Pairs of drifted runs whose records a test writes itself."""

import asyncio
import itertools
import json
from dataclasses import replace

import pytest

from nightproof import job, step
from nightproof.drift.compare import compare
from nightproof.drift.normalise import normalisers
from nightproof.drift.verdict import judge
from nightproof.errors import BlobError
from nightproof.model.canonical import digest
from nightproof.views.drift import drift, normalise_names

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
    """Judge a pair in which a step `count` drifted, by the given environments and events.

    An event is given as a function of the step's fingerprint.
    """
    counter = itertools.count()

    @step(name="count")
    def count(i: int) -> int:
        return next(counter)

    @job(name="main")
    async def body(contract: night_contract) -> int:
        return await count(1)

    names = [night.run(body, replicate=number).name for number in (0, 1)]

    def look(*environments, contract=None, notes=((), ()), codes=None):
        async def ask(app):
            rows = [await app.journal.find(name) for name in names]
            if contract is not None:
                rows = [row._replace(contract=json.dumps(contract).encode()) for row in rows]
            return await compare(app.journal, app.blobs, *rows)

        found = night.ask(ask)
        blobs = Kept()
        if codes is not None:
            points = [p._replace(code=c) for p, c in zip(found.first.points, codes, strict=True)]
            found.first = replace(found.first, points=tuple(points))
        fp = found.first.points[0].fp.hex()
        for side, items, more in zip((found.a, found.b), environments, notes, strict=True):
            told = [*noted(items, blobs), *(note(fp) for note in more)]
            side.events = [(side.run.updated, one) for one in told]
        return asyncio.run(judge(None, blobs, found))

    return look


def noted(items, blobs):
    """The event of a snapshot with these items; no event for None."""
    if items is None:
        return
    parts = {"strict": {**STRICT, **items.get("strict", {})}}
    parts["strict"] = {item: it for item, it in parts["strict"].items() if it is not None}
    parts["numeric"] = {**NUMERIC, **items.get("numeric", {})}
    name = digest(parts)
    if not items.get("gone"):
        blobs.data[name] = json.dumps(
            {"snapshot": 1, "host": items.get("host", {}), **parts}
        ).encode()
    digests = {part: digest(content) for part, content in parts.items()}
    yield {"kind": "snapshot", **digests, "items": name}


@pytest.fixture
def pair(night):
    """Compare two runs by name, with the normalisers that the later one declared."""

    def look(a, b, rules=None):
        async def ask(app):
            one, other = [await app.journal.find(name) for name in (a, b)]
            given = rules
            if given is None:
                given = normalisers(await normalise_names(app.journal, other))
            return await drift(app.journal, app.blobs, one, other, given)

        return night.ask(ask)

    return look
