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


@pytest.mark.parametrize(("code", "drifted"), [("one", True), ("another", False)])
def test_another_result_of_other_code_is_no_drift(
    monkeypatch: pytest.MonkeyPatch, code: str, drifted: bool
):
    """Between the two the job was changed: another result is what was to be expected."""

    async def none(reader: object, row: object) -> list[str]:
        return []

    monkeypatch.setattr(replicates, "normalise_names", none)
    shared = {"status": RunStatus.COMPLETED, "result_blob": None, "job": "a", "digest": "d"}
    of = SimpleNamespace(name="a-1", code="one", result=b"1", **shared)
    row = SimpleNamespace(id=7, name="a-1.1", code=code, result=b"2", finished=1, **shared)

    class Two:
        async def run(self, number: int) -> SimpleNamespace:
            return row

        async def runs(self, want: object) -> list[SimpleNamespace]:
            return [of]

    found = asyncio.run(replicates._differing(Two(), row))
    assert (found is not None) is drifted
