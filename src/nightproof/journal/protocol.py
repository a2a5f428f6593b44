"""What a store must be able to do. Engines and views know only this."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from nightproof.journal.quotas import QuotaBook, QuotaReader
from nightproof.journal.records import (
    AttemptRow,
    Boot,
    Claimed,
    CodeRow,
    Collected,
    EffectRow,
    Entry,
    LaneBatch,
    Owner,
    Recorded,
    RunFilter,
    RunRow,
    Settle,
    SignalRow,
    UseBlob,
    Wanted,
)

if TYPE_CHECKING:
    from nightproof.journal.incidents import Checkpoint, IncidentRow
    from nightproof.journal.listing import (
        AuditRow,
        EffectFilter,
        EffectPlace,
        JobRow,
        RunGroup,
        SpanRow,
    )
    from nightproof.journal.schedules import FireRow, ScheduleRow


class Reader(QuotaReader, Protocol):
    """The read side of a store."""

    @property
    def url(self) -> str:
        """The URL the store was opened with."""
        ...

    async def present(self) -> None:
        """Raise StoreError where the store is not the one that was opened any more.

        For whoever has it open for long: a file that was removed or replaced under its
        readers looks to them as it was, for ever.
        """
        ...

    async def find(self, name: str) -> RunRow | None:
        """The run with this name, or the only one whose name starts with it."""
        ...

    async def runs(self, want: RunFilter) -> list[RunRow]:
        """Runs, newest first."""
        ...

    async def run(self, run: int) -> RunRow:
        """The run with this id. Raises NotFound where it is gone."""
        ...

    async def jobs(self) -> list[JobRow]:
        """The jobs that have runs of their own, by name."""
        ...

    async def groups(self, since: int) -> list[RunGroup]:
        """The runs of jobs' own that were created at `since` (ms) or later, counted.

        By job, quarter of an hour and status; for calendars in any time zone.
        """
        ...

    async def entries(
        self,
        run: int,
        kinds: Sequence[int] = (),
        after: int = -1,
        limit: int = -1,
        *,
        codes: Sequence[int] = (),
        text: bytes = b"",
        before: int | None = None,
        newest: bool = False,
        skip: int = 0,
    ) -> list[Entry]:
        """The history of a run in order, from behind sequence number `after`, up to `before`.

        Only those of some `kinds` or `codes`, or whose inputs contain `text`; the first
        `limit` behind the first `skip` of them. With `newest` the last ones are counted
        instead; they come in order too. Where results are not among the kinds, their number
        does not matter to the time this takes.
        """
        ...

    async def tally(self, run: int) -> list[tuple[int, int, int]]:
        """``(kind, code, count)`` over the history of a run."""
        ...

    async def spans(self, run: int, bounds: Sequence[int] = ()) -> list[SpanRow]:
        """The history of a run counted and timed, by kind, code and part; one scan.

        The parts are what lies between the `bounds` (ms, in order): the attempts of a run.
        """
        ...

    async def states(self, run: int, codes: Sequence[int], reopened: int = -1) -> str:
        """A letter for each result (d) and failure (f) of the given codes, in order.

        Failures up to sequence number `reopened` are left out.
        """
        ...

    async def codes(self, ids: Iterable[int]) -> dict[int, CodeRow]:
        """Names and digests of the given code ids."""
        ...

    async def blob_size(self, digest: str) -> int | None:
        """The bytes of a blob that some run refers to; None where none does."""
        ...

    async def attempts(self, run: int) -> list[AttemptRow]:
        """The attempts at a run, oldest first."""
        ...

    async def effects(self, run: int | None = None) -> list[EffectRow]:
        """The effects that a run announced, or all of them."""
        ...

    async def effect(self, key: str) -> EffectRow | None:
        """The ledger's row for a key."""
        ...

    async def ledger(self, want: EffectFilter) -> list[EffectRow]:
        """Effects of all runs, newest first."""
        ...

    async def reach(self, want: EffectFilter, count: int) -> EffectPlace | None:
        """The place of the last of `count` effects behind `want.before`; None for fewer.

        Of the run that is asked for, whatever their state and text: how far a search comes
        that looks at so many.
        """
        ...

    async def delivered(self, digest: str, limit: int = 50) -> list[Entry]:
        """The artifacts on record with this sha256, newest first."""
        ...

    async def audits(
        self, limit: int = 50, before: int | None = None, run: str | None = None
    ) -> list[AuditRow]:
        """What people had done, newest first; with ids below `before`, to the run of a name."""
        ...

    async def signals(self, run: int) -> list[SignalRow]:
        """The signals that a run has not yet taken, oldest first."""
        ...

    async def boots(self, limit: int = 50, idle: bool = False) -> list[Boot]:
        """The newest boot records; with `idle` those that own no attempt."""
        ...

    async def incidents(self, since: int | None = None) -> list[IncidentRow]:
        """The incidents that last, and those that cleared at `since` (ms) or later.

        The latest to open come first; None gives all that are kept.
        """
        ...

    async def checkpoint(self, run: int) -> Checkpoint | None:
        """The last outcome on record of a run: a result, a failure, a value, an artifact."""
        ...

    async def schedules(self) -> list[ScheduleRow]:
        """Every schedule that was ever served, by name."""
        ...

    async def recorded(self, run: int, fps: Sequence[bytes]) -> dict[bytes, Entry]:
        """Of a run that several processes write: the outcomes on record, whole, by fingerprint.

        Damaged ones are left out. See :meth:`Journal.share`.
        """
        ...

    async def fires(self, schedule: str, first: int, last: int) -> list[FireRow]:
        """What runs for the times from `first` to `last` (milliseconds, both included)."""
        ...


