"""Kill a job at every crash point, resume it, and compare with an undisturbed run."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from nightproof.errors import NightproofError, UsageError
from nightproof.model import clock
from nightproof.testing import evidence
from nightproof.testing.children import COMMAND, DRILL, FOLDER, Ended, Job, Place
from nightproof.testing.evidence import Evidence
from nightproof.testing.outside import Surround, nowhere
from nightproof.testing.points import Point, choose, read_trace, repeated
from nightproof.testing.report import Report, Row, table

MAX_RESUMES = 12
"""Attempts after the kill; a run that needs more is not getting anywhere."""
MIN_TIMEOUT = 60.0
TIMEOUT_FACTOR = 10.0
"""A child that takes this many times as long as the undisturbed run is stuck."""

WARNING = (
    "The job runs for real: its effects are performed twice undisturbed and once more for every "
    f"crash point. {DRILL}=1 is set in its environment, and {FOLDER} names a folder of "
    "each case's own, so that it can aim at a test account or a file."
)

Watch = Callable[[Row, int, int], None]
"""Told of every finished row, how many are done, and how many there will be."""


class DrillFailed(NightproofError):
    """The undisturbed run did not complete, so there is nothing to compare with."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a drill is done."""

    everything: bool = False
    """Every item of every map, not only the first, the middle and the last."""
    points: tuple[str, ...] = ()
    """Only points that fit one of these patterns (``effect:*``, ``load``, ``load:before``)."""
    limit: int | None = None
    """At most so many points."""
    seed: int | None = None
    """Draws the middle items, and the sample that `limit` leaves."""
    parallel: int = 2
    """Cases at once."""
    timeout: float | None = None
    """Seconds for one child; default ten times the undisturbed run, at least a minute."""
    folder: str | None = None
    """Where to work (default: a temporary folder)."""
    keep: bool = False
    """Keep journals, traces and artifacts; they are kept too where something differs."""


def drill(
    target: str,
    contract: str,
    options: Options | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    command: Iterable[str] = COMMAND,
    cwd: str | None = None,
    outside: Surround = nowhere,
    watch: Watch | None = None,
) -> Report:
    """Run the job undisturbed, then once for each crash point with a kill -9 there.

    `target` and `contract` are those of ``nightproof run``. `environ` is added to
    every child's environment (``{dir}`` stands for the case's own folder), `cwd` is
    their working folder. `outside` makes what each case acts on, and what that has
    counted is compared (see :mod:`nightproof.testing.outside`). Raises UsageError
    where the command refuses its input, DrillFailed where the undisturbed run does not
    complete.
    """
    options = options or Options()
    began = clock.monotonic()
    job = Job(target, contract, tuple(command), dict(environ or {}), cwd)
    if options.timeout is not None:
        job = _with_timeout(job, options.timeout)
    scratch = Path(tempfile.mkdtemp(prefix="nightproof-drill-", dir=options.folder)).resolve()
    report = Report(target, contract)
    try:
        _drill(job, scratch, options, report, outside, watch)
        report.seconds = clock.monotonic() - began
        return report
    finally:
        if options.keep or report.failures:
            report.kept = str(scratch)
        else:
            shutil.rmtree(scratch, ignore_errors=True)


def _drill(
    job: Job,
    scratch: Path,
    options: Options,
    report: Report,
    outside: Surround,
    watch: Watch | None,
) -> None:
    with ThreadPoolExecutor(max(1, options.parallel), thread_name_prefix="drill") as pool:
        began = clock.monotonic()
        places = [Place(scratch, name) for name in ("undisturbed", "undisturbed-again")]
        first, second = pool.map(lambda place: _undisturbed(job, place, outside), places)
        if options.timeout is None:
            took = clock.monotonic() - began
            job = _with_timeout(job, max(MIN_TIMEOUT, TIMEOUT_FACTOR * took))
        report.undisturbed = first.as_dict()
        unsteady = evidence.differences(first, second)
        report.remarks = [
            f"not compared, since two undisturbed runs differ too: {aspect} ({how})"
            for aspect, how in unsteady.items()
        ]
        trace = read_trace(places[0].trace(1))
        report.reached = len(trace)
        chosen = choose(
            trace,
            everything=options.everything,
            patterns=options.points,
            limit=options.limit,
            seed=options.seed,
        )

        def one(numbered: tuple[int, Point]) -> Row:
            name, point = f"{numbered[0]:03d}", numbered[1]
            while True:
                place = Place(scratch, name)
                with place.within(outside):
                    row = _Case(job, place, point, first, trace, set(unsteady)).row()
                earlier = point.earlier() if point.point.startswith("batch:") else None
                if row.verdict != "not reached" or earlier is None:
                    return row
                # Commits are grouped by chance: where there were fewer this time, an earlier
                # one does.
                name, point = f"{name}-{earlier.n}", earlier

        for row in pool.map(one, enumerate(chosen, start=1)):
            report.rows.append(row)
            if watch is not None:
                watch(row, len(report.rows), len(chosen))


