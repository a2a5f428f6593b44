"""``nightproof run``: boot record, target, contract, run, and what to say about it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TextIO, cast

from nightproof import app as composition
from nightproof.app import App
from nightproof.cli import outcome as outcomes
from nightproof.cli import signals, targets
from nightproof.cli.request import RunRequest
from nightproof.cli.session import complain, debugging, emit, isolated, note, origin, terminal
from nightproof.cli.targets import Target
from nightproof.config import Settings
from nightproof.contract.base import Contract
from nightproof.durable.context import current
from nightproof.durable.job import Job
from nightproof.engines.attempt import Options, Outcome, Run
from nightproof.errors import (
    AlreadyRunning,
    ContractError,
    Interrupted,
    MisuseError,
    NightproofError,
    StoreError,
    TargetError,
)
from nightproof.journal.protocol import Journal
from nightproof.model import clock
from nightproof.provenance import audit

if TYPE_CHECKING:
    from nightproof.observe.alongside import Alongside

BARS_AFTER_SECONDS = 0.4
"""A run that is over by then shows no bars."""


class Output:
    """stdout, kept for one JSON document where that was asked for.

    With ``--json`` whatever else is printed, by the job or by programs it starts,
    goes to stderr.
    """

    def __init__(self, json: bool) -> None:
        self.json = json
        self.job: str | None = None
        self.stream: TextIO = sys.stdout
        if json:
            sys.stdout.flush()
            self.stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
            os.dup2(2, 1)

    def document(self, content: dict[str, Any]) -> None:
        """Write the document."""
        emit(content, self.stream)
        self.stream.flush()

    def lines(self, told: list[str]) -> None:
        """Write lines for people."""
        for line in told:
            print(line)
        sys.stdout.flush()


class Night:
    """An event loop with a store on it: what ``run`` and ``resume`` work in."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._runner = asyncio.Runner()
        self.do = self._runner.run
        self.journal: Journal = composition.open_journal(settings)
        self.app: App | None = None
        self.stopper: signals.Stopper | None = None
        self.boot = 0
        self.began = False

    def start(self) -> None:
        """Write the boot record: the trace of a process that dies while importing."""
        self.boot = self.do(composition.boot(self.journal))
        if self.settings.witness:
            # From here on, so that what the job's import reads is heard.
            audit.install(current.get)
            audit.own()

    def attempt(self, job: Job[Any, Any], contract: Contract, **options: Any) -> Outcome:
        """One attempt at one run, with progress on a terminal."""
        return self.do(self._attempt(job, contract, options))

    async def _attempt(self, job: Job[Any, Any], contract: Contract, options: Any) -> Outcome:
        if self.app is None:
            self.app = App(self.settings, self.journal, self.boot)
            self.stopper = signals.Stopper(self.app.engine)
        watching: asyncio.Task[None] | None = None
        beside = _alongside(self.settings, self.journal)
        unheard = copy_context()  # what it reads is not what the job reads
        if beside is not None:
            unheard.run(current.set, cast("Any", beside))
        outcome: Outcome | None = None

        def watch(run: Run) -> None:
            nonlocal watching
            self.began = True
            if beside is not None:
                unheard.run(beside.begin, run.row)
            if terminal(sys.stderr):
                watching = asyncio.ensure_future(_display(run))

        try:
            outcome = await self.app.run(job, contract, watch=watch, notes=_notes(), **options)
            return outcome
        finally:
            if beside is not None:
                end = beside.end(outcome.status if outcome else None, _said(outcome))
                await asyncio.get_running_loop().create_task(end, context=unheard)
            if watching is not None:
                watching.cancel()
                with suppress(asyncio.CancelledError):
                    await watching

    def distant(
        self, target: Target, contract: Contract, replicate: int, options: Options
    ) -> Outcome:
        """As :meth:`attempt`, but workers do it, on Temporal."""
        from nightproof.cli import distant  # what it needs takes a while to import

        composition.require_temporal()
        distant.warn(self.settings)
        self.stage(f"on Temporal: job '{target.job.name}'")
        self.began = True
        return self.do(
            distant.attempt(self.journal, self.settings, target, contract, replicate, options)
        )

    def stage(self, text: str) -> None:
        """Say in the boot record why the process got to no run."""
        if self.boot and not self.began:
            with suppress(NightproofError):
                self.do(composition.boot(self.journal, text[:200], self.boot))

    def close(self) -> None:
        """Give everything back."""
        with suppress(StoreError):
            self.do(self.app.close() if self.app is not None else self.journal.close())
        self._runner.close()