class Journal(Reader, QuotaBook, Protocol):
    """A store that engines write to.

    All writes of a run carry its fencing token; a token that is no longer
    the run's is refused, whatever else the same commit holds.
    """

    @property
    def commits_inline(self) -> bool:
        """Whether :meth:`commit` is done when it returns."""
        ...

    async def boot(self, boot: Boot) -> None:
        """Record that a process started, or a later stage of its start."""
        ...

    async def claim(self, want: Wanted, owner: Owner, takeover: int | None = None) -> Claimed:
        """Create or find the run, and own it if nobody does.

        Where another attempt is in possession, the claim succeeds only with
        `takeover` equal to that attempt's token: the caller has made sure that
        it is dead (see :mod:`nightproof.journal.lease`).
        """
        ...

    def commit(self, batches: list[LaneBatch]) -> frozenset[int] | Awaitable[frozenset[int]]:
        """Write everything in one durable transaction.

        Returns the runs whose token was refused (nothing of theirs was written).
        A store that commits in the caller's thread returns the set itself, one
        that waits for a server returns an awaitable.
        """
        ...

    async def share(self, run: int, token: int, reopened: bool) -> None:
        """Prepare a run for ``LaneBatch(shared=True)``: list the outcomes of its history.

        The first entry of a fingerprint is its outcome (see `counts` in journal/records).
        Failures and what was undone before the run was reopened are none; with `reopened`
        that is all of them. Raises LeaseLost when fenced.
        """
        ...

    async def index(self, run: int, inline: int) -> tuple[list[Recorded], list[int]]:
        """The replayable history of a run, outputs only up to `inline` bytes,
        and the sequence numbers of entries that are damaged.
        """
        ...

    async def last_seq(self, run: int) -> int:
        """The highest sequence number of a run's history, -1 for none."""
        ...

    async def outputs(self, run: int, seqs: Sequence[int]) -> dict[int, Entry]:
        """Whole entries by sequence number; damaged ones are left out."""
        ...

    async def intend(self, batch: LaneBatch, row: EffectRow) -> tuple[EffectRow, bool]:
        """Announce an effect durably.

        Returns the ledger's row and whether the caller may act now: True for a new
        key or one that is CLEAR. Raises LeaseLost when fenced.
        """
        ...

    def vouch(self, tries: Sequence[tuple[str, bytes, bytes | None]]) -> None:
        """Say of effects that are being tried that they still are; called from any thread.

        Each is its key, the mark of who tries it (:class:`~nightproof.journal.trying.Trying`),
        and what the ledger is to have now: a later beat, or None for what was given up. What
        is no intent of that mark any more stays as it is.
        """
        ...

    async def confess(self, settle: Settle) -> bool:
        """Settle an effect for an attempt that has lost its run; False where `seen` is over."""
        ...

    def pulse(self, owned: Mapping[int, int], lease_ms: int) -> frozenset[int]:
        """Extend the leases of ``{run: token}``; called from the heartbeat's thread.

        Returns the runs that are no longer the caller's.
        """
        ...

    def hear(self, act: Callable[[], None]) -> None:
        """Call `act` in the event loop when :meth:`changed` may have something to tell.

        A store that nobody tells never does: it has to be asked now and then.
        """
        ...

    async def changed(self) -> bool:
        """Whether another connection has written since the last call."""
        ...

    async def cancelled(self, runs: Iterable[int]) -> frozenset[int]:
        """Which of the given runs somebody asked to cancel."""
        ...

    async def request_cancel(self, run: int) -> bool:
        """Ask the owner to cancel; with no owner the run is cancelled at once (True)."""
        ...

    async def send(self, run: int, name: str, payload: bytes) -> None:
        """Leave a signal for a run, durably, and make it due if it is parked."""
        ...

    async def resolve(self, key: str, happened: bool, output: bytes | None) -> EffectRow:
        """A person's decision about an effect whose outcome is unknown."""
        ...

    async def audit(self, row: AuditRow) -> int:
        """Record what a person is about to do; the id that the row has got."""
        ...

    async def audited(self, id: int, code: int, outcome: str) -> None:
        """Record what came of it."""
        ...

    async def forget_audits(self, before_ms: int, dry_run: bool = False) -> int:
        """Remove what people had done before a time; how much that is, also with `dry_run`."""
        ...

    async def due(self, now_ms: int) -> list[RunRow]:
        """Runs that nobody works on and that could go on now, oldest first."""
        ...

    async def annotate(self, run: int, data: bytes, blobs: Sequence[UseBlob] = ()) -> bool:
        """Add an event to the history of a run that no process works on.

        `blobs` are what it refers to. False where a process does work on it: then
        nothing is written.
        """
        ...

    async def refer(self, run_name: str, blobs: Sequence[UseBlob]) -> bool:
        """Note that a run refers to `blobs`, whoever works on it.

        False where there is no run of that name: then nothing is written.
        """
        ...

    async def open_incident(self, row: IncidentRow) -> IncidentRow:
        """Note that something is wrong; returns what is kept.

        One that lasts stays as it is. One whose end nobody was told of goes on as if it
        had never cleared; one that is over begins anew.
        """
        ...

    async def clear_incident(self, key: str, at: int) -> bool:
        """Note that it is over; False where it was already."""
        ...

    async def tell_incident(self, key: str, opened: int, before: int, after: int) -> bool:
        """Set `notified` from `before` to `after`; False where another process came first."""
        ...

    async def keep_schedule(self, row: ScheduleRow) -> ScheduleRow:
        """Remember that a schedule is served; `since` stays unless its spec has changed."""
        ...

    async def fire(self, row: FireRow) -> tuple[FireRow, bool]:
        """Fix what runs for a time; what whoever came first has fixed, and whether that is `row`."""
        ...

    async def retain(
        self, finished_before: int, keep: int, job: str | None, dry_run: bool
    ) -> Collected:
        """Delete whole finished runs, each in one transaction; the effect ledger stays."""
        ...

    async def referenced(self, digests: Iterable[str]) -> set[str]:
        """Which of the blobs some run refers to."""
        ...

    async def check(self) -> list[str]:
        """What is wrong with the store, one line each."""
        ...

    async def close(self) -> None:
        """Give back everything; the object must not be used afterwards."""
        ...