def _with_timeout(job: Job, seconds: float) -> Job:
    return Job(job.target, job.contract, job.command, job.environ, job.cwd, seconds)


def _undisturbed(job: Job, place: Place, outside: Surround) -> Evidence:
    with place.within(outside):
        return _judged(job, place, place.run(job))


def _judged(job: Job, place: Place, ended: Ended) -> Evidence:
    if ended.code == 2:
        message, _, hint = ended.reason.partition("\n")
        raise UsageError(message, hint)
    if ended.status != "completed":
        raise DrillFailed(
            f"the undisturbed run of {job.target} did not complete "
            f"({ended.how}{', ' + ended.status if ended.status else ''}): {ended.reason}",
            "A drill needs a job that runs to its end by itself: no failing step, no signal to "
            "wait for, no wait beyond the park limit.",
        )
    return evidence.collect(place, ended)


class _Case:
    """One crash point: kill, resume until done, compare."""

    def __init__(
        self,
        job: Job,
        place: Place,
        point: Point,
        undisturbed: Evidence,
        trace: list[Point],
        unsteady: set[str],
    ) -> None:
        self.job = job
        self.place = place
        self.point = point
        self.undisturbed = undisturbed
        self.trace = trace
        self.unsteady = unsteady
        self.notes: list[str] = []
        self.resumes = 0

    def row(self) -> Row:
        """The outcome of this case."""
        killed = self._kill()
        if not killed.killed:
            return self._row(killed, killed, "not reached" if killed.code == 0 else "differs")
        ended = self._resume()
        problems = self._problems(ended)
        self.notes = [*problems, *self.notes]
        return self._row(killed, ended, "differs" if problems else "same")

    def _kill(self) -> Ended:
        killed = self.place.run(self.job, self.point.fail_at)
        if not killed.killed and killed.code != 0:
            self.notes.append(f"ended by itself before the point: {killed.reason}")
        return killed

    def _resume(self) -> Ended:
        while True:
            ended = self.place.run(self.job)
            self.resumes += 1
            if ended.status != "parked" or self.resumes >= MAX_RESUMES:
                return ended
            waiting = evidence.held(self.place)
            if not waiting:
                return ended
            acts = evidence.acts_of(self.place)
            for row in waiting:
                decided = evidence.resolve(self.place, row.key, acts.get(row.key, ()))
                self.notes.append(f"effect {row.key}: held, resolved {decided}")

    def _problems(self, ended: Ended) -> list[str]:
        if ended.status != "completed":
            return [f"not completed ({ended.how}): {ended.reason}"]
        found = evidence.collect(self.place, ended)
        problems = [
            f"{aspect}: {how}"
            for aspect, how in evidence.differences(self.undisturbed, found).items()
            if aspect not in {*self.unsteady, evidence.EFFECT_KEYS}
        ]
        keys = evidence.EFFECT_KEYS not in self.unsteady
        bad, remarks = evidence.judge_acts(self.undisturbed, found, keys)
        self.notes.extend(remarks)
        traces = [read_trace(self.place.trace(n)) for n in range(1, self.place.attempts + 1)]
        again = [
            f"{point.partition(':')[0]} {detail}: recorded, and done again all the same"
            for point, detail in repeated(self.trace, traces)
        ]
        return problems + bad + again

    def _row(self, killed: Ended, ended: Ended, verdict: str) -> Row:
        steps = ended.answer.get("steps") or {}
        return Row(
            point=self.point.point,
            where=self.point.where,
            fail_at=self.point.fail_at,
            exit=killed.how,
            resumes=self.resumes,
            executed=int(steps.get("executed", 0)),
            replayed=int(steps.get("replayed", 0)),
            verdict=verdict,  # type: ignore[arg-type]
            notes=tuple(self.notes),
        )


def _progress(row: Row, done: int, total: int) -> None:
    line = f"{done} of {total}: {row.point} {row.where} {row.verdict}"
    end = "\n" if done == total else ""
    # Back to the line's start, and what a longer line before has left is erased.
    sys.stderr.write(f"\r\x1b[K{line[:78]}{end}")
    sys.stderr.flush()


def main(
    target: str,
    contract: str,
    options: Options | None = None,
    *,
    json: bool = False,
    environ: Mapping[str, str] | None = None,
    command: Iterable[str] = COMMAND,
    show: Callable[[Report], None] | None = None,
    watch: Watch | None = None,
    outside: Surround = nowhere,
) -> int:
    """The command's work: warn, drill, show the report, and answer with the exit code.

    0: nothing differs; 1: something does, or a point was not reached, or the
    undisturbed run failed; UsageError (exit 2) is raised. `show` prints the report
    where it is not JSON (default: as plain text on stdout).
    """
    if not json:
        sys.stderr.write(WARNING + "\n")
        if watch is None and sys.stderr.isatty():
            watch = _progress
    report = drill(
        target, contract, options, environ=environ, command=command, watch=watch, outside=outside
    )
    if json:
        sys.stdout.write(report.to_json() + "\n")
    elif show is not None:
        show(report)
    else:
        sys.stdout.write(table(report))
    return 0 if report.ok else 1
