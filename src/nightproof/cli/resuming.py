"""``nightproof resume``: go on with what a crash, a signal or a wait left behind."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from nightproof import app
from nightproof.cli import outcome as outcomes
from nightproof.cli import recording, resumable, running, signals, targets
from nightproof.cli.running import Night, Output
from nightproof.cli.session import Session, complain, isolated, note
from nightproof.engines.attempt import Options, Outcome
from nightproof.errors import (
    ContractError,
    NightproofError,
    TargetError,
    UsageError,
)
from nightproof.journal.records import RunRow


def resume(
    session: Session, name: str | None, every: bool, strict: bool, isolate: str | None = None,
    engine: str | None = None,
) -> int:  # fmt: skip
    """Carry out the command; the exit code is that of the worst run.

    Without a level to `isolate` at, a run goes on at the level at which it was begun, and
    without an `engine` on the one that had it last.
    """
    settings = session.settings().override(engine=engine)
    if engine is not None and every:
        raise UsageError("--engine is for one run", "With --all each goes on where it was.")
    if settings.engine == "temporal" and engine is not None and isolate not in (None, "L0"):
        raise UsageError(
            f"--isolate {isolate} isolates a process of this machine, and on Temporal the workers "
            "do the work",
            "Leave one of both out.",
        )
    if every and name is not None:
        raise UsageError("resume takes a RUN or --all, not both")
    level = "L0" if engine == "temporal" else isolate
    if level is None:
        level = "L0" if every or isolated() is not None else _begun_at(session, name)
    if level != "L0":
        from nightproof.cli import isolating  # goes on in another process

        return isolating.resume(level, session, name, every, strict)
    output = Output(session.json)
    alike = isolate is None and isolated() is None
    return running.concluding(
        output, lambda: _resume(session, output, name, every, strict, alike, engine)
    )


def _begun_at(session: Session, name: str | None) -> str:
    """The level at which the run was begun that is to go on."""
    settings = session.settings()

    async def look() -> RunRow:
        journal = app.open_journal(settings)
        try:
            return await resumable.find(journal, name, int(settings.lease * 1000))
        finally:
            await journal.close()

    try:
        app.require_journal(settings)
        return resumable.level(asyncio.run(look()))
    except NightproofError:
        return "L0"  # it is said a moment later, in the form that was asked for


def _resume(
    session: Session, output: Output, name: str | None, every: bool, strict: bool, alike: bool,
    engine: str | None,
) -> int:  # fmt: skip
    settings = session.settings()
    app.require_journal(settings)
    night = Night(settings)
    try:
        lease_ms = int(settings.lease * 1000)
        if every:
            rows = night.do(resumable.all_due(night.journal, lease_ms))
        else:
            rows = [night.do(resumable.find(night.journal, name, lease_ms))]
        if rows:
            night.start()
            signals.before_the_run()
        if not every:
            outcome = _recorded(night, rows[0], strict, engine)
            if output.json:
                output.document(outcomes.document(outcome))
            else:
                output.lines(outcomes.lines(outcome, _again(rows[0])))
            return running.ended(outcome)
        return _each(night, output, rows, strict, alike)
    except NightproofError as error:
        night.stage(f"{type(error).__name__}: {error.message}")
        raise
    finally:
        night.close()


def _recorded(night: Night, row: RunRow, strict: bool, engine: str | None) -> Outcome:
    """Go on with a run that somebody named; it is on record who had it done."""
    journal = night.journal
    words = ("resume", *(["--strict"] if strict else []), *recording.dashed(row.name))
    number = night.do(recording.begin(journal, "resume", row.name, *words))
    try:
        outcome = _go_on(night, row, strict, engine)
    except NightproofError as error:
        night.do(recording.finish(journal, number, error.exit_code, error.message))
        raise
    code = running.ended(outcome)
    night.do(recording.finish(journal, number, code, str(outcome.status)))
    return outcome


def _each(night: Night, output: Output, rows: list[RunRow], strict: bool, alike: bool) -> int:
    """Every due run, one after the other; one that cannot go on does not hold up the rest.

    Where all are to go on `alike`, isolated ones do so in processes of their own.
    """
    documents: list[dict[str, Any]] = []
    codes = [0]
    for row in rows:
        if night.stopper is not None and night.stopper.asked:
            codes.append(signals.TEMPFAIL)
            break
        if alike and resumable.level(row) != "L0":
            from nightproof.cli import isolating  # for isolated runs only

            code, document, asked = isolating.apart(row, night.settings, strict, output.json)
            codes.append(code)
            documents.append(document)
            if asked:
                break
            continue
        try:
            outcome = _go_on(night, row, strict)
        except NightproofError as error:
            complain(error)
            codes.append(error.exit_code)
            documents.append(outcomes.refused(error, row.name, row.job))
            continue
        codes.append(running.ended(outcome))
        documents.append(outcomes.document(outcome))
        if not output.json:
            output.lines(outcomes.lines(outcome, _again(row)))
    if output.json:
        output.document({"runs": documents})
    elif not rows:
        note("nothing to resume")
    return next((code for code in (1, 2, signals.TEMPFAIL) if code in codes), 0)


def _go_on(night: Night, row: RunRow, strict: bool, engine: str | None = None) -> Outcome:
    there = engine == "temporal"
    if engine is None:
        there = night.do(resumable.is_distant(night.journal, row))
    elif not there and row.owner is not None and row.owner.is_workflow:
        from nightproof.cli import poking  # for runs that Temporal has

        row = night.do(poking.take_back(night.journal, night.settings, row))
    target = _target(row)
    kept = json.loads(row.options or b"{}")
    contract = _contract(row, target, kept.get("folder"))
    options = Options(bool(kept.get("effects")), strict)
    if there:
        return night.distant(target, contract, row.replicate, options)
    return night.attempt(
        target.job, contract, replicate=row.replicate, options=options, target=row.target
    )


def _target(row: RunRow) -> targets.Target:
    elsewhere = (
        "The same contract is the same run wherever its job lies: "
        "`nightproof run NEWPATH:job CONTRACT` resumes it as well."
    )
    if not row.target:
        raise TargetError(f"run {row.name} does not say where its job is", elsewhere)
    file = row.target.rpartition(":")[0]
    if file.endswith(".py") and not Path(file).is_file():
        raise TargetError(
            f"run {row.name} was started from {file}, which is not there any more", elsewhere
        )
    target = targets.load(row.target)
    if target.job.name != row.job:
        raise TargetError(
            f"{row.target} is now the job '{target.job.name}', and run {row.name} is one of "
            f"'{row.job}'",
            elsewhere,
        )
    return target


def _contract(row: RunRow, target: targets.Target, folder: str | None) -> Any:
    wanted = running.contract_type(target.job)
    try:
        contract = wanted.load(row.contract).in_folder(folder)
    except ContractError as error:
        raise ContractError(
            f"the contract of run {row.name} no longer fits its job: {error.message}",
            f"Restore the class {wanted.__name__}, or start a new run.",
        ) from error
    if contract.digest != row.digest:
        raise ContractError(
            f"the class {wanted.__name__} has changed: the contract of run {row.name} would get "
            "another digest, which is another run",
            "Restore the class, or start a new run with `nightproof run`.",
        )
    return contract


def _again(row: RunRow) -> str:
    return f"nightproof run {row.target} CONTRACT"
