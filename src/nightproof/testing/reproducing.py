"""Run a job several times on one contract, and insist on one result."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nightproof import app, config
from nightproof.config import Settings
from nightproof.contract import Contract
from nightproof.drift.normalise import Normaliser, normalisers
from nightproof.durable.job import Job
from nightproof.engines.attempt import Options
from nightproof.errors import MisuseError, NightproofError
from nightproof.journal.records import RunRow
from nightproof.model.states import Kind, RunStatus
from nightproof.testing import parting
from nightproof.views.drift import Compared, compared, drift


class NotReproducible(AssertionError):
    """Two runs of one contract gave different results; the message shows where they part."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """An artifact of a run: its name, where it lies, and its job's normalisers."""

    name: str
    path: Path
    rules: tuple[Normaliser, ...] = ()


@dataclass(slots=True, weakref_slot=True)
class Reproduced:
    """Runs of one contract that agree.

    `value` is the result of the first; `artifacts` are its files, by name. `others`
    are the other runs, each beside the first.
    """

    job: str
    contract: str
    value: Any
    artifacts: dict[str, Delivered] = field(default_factory=dict)
    others: list[Compared] = field(default_factory=list)

    @property
    def identical(self) -> bool:
        """Whether the runs agree byte for byte, without normalising."""
        return all(one.equal_raw for one in self.others)

    def artifact(self, name: str) -> Delivered:
        """An artifact of the first run. Raises KeyError that says which there are."""
        if name not in self.artifacts:
            known = ", ".join(self.artifacts) or "none"
            raise KeyError(f"job '{self.job}' delivered no artifact '{name}'; it delivered {known}")
        return self.artifacts[name]


def assert_reproducible(
    job: Job[Any, Any],
    contract: Contract | Mapping[str, Any] | str | Path,
    times: int = 3,
    *,
    exact: bool = False,
    processes: bool = False,
    results: Mapping[str, Any] | None = None,
    folder: str | Path | None = None,
) -> Reproduced:
    """Run `job` on `contract` `times` times and fail where the results differ.

    Every run is a fresh one in a store of this call's own, and none performs effects:
    what they would have sent is compared. An effect gives None there, or what `results`
    has under its name. The runs share this process, so that fixtures and patches reach
    them; with `processes` each has one of its own, as every night has, and what depends
    on the order of a set or on something cached shows. What the job declares in
    ``@job(normalise=...)`` is no difference, unless `exact`. `folder` keeps journal and
    files (default: a temporary folder).

    Raises NotReproducible, whose message shows where the runs part; the job's own error
    where it fails, RunParked where it waits; MisuseError for arguments that make no sense.
    """
    __tracebackhide__ = True
    given = _checked(job, contract, times, processes, results)
    place = Path(tempfile.mkdtemp(prefix="nightproof-", dir=folder)).resolve()
    try:
        runs = _Runs(job, given, place, results or {})
        if processes:
            runs.in_processes(times)
        else:
            asyncio.run(runs.here(times))
        found, told = asyncio.run(runs.compared(exact))
    except BaseException:
        if folder is None:
            shutil.rmtree(place, ignore_errors=True)
        raise
    if told:
        # What a look at the difference needs stays.
        raise NotReproducible(told)
    if folder is None:
        weakref.finalize(found, shutil.rmtree, place, ignore_errors=True)
    return found


def _checked(
    job: object, contract: Any, times: object, processes: bool, results: object
) -> Contract:
    if not isinstance(job, Job):
        raise MisuseError(
            f"assert_reproducible(...): expected a job, got {job!r}",
            "Give the function that @job decorates.",
        )
    if type(times) is not int or times < 2:
        raise MisuseError(
            f"assert_reproducible(..., times={times!r}): one run cannot differ from itself",
            "Write 2 or more.",
        )
    if processes and results:
        raise MisuseError(
            "assert_reproducible(..., processes=True, results=...): the results of effects "
            "cannot be given to other processes",
            "Leave one of them out.",
        )
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise MisuseError(
            "assert_reproducible(...) was called inside an event loop",
            "Call it in a plain test function, not in an async one.",
        )
    if isinstance(contract, Contract):
        return contract
    wanted = job.contract_type
    if not issubclass(wanted, Contract):
        raise MisuseError(
            f"the parameter of job '{job.name}' is a {wanted.__name__}, not a Contract",
            "Derive its class from nightproof.Contract.",
        )
    return wanted.load(contract)


