"""What is remembered of replicates, and when it is looked at again."""

import asyncio
from types import SimpleNamespace

import pytest

from nightproof.model.states import RunStatus
from nightproof.views import replicates
from nightproof.views.replicates import Replicates, ReplicateView


def test_a_replicate_that_is_gone_on_with_is_looked_at_again(monkeypatch: pytest.MonkeyPatch):
    """It failed once; after its resume it came out like the run, and is no drift any more."""

    async def nothing(reader: object, row: object) -> None:
        return None

    async def differing(reader: object, row: SimpleNamespace) -> ReplicateView | None:
        looked.append(row.finished)
        if row.status is RunStatus.COMPLETED:
            return None
        return ReplicateView(row.name, "a-1", "a", None, equal=False, note="it failed")

    looked: list[int] = []
    monkeypatch.setattr(replicates, "_told", nothing)
    monkeypatch.setattr(replicates, "_differing", differing)
    row = SimpleNamespace(
        id=7, name="a-1.1", replicate=1, parent=None, status=RunStatus.FAILED, finished=1
    )
    known = Replicates()

    def found() -> list[bool]:
        return [one.equal for one in asyncio.run(known.among(None, [row]))]

    assert (found(), found()) == ([False], [False])
    row.status, row.finished = RunStatus.COMPLETED, 2
    assert (found(), found()) == ([], [])
    assert looked == [1, 2]
