"""The commands that read the journal: runs, show, steps, logs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from nightproof import app, views
from nightproof.cli.session import Session, emit, note
from nightproof.cli.table import local, out, painted, rows
from nightproof.contract.secrets import hidden
from nightproof.errors import NotFound, UsageError
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunFilter
from nightproof.model.states import RunStatus
from nightproof.views import ItemView, RunSummary, RunView, documents
from nightproof.views.documents import plain
from nightproof.views.listing import RunPage
from nightproof.views.notes import ModelNote, PromptNote, WitnessNote
from nightproof.views.values import duration

if TYPE_CHECKING:
    from nightproof.views.watch import OutputView, WatchView

INPUTS_SHOWN = 60


def opened(session: Session) -> Reader:
    """The journal, to be read."""
    return app.open_reader(session.settings())


def runs(
    session: Session,
    job: str | None,
    status: Sequence[str],
    limit: int,
    *,
    contains: str = "",
    since: str | None = None,
    until: str | None = None,
    own: bool = False,
    before: int | None = None,
) -> int:
    """``nightproof runs``."""
    known = {str(one): one for one in RunStatus}
    for word in status:
        if word not in known:
            raise UsageError(f"--status {word} is no status", f"Known: {', '.join(known)}.")
    want = RunFilter(
        job=job, status=tuple(known[word] for word in status), limit=limit, text=contains,
        since=_moment("--since", since), until=_moment("--until", until), own=own, before=before,
    )  # fmt: skip
    found = RunPage([], None)
    try:
        found = asyncio.run(documents.runs(opened(session), want))
    except NotFound as error:
        note(f"{error.message}: no runs")
    if session.json:
        emit(plain(found))
        return 0
    if found.runs:
        body = [
            [run.run, views.word(run), local(run.created), duration(run.took), _remark(run)]
            for run in found.runs
        ]
        out("\n".join(rows(["RUN", "STATUS", "STARTED", "TOOK", ""], body)))
        if found.next is not None:
            note(f"more: --before {found.next}")
    return 0


def _moment(option: str, text: str | None) -> int | None:
    """A time with an offset, or the beginning of a day here, in milliseconds."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        day = len(text) == len("2026-11-22")
        if found.tzinfo is None and not day:
            raise ValueError
        return int(found.timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"{option} {text} is neither a day nor a time with an offset",
            "Like 2026-11-22 or 2026-11-22T04:30+01:00.",
        ) from None


def _remark(run: RunView) -> str:
    told = []
    if run.attempts > 1:
        told.append(f"{run.attempts} attempts")
    if run.status == "running" and run.alive:
        told.append(f"on {run.owner}")
    if run.error:
        told.append(run.error)
    if run.waiting:
        told.append(f"waits for {run.waiting}" + (f" until {local(run.wake)}" if run.wake else ""))
    return ", ".join(told)


def show(session: Session, name: str) -> int:
    """``nightproof show RUN``."""
    settings = session.settings()

    async def read() -> documents.Run:
        reader = opened(session)
        return await documents.run(reader, await views.open_run(reader, name), settings)

    found = asyncio.run(read())
    if session.json:
        emit(plain(found))
    else:
        out("\n".join(told(found, found.watch)))
    return 0


def told(found: RunSummary, doing: WatchView | None = None) -> list[str]:
    """A run's summary in lines."""
    run = found.run
    status = views.word(run)
    lines = [f"{run.run}  {painted(status)}"]
    lines.append(f"  job       {run.job}  ({run.target})")
    lines.append(f"  contract  {run.contract}")
    if found.engine != "embedded":
        lines.append(f"  engine    {found.engine}")
    ended = f", ended {local(run.finished)}" if run.finished else ""
    lines.append(f"  started   {local(run.created)}{ended}, {duration(run.took)} in all")
    lines += [f"  attempt   {o.n}: {painted(o.outcome)}  {o.process}" for o in found.attempts]
    if doing is not None and run.alive:
        beat = f"; its process beat at {local(doing.heartbeat)}" if doing.heartbeat else ""
        step = f" with '{doing.step}'" if doing.step else ""
        lines.append(f"  came on   {duration(doing.silent)} ago{step}{beat}")
        if doing.silent > doing.limit:
            lines.append(f"  stalled   its limit is {duration(doing.limit)} without a checkpoint")
    if run.waiting:
        until = f" until {local(run.wake)}" if run.wake else ""
        lines.append(f"  waits     for {run.waiting}{until}")
    if found.error is not None:
        lines.append(f"  error     {run.error}")
    if found.result is not None:
        text = json.dumps(hidden(found.result), ensure_ascii=False)
        lines.append(f"  result    {text if len(text) <= 600 else text[:599] + '…'}")
    elif found.result_blob:
        lines.append(f"  result    in blob {found.result_blob}")
    if found.steps:
        body = [[s.step, _of(s.done, s.total), str(s.failed or "")] for s in found.steps]
        lines += ["", *rows(["STEP", "DONE", "FAILED"], body)]
    if found.effects:
        body = [[e.effect, e.state, e.key] for e in found.effects]
        lines += ["", *rows(["EFFECT", "STATE", "KEY"], body)]
    lines += _extras(found, doing)
    if found.next:
        lines += ["", f"next: {found.next}"]
    return lines


