"""Executions that meet results of other code."""

import json

import pytest

from nightproof import Contract, artifact, job, step
from nightproof.model.states import Kind

ran = []


class Night(Contract):
    """The contract of these tests."""

    task: str = "night"
    n: int = 0


@step
async def add(a: int, b: int) -> int:
    """Adds."""
    ran.append((a, b))
    return a + b


@job(normalise=["times"])
async def main(contract: Night) -> int:
    """Its body would run in a workflow."""
    await artifact("report.md", "text")
    return 1


@pytest.fixture(autouse=True)
def fresh():
    """Nothing has run."""
    ran.clear()


def events(entries, kind):
    """The lines of one kind in the log."""
    notes = [json.loads(entry.output) for entry in entries if entry.kind == Kind.EVENT]
    return [note for note in notes if note["kind"] == kind]


def test_changed_code_is_noted_once(workers):
    """However many workers see it."""

    async def test(one, two):
        await one.begin(main, Night())
        await one.call(add, 1, 2)
        before = add.code
        add.__dict__["code"] = before[:5] + "0" * 16
        try:
            for worker, n in ((one, 2), (two, 3)):
                worker.activities._runs.clear()
                worker.head = one.head
                answer = await worker.call(add, 1, n)
                if n == 3:
                    assert answer["told"]["changed"] == {"step 'add'": [before, add.code]}
        finally:
            add.__dict__["code"] = before
        assert len(events(await one.entries(), "code-changed")) == 1

    workers.run(test, count=2)


def test_strict_refuses_changed_code(workers):
    """With the error of the embedded engine."""

    async def test(worker):
        await worker.begin(main, Night(), strict=True)
        await worker.call(add, 1, 2)
        worker.activities._runs.clear()
        before = add.code
        add.__dict__["code"] = before[:5] + "0" * 16
        try:
            refused = (await worker.call(add, 1, 3))["refused"]
        finally:
            add.__dict__["code"] = before
        assert refused["type"] == "CodeChanged"
        assert ran == [(1, 2)]

    workers.run(test)
