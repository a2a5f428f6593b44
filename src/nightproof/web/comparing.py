"""Comparisons, and checks of files, for pages: short ones at once, long ones in processes of their own, kept.

A comparison of long runs takes seconds of nothing but computing, which in a thread would slow
every page; and a job's own normalisers are code, which has no business in this process. So
those are made by ``nightproof diff``, ``budget`` and ``verify``, and a page says "not yet".
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request

from nightproof import app
from nightproof.drift.normalise import FUNCTION, Normaliser, normalisers
from nightproof.errors import NightproofError
from nightproof.journal.protocol import Reader
from nightproof.journal.records import Entry, RunFilter, RunRow
from nightproof.model import clock
from nightproof.model.states import Kind
from nightproof.serving.children import command
from nightproof.views import artifacts as delivered
from nightproof.views import budgets, verdicts
from nightproof.views.documents import plain
from nightproof.views.drift import budget, drift, normalise_names
from nightproof.views.values import parsed
from nightproof.web.site import Site, site_of

SHORT = 2000
"""Entries of the histories that are compared at once, together."""
SMALL = 1 << 18
"""Bytes of a file that is compared at once."""
FEW = 40
"""Runs of a job that are compared at once at most."""
KEPT = 50
WAITING = 8
"""Long comparisons that may wait for one another."""
PATIENCE_SECONDS = 0.15
"""How long a page waits for one that is under way."""
LONGEST_SECONDS = 600.0
"""How long a comparison may take: others wait for it."""
FORGOTTEN_SECONDS = 30.0
"""After so long what could not be compared is tried again."""
BUSY = (
    "too many comparisons are under way",
    "Look again in a moment, or compare on the command line: `nightproof diff A B`.",
)

Words = tuple[str, ...]
_VALUES = (Kind.RESULT, Kind.EFFECT, Kind.CHILD, Kind.ARTIFACT)


@dataclass(frozen=True, slots=True)
class Answer:
    """A comparison: its `document`, or why there is none (`error`, `hint`); neither: not yet.

    `seconds` is what it took, or for how long it has been under way.
    """

    document: dict[str, Any] | None = None
    error: str = ""
    hint: str = ""
    seconds: float = 0.0

    @property
    def pending(self) -> bool:
        """Whether it is still under way."""
        return self.document is None and not self.error


class Comparisons:
    """The comparisons of one dashboard, by the runs as they were when compared."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._done: OrderedDict[Words, tuple[float, Answer]] = OrderedDict()
        self._under_way: dict[Words, tuple[float, asyncio.Task[None]]] = {}
        self._one = asyncio.Semaphore(1)

    async def diff(self, a: RunRow, b: RunRow) -> Answer:
        """Run `b` beside run `a`: the document of ``diff --json``."""
        state = (a.id, a.updated, b.id, b.updated)
        key = ("diff", *map(str, state))

        async def now(reader: Reader) -> dict[str, Any] | None:
            rules = await _named(reader, max(a, b, key=lambda row: row.id))
            if rules is None or await _length(reader, (a, b)) > SHORT:
                return None
            made = await drift(reader, self._site.blobs, a, b, rules)
            found: dict[str, Any] = plain(made.document())
            return found

        return await self._answer(key, now, ("diff", "--json", "--", a.name, b.name))

    async def verify(self, row: RunRow) -> Answer:
        """The files of a run against manifests and journal: the document of ``verify --json``."""
        files = await delivered.files(self._site.journal, row)
        key = ("verify", str(row.id), str(row.updated), files)

        async def now(reader: Reader) -> dict[str, Any] | None:
            if await _length(reader, (row,)) > SHORT:
                return None
            found: dict[str, Any] = plain(await verdicts.run(reader, self._site.blobs, row))
            return found

        answer = await self._answer(key, now, ("verify", "--json", "--", row.name))
        if answer.document is not None and answer.document["run"] != row.name:
            why = "a file of its name lies where the server works"
            return Answer(None, f"run {row.name} cannot be checked here: {why}", "Remove it.")
        return answer

    async def budget(self, job: str, latest: bool = False) -> Answer:
        """All replicates of a job beside what they repeat: the document of ``budget --json``."""
        journal = self._site.journal
        rows = await journal.runs(RunFilter(job=job, status=budgets.ENDED, limit=-1, brief=True))
        newest = max((row.updated for row in rows), default=0)
        key = ("budget", job, str(latest), str(len(rows)), str(newest))
        contracts = Counter(row.digest for row in rows)
        repeated = [row for row in rows if contracts[row.digest] > 1]

        async def now(reader: Reader) -> dict[str, Any] | None:
            if len(repeated) > FEW or await _length(reader, repeated) > SHORT:
                return None
            whole = await budgets.ended(reader, job)
            rules = await _named(reader, whole[0])
            if rules is None:
                return None
            made = await budget(reader, self._site.blobs, whole, rules, latest)
            names = [rule.name for rule in rules]
            found: dict[str, Any] = plain(budgets.document(made, names, latest))
            return found

        words = ("budget", "--json", *(["--latest"] if latest else []), "--", job)
        return await self._answer(key, now, words)

    async def _answer(
        self,
        key: Words,
        now: Callable[[Reader], Awaitable[dict[str, Any] | None]],
        words: Words,
    ) -> Answer:
        known = self._done.get(key)
        if known is not None and (not known[1].error or _since(known[0]) < FORGOTTEN_SECONDS):
            self._done.move_to_end(key)
            return known[1]
        begun = clock.monotonic()
        if key not in self._under_way:
            try:
                found = await now(self._site.journal)
            except NightproofError as error:
                return self._keep(key, Answer(None, error.message, error.hint, _since(begun)))
            if found is not None:
                return self._keep(key, Answer(found, seconds=_since(begun)))
        if key not in self._under_way:  # by whoever asked meanwhile
            if len(self._under_way) >= WAITING:
                return Answer(None, *BUSY)
            task = asyncio.create_task(self._ask(key, words, begun))
            self._under_way[key] = begun, task
        begun, task = self._under_way[key]
        await asyncio.wait([task], timeout=PATIENCE_SECONDS)
        return self._done[key][1] if key in self._done else Answer(seconds=_since(begun))

    def _keep(self, key: Words, answer: Answer) -> Answer:
        self._done[key] = clock.monotonic(), answer
        while len(self._done) > KEPT:
            self._done.popitem(last=False)
        return answer

    async def _ask(self, key: Words, words: Words, begun: float) -> None:
        answer = Answer(None, "the comparison was not made", "The log of the server says why.")
        try:
            async with self._one:
                answer = await _command(words, app.absolute(self._site.settings.store))
        except OSError as error:
            answer = Answer(None, f"no process could be started: {error.strerror}", "Look again.")
        finally:
            self._under_way.pop(key, None)
            self._keep(key, replace(answer, seconds=_since(begun)))


