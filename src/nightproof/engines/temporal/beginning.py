"""The beginning of an execution: own the run, check its inputs, and say what is on record."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from nightproof.durable.job import Job
from nightproof.engines.attempt import closing
from nightproof.engines.attempt.owning import gone
from nightproof.engines.attempt.state import Options
from nightproof.engines.temporal.ending import outcome_answer
from nightproof.engines.temporal.messages import (
    INDEX_LIMIT,
    BeginAnswer,
    BeginAsk,
    IndexRow,
    RunFacts,
)
from nightproof.engines.temporal.worker_run import WorkerHost, WorkerRun
from nightproof.errors import AlreadyRunning, BlobError, LeaseLost, StoreError
from nightproof.journal.records import Claimed, Owner, Recorded, RunRow, Wanted
from nightproof.model.fingerprint import fingerprint
from nightproof.model.identity import WORKFLOW, ProcessIdentity
from nightproof.model.states import RunStatus

INLINE_IN_ALL = 8 * 2**20
"""So many bytes of outputs are in the index; what is behind them is got by activities."""

Verify = Callable[[Any], Awaitable[None]]
_ENDED = {"failed": RunStatus.FAILED, "cancelled": RunStatus.CANCELLED}


class Beginning:
    """Claims runs for the executions of workflows."""

    def __init__(
        self, host: WorkerHost, boot: int, verify: Verify | None, targets: Mapping[str, str]
    ) -> None:
        self._host = host
        self._boot = boot
        self._verify = verify
        self._targets = targets

    async def begin(self, job: Job[Any, Any], ask: BeginAsk) -> BeginAnswer:
        """Own the run and read its record, or say why not.

        May be called again for the same execution, which then goes on with what it has.
        Raises AlreadyRunning, LeaseLost, and whatever the verification of inputs raises.
        """
        contract = _contract(job, ask)
        process = ProcessIdentity(WORKFLOW + ask["workflow"], 0, ask["started_ms"])
        options = _options(ask)
        claimed = await self._claim(job, ask, contract, process)
        lost = ""
        if not claimed.owned:
            try:
                outcome = await closing.recorded(
                    self._host.journal, self._host.blobs, job, claimed.run, options
                )
                return {"recorded": await outcome_answer(self._host, outcome)}
            except BlobError as error:
                lost = error.message
                claimed = await self._claim(job, ask, contract, process, reopen=True)
        run = WorkerRun(self._host, job, claimed.run, options)
        try:
            if self._verify is not None:
                await self._verify(contract)
            await self._read(run, ask, claimed.before, lost)
        except StoreError:
            raise
        except BaseException as refusal:
            await closing.refused(run, claimed.before, refusal)
            raise
        return _answer(run, claimed)

    async def _claim(
        self,
        job: Job[Any, Any],
        ask: BeginAsk,
        contract: Any,
        process: ProcessIdentity,
        reopen: bool = False,
    ) -> Claimed:
        host = self._host
        owner = Owner(process, self._boot, int(host.settings.lease * 1000))
        want = Wanted(
            job.name, contract.digest, contract.to_json().encode(), ask["replicate"],
            ask["target"] or self._targets.get(job.name, job.target), job.code, ask["parent"],
            ask["remembered"].encode(), reopen,
        )  # fmt: skip
        claimed = await host.journal.claim(want, owner)
        while not claimed.owned and (claimed.run.status is not RunStatus.COMPLETED or reopen):
            row = claimed.run
            if row.owner is not None and row.owner.host == process.host:
                if ask["token"] == row.token or row.owner.started == process.started:
                    return Claimed(row, True, await self._before(row, ask))
                if row.owner.started > process.started:
                    raise LeaseLost(
                        f"run {row.name} belongs to a later execution of its workflow",
                        "Nothing needs to be done; the other one goes on.",
                    )
            elif not await gone(host.journal, row, host.settings.lease):
                raise AlreadyRunning(
                    f"run {row.name} is already running on "
                    f"{row.owner.label if row.owner else 'another process'}",
                    f"Follow it with `nightproof watch {row.name}`.",
                    run=row.name,
                )
            claimed = await host.journal.claim(want, owner, takeover=row.token)
        return claimed

    async def _before(self, row: RunRow, ask: BeginAsk) -> RunStatus | None:
        """What the claim of this execution found, which an earlier try of this activity made."""
        if ask["token"] == row.token:
            return RunStatus.RUNNING
        if row.attempts == 1:
            return None
        attempts = await self._host.journal.attempts(row.id)
        ended = next((one.outcome for one in attempts if one.n == row.attempts - 1), "")
        return _ENDED.get(ended, RunStatus.RUNNING)

    async def _read(
        self, run: WorkerRun, ask: BeginAsk, before: RunStatus | None, lost: str
    ) -> None:
        ledger, row, goes_on = run.ledger, run.row, ask["token"] == run.row.token
        ended = before in (RunStatus.FAILED, RunStatus.CANCELLED)
        if before is None:
            if run.job.normalise:
                names = [name for name, _ in run.job.normalise]
                message = f"to be compared after normalising {', '.join(names)}"
                self._line(run, "normalise", {"names": names, "message": message})
        else:
            await ledger.load(retry_failures=ended)
            if not goes_on and closing.code_changed(run.job, row):
                ledger.code_changed(f"job '{run.job.name}'", row.code, run.job.code)
            if ledger.damaged and not goes_on:
                message = f"{ledger.damaged} journal entries are damaged; their steps run again"
                told = {"message": message, "count": ledger.damaged}
                self._line(run, "damaged", told)
            if ask["strict"] and not goes_on:
                await run.environment.refuse_another()
        if not goes_on:
            for kind, data in ask["notes"].items():
                self._line(run, kind, data)
        if lost:
            what = f"job '{run.job.name}'"
            told = {"step": what, "message": f"{what} runs again: {lost}"}
            self._line(run, "result-lost", told)
        await ledger.written()
        await self._host.journal.share(row.id, row.token, ended)

    def _line(self, run: WorkerRun, kind: str, data: dict[str, Any]) -> None:
        """A line of the log that this execution writes once."""
        parts = [b"%d" % run.row.id, b"%d" % run.row.token, kind.encode()]
        run.ledger.line(kind, data, fingerprint(b"\0begin", parts))


def _contract(job: Job[Any, Any], ask: BeginAsk) -> Any:
    folder = json.loads(ask["remembered"] or "{}").get("folder")
    kind: Any = job.contract_type
    contract = kind.load(ask["contract"].encode()).in_folder(folder and Path(folder))
    return contract


def _options(ask: BeginAsk) -> Options:
    given = ask["options"]
    return Options(given["effects"], ask["strict"], given["concurrency"], given["answers"])


def _answer(run: WorkerRun, claimed: Claimed) -> BeginAnswer:
    row, ledger = run.row, run.ledger
    found = sorted(ledger.recorded.values(), key=lambda item: item.seq)
    return {
        "run": RunFacts(
            id=row.id,
            name=row.name,
            digest=row.digest,
            token=row.token,
            created_ms=row.created,
            replicate=row.replicate,
            attempts=row.attempts,
            parent=row.parent,
        ),
        "before": None if claimed.before is None else str(claimed.before),
        "cancelled": row.cancel,
        "waiting": row.waiting if row.status is RunStatus.PARKED else "",
        "index": list(_index(found[:INDEX_LIMIT])),
        "cut": len(found) > INDEX_LIMIT,
        "codes": {str(one.id): (one.name, one.digest) for one in ledger.codes.values()},
        "undone": [fp.hex() for fp in ledger.undone],
        "damaged": ledger.damaged,
        "last_seq": ledger.lane.seq,
        "told": run.tell(),
    }


def _index(found: list[Recorded]) -> list[IndexRow]:
    rows: list[IndexRow] = []
    left = INLINE_IN_ALL
    for item in found:
        output = item.output
        left -= len(output or b"")
        text = None if output is None or left < 0 else output.decode()
        rows.append([item.fp.hex(), item.seq, item.kind, item.code, item.size, text, item.blob])
    return rows