def _usual(one: OutputView | None) -> str:
    """What a measure was in the nights before."""
    if one is None or one.median is None:
        return ""
    nights = f"{one.nights} nights" if one.nights > 1 else "the night before"
    return f"  (median of {nights}: {one.median:,.10g})"


def _of(done: int, total: int | None) -> str:
    return str(done) if total is None else f"{done}/{total}"


def _extras(found: RunSummary, doing: WatchView | None) -> list[str]:
    usual = {one.name: one for one in doing.outputs} if doing is not None else {}
    lines = [
        f"  measure   {name} = {value}{_usual(usual.get(name))}"
        for name, value in found.measures.items()
    ]
    if doing is not None:
        lines += [
            f"  measure   {one.name} was not taken{_usual(one)}"
            for one in doing.outputs
            if one.value is None and one.silent and found.run.status == "completed"
        ]
        lines += [f"  decided   {one.what}, because {one.because}" for one in doing.decisions]
    lines += [f"  artifact  {one.path}" for one in found.artifacts]
    lines += [f"  child     {name}" for name in found.children]
    lines += [f"  changed   the code of {one.what}" for one in found.code_changes]
    lines += [f"  changed   {one.message}" for one in found.environment_changes]
    lines += [f"  worker    {worker}" for worker in found.workers]
    lines += [f"  prompt    {_prompt(one)}" for one in found.prompts]
    lines += [f"  model     {_model(one)}" for one in found.models]
    if found.witness is not None:
        lines.append(f"  reads     {_reads(found.witness, found.run.run)}")
    lines += [f"  differs   {one.message}" for one in found.divergences[:10]]
    if found.retries:
        lines.append(f"  retries   {found.retries}: `nightproof logs {found.run.run}`")
    return ["", *lines] if lines else []


def _reads(seen: WitnessNote, run: str) -> str:
    level, count, names = seen.level, seen.undeclared, seen.names
    if not count:
        return f"nothing undeclared, as far as level {level} sees"
    first = ", ".join(names[:3]) + (", …" if count > 3 else "")
    return f"{count} undeclared (level {level}): {first}; `nightproof env reads {run}`"


def _prompt(one: PromptNote) -> str:
    return f"{one.id}  sha256 {one.sha256[:12]}" + ("" if one.locked else ", not locked")


def _model(one: ModelNote) -> str:
    answered = f", answered by {one.reported}" if one.reported else ""
    times = f", {one.count} times" if one.count > 1 else ""
    return f"{one.requested}{answered}: {one.status}{times}"


def steps(
    session: Session, name: str, step: str | None, failed: bool, limit: int, after: int
) -> int:
    """``nightproof steps RUN``."""

    async def read() -> documents.Steps:
        reader = opened(session)
        row = await views.open_run(reader, name)
        return await documents.steps(
            reader, row, step=step, failed=failed, after=after, limit=limit
        )

    page = asyncio.run(read())
    if session.json:
        emit(plain(page))
        return 0
    body = [
        [str(one.seq), one.step, one.key, one.state, duration(one.took / 1000), _shown(one)]
        for one in page.steps
    ]
    if body:
        out("\n".join(rows(["SEQ", "STEP", "KEY", "STATE", "TOOK", "INPUTS → OUTPUT"], body)))
    if page.next is not None:
        note(f"more: nightproof steps {page.run} --after {page.next}")
    return 0


def _shown(one: ItemView) -> str:
    if one.error:
        return one.error
    inputs = "" if one.inputs is None else json.dumps(hidden(one.inputs), ensure_ascii=False)
    if len(inputs) > INPUTS_SHOWN:
        inputs = inputs[: INPUTS_SHOWN - 1] + "…"
    return f"{inputs} → {one.output or ('blob ' + one.blob[:19] if one.blob else '-')}"


def logs(session: Session, name: str, with_steps: bool, limit: int) -> int:
    """``nightproof logs RUN``."""

    async def read() -> documents.Log:
        reader = opened(session)
        row = await views.open_run(reader, name)
        return await documents.log(reader, row, steps=with_steps, limit=limit)

    found = asyncio.run(read())
    if session.json:
        emit(plain(found))
        return 0
    if found.earlier:
        note(f"{found.earlier} earlier lines: --limit shows more")
    for line in found.log:
        out(f"{local(line.at)}  {painted(line.kind)}  {line.text}")
    return 0