def comparisons(request: Request) -> Comparisons:
    """The comparisons of the dashboard that was asked."""
    state = request.app.state
    if not hasattr(state, "comparisons"):
        state.comparisons = Comparisons(site_of(request))
    found: Comparisons = state.comparisons
    return found


async def _command(words: Words, store: str) -> Answer:
    """What a command answers; it is killed where nobody waits for it any more."""
    process = await asyncio.create_subprocess_exec(
        *command(), *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, start_new_session=True,
        env={**os.environ, "NIGHTPROOF_STORE": store},
    )  # fmt: skip
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            out, told = await process.communicate()
    except TimeoutError:
        line = shlex.join(["nightproof", *(word for word in words if word != "--json")])
        return Answer(None, "comparing takes longer than a page waits", f"In a terminal: {line}")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    try:
        found = json.loads(out)
    except ValueError:
        first, *rest = told.decode("utf-8", "replace").strip().split("\n")
        message = first.removeprefix("nightproof: ") or f"it ended with exit {process.returncode}"
        return Answer(None, message, " ".join(line.strip() for line in rest))
    return Answer(found)


async def _named(reader: Reader, row: RunRow) -> tuple[Normaliser, ...] | None:
    """The normalisers that a job declared by name; None where it has functions of its own."""
    names = await normalise_names(reader, row)
    if any(one.startswith(FUNCTION) for one in names):
        return None
    return normalisers(names)


async def _length(reader: Reader, rows: Sequence[RunRow]) -> int:
    """How many entries some runs have; more than SHORT where comparing them is much work.

    That is so where they have child runs, and where values or files are large.
    """
    total = 0
    for row in rows:
        last = await reader.entries(row.id, limit=1, newest=True)
        total += last[-1].seq + 1 if last else 0
        if total > SHORT or row.result_blob is not None:
            return SHORT + 1
        for entry in await reader.entries(row.id, _VALUES):
            if entry.kind == Kind.CHILD or entry.blob is not None or _file_size(entry) > SMALL:
                return SHORT + 1
    return total


def _file_size(entry: Entry) -> int:
    note = parsed(entry.output) if entry.kind == Kind.ARTIFACT else None
    size = note.get("size") if isinstance(note, dict) else 0
    return size if isinstance(size, int) else SMALL + 1


def _since(begun: float) -> float:
    return clock.monotonic() - begun