def _alongside(settings: Settings, journal: Journal) -> Alongside | None:
    """Pings and a textfile, where they are configured; an isolated attempt has no way out."""
    if not (settings.textfile or "ping" in settings.alerts):
        return None
    if isolated() is not None:
        note("this attempt is isolated: it pings nobody and leaves no textfile")
        return None
    from nightproof.observe.alongside import Alongside  # not in the way of others' first step

    return Alongside(settings, journal, note)


def _said(outcome: Outcome | None) -> str:
    """How a run ended, for who is pinged."""
    if outcome is None:
        return ""
    if outcome.error is None:
        return f"run {outcome.name} {outcome.status}"
    from nightproof.contract.secrets import redact  # where something failed only

    return f"run {outcome.name} {outcome.status}: {redact(outcomes.message_of(outcome.error))}"


def _notes() -> dict[str, dict[str, Any]]:
    """What the run's log says of this process."""
    told = inside.event() if (inside := isolated()) is not None else None
    return {"isolation": told} if told is not None else {}


async def _display(run: Run) -> None:
    await clock.sleep(BARS_AFTER_SECONDS)
    from nightproof.cli import progress  # rich: never in the way of the first step

    await progress.follow(run.progress, run.row.name)


def run(request: RunRequest) -> int:
    """Carry out the request; the exit code."""
    if request.isolate != "L0":
        from nightproof.cli import isolating  # goes on in another process

        return isolating.run(request)
    output = Output(request.json)
    return concluding(output, lambda: _run(request, output))


def concluding(output: Output, act: Callable[[], int]) -> int:
    """The exit code of `act`; an error that it raises is also the JSON document."""
    try:
        return act()
    except AlreadyRunning as error:
        if output.json:
            output.document(outcomes.refused(error, error.run or None, output.job))
        complain(error)
        return 0
    except NightproofError as error:
        if output.json:
            output.document(outcomes.refused(error, job=output.job))
        raise
    except KeyboardInterrupt:
        stopped = Interrupted("interrupted before the run began; nothing was done")
        if output.json:
            output.document(outcomes.refused(stopped, status="running"))
        complain(stopped)
        return stopped.exit_code


def _run(request: RunRequest, output: Output) -> int:
    request.check()
    settings = request.settings()
    options = Options(request.effects, request.strict, request.bounds())
    night = Night(settings)
    try:
        night.start()
        signals.before_the_run()
        target = targets.load(request.target)
        output.job = target.job.name
        contract = read_contract(target.job, request.contract)
        replicate = -1 if request.replicate else 0
        if settings.engine == "temporal":
            outcome = night.distant(target, contract, replicate, options)
        else:
            outcome = night.attempt(
                target.job, contract, replicate=replicate, options=options, target=target.text
            )
        if outcome.from_record:
            night.stage("answered from the record")
    except (Exception, KeyboardInterrupt) as error:
        night.stage(f"{type(error).__name__}: {outcomes.message_of(error)}")
        raise
    finally:
        night.close()
    if output.json:
        output.document(outcomes.document(outcome))
    else:
        output.lines(outcomes.lines(outcome, again(request)))
    return ended(outcome)


def ended(outcome: Outcome) -> int:
    """The exit code of an outcome; with ``--debug`` its traceback on stderr."""
    if outcome.error is not None and debugging():
        import traceback

        traceback.print_exception(outcome.error)
    return outcomes.exit_code(outcome.error)


def contract_type(job: Job[Any, Any]) -> type[Contract]:
    """The class of the job's contract. Raises TargetError where it has none."""
    try:
        found = job.contract_type
    except MisuseError as error:
        raise TargetError(error.message, error.hint) from error
    if not issubclass(found, Contract):
        raise TargetError(
            f"the parameter of job '{job.name}' is a {found.__name__}, not a Contract",
            "Derive its class from nightproof.Contract.",
        )
    return found


def read_contract(job: Job[Any, Any], given: str) -> Contract:
    """The contract at a path, in ``-`` (stdin), or written out as JSON."""
    source: str | bytes = sys.stdin.buffer.read() if given == "-" else given
    wanted = contract_type(job)
    try:
        contract = wanted.load(source)  # App.run lints it
    except ContractError:
        from nightproof.contract import check

        check(wanted, source)  # shows what lint has to say in the same message
        raise
    if isolated() is not None and contract.source_folder is None:
        contract.in_folder(origin())
    return contract


def again(request: RunRequest) -> str:
    """The command that was typed, without its options."""
    import shlex  # at the end only

    contract = request.contract if len(request.contract) < 200 else "CONTRACT"
    level = f" --isolate {inside.level()}" if (inside := isolated()) is not None else ""
    engine = f" --engine {request.engine}" if request.engine else ""
    return f"nightproof run {shlex.quote(request.target)} {shlex.quote(contract)}{level}{engine}"
