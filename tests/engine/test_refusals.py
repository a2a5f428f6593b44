"""Attempts that never begin, and results that are none."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import datetime
from typing import Literal

import pytest

from nightproof import Contract, Dataset, job, step
from nightproof.errors import CodecError, DatasetMismatch
from nightproof.journal.records import RunFilter
from nightproof.model.states import RunStatus


class Fed(Contract):
    """A contract with a dataset."""

    task: Literal["fed"] = "fed"
    data: Dataset


def test_a_refused_dataset_fails_the_run_before_any_step(night, tmp_path):
    """The run is not left as one that somebody should go on with; correct bytes let it run."""
    file = tmp_path / "data.csv"
    file.write_bytes(b"wrong")
    ran = []

    @step
    async def use() -> int:
        ran.append(1)
        return 1

    @job
    async def fed(contract: Fed) -> int:
        return await use()

    contract = Fed(data={"uri": file.as_uri(), "sha256": hashlib.sha256(b"right").hexdigest()})
    with pytest.raises(DatasetMismatch):
        night.run(fed, contract)
    (row,) = night.ask(lambda app: app.journal.runs(RunFilter()))
    assert (row.status, row.owner, ran) == (RunStatus.FAILED, None, [])
    assert b"DatasetMismatch" in row.error
    file.write_bytes(b"right")
    assert night.value(fed, contract) == 1


def test_a_result_that_cannot_be_read_back_fails_the_run(night, night_contract):
    """It is refused before it is recorded, so that no later start returns it."""

    @job
    async def main(contract: night_contract) -> datetime:
        await asyncio.sleep(0)
        return datetime(2026, 1, 1)  # noqa: DTZ001 - the point

    for _ in range(2):
        outcome = night.run(main)
        assert isinstance(outcome.error, CodecError)
        assert night.row(outcome.name).status is RunStatus.FAILED