class _Runs:
    """The runs of one call, in a folder of their own."""

    def __init__(
        self,
        job: Job[Any, Any],
        contract: Contract,
        place: Path,
        results: Mapping[str, Any],
    ) -> None:
        self._job = job
        self._contract = contract
        self._place = place
        self._results = results
        self._url = f"sqlite:///{place}/journal.db"
        self._names: list[str] = []

    def _settings(self) -> Settings:
        # Nothing here has to survive a power cut, and nothing is signed with a person's key.
        return config.load(
            store=self._url,
            blobs=str(self._place / "blobs"),
            artifacts=str(self._place / "artifacts"),
            keys=str(self._place / "keys"),
            durability="normal",
        )

    async def here(self, times: int) -> None:
        """Make them in this process."""
        application = app.App(self._settings())
        options = Options(answers=self._results)
        try:
            for number in range(1, times + 1):
                outcome = await application.run(
                    self._job, self._contract, replicate=number, options=options
                )
                if outcome.error is not None and (
                    number == 1 or outcome.status is not RunStatus.FAILED
                ):
                    await self._hint(application, outcome.name, outcome.error)
                    raise outcome.error
                self._names.append(outcome.name)
        finally:
            await application.close()

    async def _hint(self, application: app.App, name: str, error: BaseException) -> None:
        """Name the effects whose missing results may be why the run failed."""
        row = await application.journal.find(name)
        assert row is not None
        withheld = set()
        for entry in await application.journal.entries(row.id, (Kind.EVENT,)):
            note = json.loads(entry.output or b"{}")
            if note["kind"] == "effect-withheld":
                withheld.add(note["effect"])
        if withheld := withheld - set(self._results):
            error.add_note(
                f"Effects are not performed here, so {', '.join(sorted(withheld))} gave None; "
                "assert_reproducible(..., results={name: value}) gives another result."
            )

    def in_processes(self, times: int) -> None:
        """Make each in a process of its own, with the command."""
        settings = self._settings()
        folder = self._contract.source_folder
        command = [sys.executable, "-m", "nightproof", "run", self._job.target, "-"]
        places = {name: getattr(settings, name) for name in ("store", "blobs", "artifacts", "keys")}
        for number in range(1, times + 1):
            ran = subprocess.run(
                [*command, "--replicate", "--json"],
                input=self._contract.to_json().encode(),
                capture_output=True,
                check=False,
                # Relative datasets lie beside the contract's file.
                cwd=folder if folder is not None and folder.is_dir() else None,
                env={
                    **os.environ,
                    "NIGHTPROOF_DURABILITY": "normal",
                    "NIGHTPROOF_ENGINE": "embedded",
                }
                | {f"NIGHTPROOF_{name.upper()}": text for name, text in places.items()},
            )
            self._names.append(_made(ran, number))

    async def compared(self, exact: bool) -> tuple[Reproduced, str]:
        """What was made, and the message about the first run that differs ("" for none)."""
        settings = self._settings()
        reader, blobs = app.open_reader(settings), app.open_blobs(settings)
        rows = [await reader.find(name) for name in self._names]
        first, *others = [row for row in rows if row is not None]
        rules = normalisers([declared for _, declared in self._job.normalise])
        rules = tuple(
            rule._replace(name=name)
            for rule, (name, _) in zip(rules, self._job.normalise, strict=True)
        )
        found = Reproduced(self._job.name, first.digest, None)
        differing = []
        for row in others:
            view = await drift(reader, blobs, first, row, rules)
            one = compared(view.comparison)
            found.others.append(one)
            if not (one.equal_raw if exact else one.equal):
                differing.append(view)
        if differing:
            return found, parting.told(differing[0], len(differing), len(others), self._url)
        found.value = self._value(first, blobs)
        for entry in await reader.entries(first.id, (Kind.ARTIFACT,)):
            note = json.loads(entry.output or b"{}")
            found.artifacts[note["name"]] = Delivered(note["name"], Path(note["path"]), rules)
        return found, ""

    def _value(self, row: RunRow, blobs: Any) -> Any:
        data = row.result if row.result_blob is None else blobs.get(row.result_blob)
        return self._job.result.decode(data or b"null")


def _made(ran: subprocess.CompletedProcess[bytes], number: int) -> str:
    """The name of the run that a process made. Raises what it failed with."""
    try:
        document = json.loads(ran.stdout)
    except ValueError:
        document = {}
    status = document.get("status")
    if status == "completed" or (status == "failed" and number > 1 and document.get("run")):
        return str(document["run"])
    error = document.get("error") or {}
    last = ran.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
    message = error.get("message") or (last[0] if last else f"exit code {ran.returncode}")
    raise NightproofError(
        f"run {number} did not complete in a process of its own: {message}", error.get("hint", "")
    )


def rules_of(given: Sequence[Any] | Job[Any, Any]) -> tuple[Normaliser, ...]:
    """The normalisers of a job, or those of a list as ``@job(normalise=...)`` takes it."""
    if isinstance(given, Job):
        return normalisers([declared for _, declared in given.normalise])
    return normalisers([given] if isinstance(given, str) else given)
