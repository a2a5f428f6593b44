"""``nightproof schedule fire``: the run for one time that a schedule is due at.

``nightproof serve`` and ``schedule backfill`` start it, in a process of its own for each
time. What runs is fixed in the store before it begins, by whoever comes first.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from nightproof.cli import outcome as outcomes
from nightproof.cli import running, scheduling, signals
from nightproof.cli.running import Night, Output
from nightproof.cli.scheduling import Declared
from nightproof.cli.session import Session, note
from nightproof.cli.targets import place
from nightproof.contract import checking
from nightproof.contract.base import Contract
from nightproof.engines.attempt import Options
from nightproof.errors import ContractError, NightproofError
from nightproof.journal.protocol import Journal
from nightproof.journal.records import run_name
from nightproof.journal.schedules import FireRow


def fire(session: Session, text: str, at: str, name: str | None, again: bool) -> int:
    """Run the job for a time it was due at, unless it has run (failed ones: with `again`)."""
    output = Output(session.json)
    return running.concluding(output, lambda: _fire(session, output, text, at, name, again))


def _fire(
    session: Session, output: Output, text: str, at: str, name: str | None, again: bool
) -> int:
    night = Night(session.settings())
    try:
        night.start()
        signals.before_the_run()
        one = scheduling.pick(text, name)
        output.job = one.target.job.name
        due = scheduling.moment(at, one)
        row, first = night.do(fixed(night.journal, one, due))
        # Where the same contract was run by hand before, this is its night all the same.
        if row.contract is None or (row.ran and not (first or again)):
            return _has_run(night, output, one, row)
        contract = kept_contract(one, row)
        if night.settings.engine == "temporal":
            outcome = night.distant(one.target, contract, 0, Options())
        else:
            outcome = night.attempt(one.target.job, contract, target=one.target.text)
        if outcome.from_record:
            night.stage("answered from the record")
    except (Exception, KeyboardInterrupt) as error:
        night.stage(f"{type(error).__name__}: {outcomes.message_of(error)}")
        raise
    finally:
        night.close()
    if output.json:
        output.document({**outcomes.document(outcome), **_told(row, due)})
    else:
        command = f"nightproof run {one.target.text} CONTRACT"
        output.lines(outcomes.lines(outcome, command))
    return running.ended(outcome)


async def fixed(journal: Journal, one: Declared, due: datetime) -> tuple[FireRow, bool]:
    """What runs for the time `due`, and whether it was fixed just now, by this process.

    Raises ContractError where no contract can be made of the time.
    """
    at = int(due.timestamp() * 1000)
    known = await journal.fires(one.plan.name, at, at)
    if known:
        return known[0], False
    contract = make(one, due)
    run = run_name(one.target.job.name, contract.digest)
    folder = contract.source_folder
    kept = json.dumps({
        "contract": contract.model_dump(mode="json", by_alias=True),
        "folder": str(folder.absolute()) if folder is not None else None,
    }).encode()  # fmt: skip
    return await journal.fire(FireRow(one.plan.name, at, run, kept))


def make(one: Declared, due: datetime) -> Contract:
    """The contract of a time. Raises ContractError where none can be made of it."""
    where = f"the contract of {one.plan.name} for {due.isoformat()}"
    wanted = running.contract_type(one.target.job)
    try:
        made = one.schedule.contract(due)
    except NightproofError as error:
        raise ContractError(f"{where}: {error.message}", error.hint) from error
    except Exception as error:
        told = f"{place(error.__traceback__)}{type(error).__name__}: {error}".rstrip(": ")
        raise ContractError(
            f"{where} could not be made: {told}", "--debug shows it all."
        ) from error
    if not isinstance(made, wanted):
        raise ContractError(
            f"{where} is a {type(made).__name__}, not a {wanted.__name__}",
            f"Return a {wanted.__name__} from the function that is decorated.",
        )
    checking.ensure_clean(made)
    return made


def kept_contract(one: Declared, row: FireRow) -> Contract:
    """The contract on record, as the job's class reads it today. Raises ContractError."""
    wanted = running.contract_type(one.target.job)
    kept = json.loads(row.contract or b"{}")
    try:
        contract = wanted.load(kept["contract"]).in_folder(kept["folder"])
    except ContractError as error:
        raise ContractError(
            f"the contract that is fixed for {row.run} no longer fits its job: {error.message}",
            f"Restore the class {wanted.__name__}.",
        ) from error
    if run_name(one.target.job.name, contract.digest) != row.run:
        raise ContractError(
            f"the class {wanted.__name__} has changed: the contract that is fixed for {row.run} "
            "would get another digest, which is another run",
            "Restore the class.",
        )
    return contract


def _has_run(night: Night, output: Output, one: Declared, row: FireRow) -> int:
    """Nothing is to be done; say what there is."""
    night.stage(f"has run before: {row.run}")
    run = night.do(night.journal.find(row.run))
    there = run is not None and run.name == row.run
    status = str(run.status) if run is not None and there else "collected"
    if output.json:
        output.document({
            "run": row.run, "job": one.target.job.name, "status": status, "result": None,
            "steps": {"executed": 0, "replayed": 0, "failed": 0}, "artifacts": [],
            "divergences": [], "error": None, **_told(row, None),
        })  # fmt: skip
    else:
        note(f"{row.run}  {status}: it was started before, nothing was done")
    return 0


def _told(row: FireRow, due: datetime | None) -> dict[str, Any]:
    return {"schedule": row.schedule} | ({"fire": due.isoformat()} if due else {})
