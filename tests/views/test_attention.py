"""What needs a person, with and without a watcher."""

import json
from datetime import UTC, datetime

import pytest

from nightproof import Retry, effect, job, measure, step, wait_for
from nightproof.journal.incidents import IncidentRow
from nightproof.journal.listing import EffectFilter
from nightproof.journal.schedules import ScheduleRow
from nightproof.model.states import RunStatus
from nightproof.views import attention, listing, usual
from nightproof.views.watch import History


@pytest.fixture
def morning(fake_clock):
    """It is eight o'clock."""
    fake_clock.at = datetime(2026, 10, 15, 8, tzinfo=UTC).timestamp()
    return fake_clock


def needs(night, **more):
    """All that needs a person."""
    return night.ask(lambda app: attention.attention(app.journal, **more))


@effect(key="mail/{n}", unknown="hold")
def mail(n: int) -> int:
    raise ConnectionError("the line went dead")


@step(retry=Retry(attempts=1), name="broken")
def broken(n: int) -> int:
    raise ValueError("no rows")


@pytest.fixture
def jobs(night_contract):
    """Jobs that come to a bad end, by name."""

    @job(name="sends")
    async def sends(contract: night_contract) -> int:
        return await mail(contract.n)

    @job(name="breaks")
    async def breaks(contract: night_contract) -> int:
        return await broken(contract.n)

    @job(name="waits")
    async def waits(contract: night_contract) -> int:
        return await wait_for("go", int)

    return {"sends": sends, "breaks": breaks, "waits": waits}


def test_nothing_needs_anybody(night, morning, night_contract):
    """Neither in an empty store nor after a night that completed."""
    assert needs(night) == []

    @job(name="main")
    async def main(contract: night_contract) -> int:
        return 1

    night.run(main)
    assert needs(night) == []


def test_a_held_effect_is_to_be_decided_about(night, morning, night_contract, jobs):
    """With its key, why it is unknown, and the command; over once it is resolved."""
    name = night.run(jobs["sends"], night_contract(n=3)).name
    [one] = needs(night)
    assert (one.kind, one.job, one.run, one.effect) == ("held", "sends", name, "mail/3")
    assert "the line went dead" in one.note
    assert one.next == f"nightproof resolve {name} 'mail/3' --happened, or --retry"
    night.resolve("mail/3", True, b"3")
    assert [one.kind for one in needs(night)] != ["held"]


def test_what_is_held_is_not_hidden_by_newer_doubts(
    night, morning, night_contract, jobs, monkeypatch
):
    """Of a thousand runs that are at work each may have an effect that is just being tried."""
    monkeypatch.setattr(attention, "_EFFECTS", 1)
    names = set()
    for n in range(3):
        names.add(night.run(jobs["sends"], night_contract(n=n)).name)
        morning.at += 60
    assert {one.run for one in needs(night) if one.kind == "held"} == names


def test_failed_nights_are_told_for_a_day_or_until_the_job_runs_again(
    night, morning, night_contract, jobs
):
    """After a day only where it is the newest of its job, after a week not at all."""
    first = night.run(jobs["breaks"], night_contract(n=1)).name
    morning.at += 3600
    second = night.run(jobs["breaks"], night_contract(n=2)).name
    found = needs(night)
    assert [(one.kind, one.run, one.next) for one in found] == [
        ("failed", second, f"nightproof resume {second}"),
        ("failed", first, f"nightproof resume {first}"),
    ]
    assert "no rows" in found[0].note
    morning.at += 86_400 * 2
    assert [one.run for one in needs(night)] == [second]
    morning.at += 86_400 * 7
    assert needs(night) == []


def test_a_run_that_waits_for_a_signal_names_it(night, morning, night_contract, jobs):
    """And the command that sends it."""
    name = night.run(jobs["waits"], park_after=0.01).name
    [one] = needs(night)
    assert (one.kind, one.run, one.signal) == ("signal", name, "go")
    assert one.next == f"nightproof signal {name} 'go'"
    night.send(name, "go", b"5")
    assert needs(night) == [], "it is there: whoever serves goes on in a moment"
    morning.at += 3600
    [one] = needs(night)
    assert (one.kind, one.next) == ("overdue", f"nightproof resume {name}")
    night.run(jobs["waits"])
    assert needs(night) == []


def test_a_run_that_its_process_left_is_interrupted(night, morning, night_contract, killed):
    """Nobody has to watch for it to be seen; a stall of the same run is not told twice."""

    @step(name="dies")
    async def dies(n: int) -> int:
        raise killed

    @job(name="main")
    async def main(contract: night_contract) -> int:
        return await dies(contract.n)

    night.die(main)
    [one] = needs(night)
    assert (one.kind, one.job) == ("interrupted", "main")
    assert one.next == f"nightproof resume {one.run}"
    assert one.since.startswith("2026-10-15T08:00")
    noted(night, f"stalled:{one.run}", "stalled", "main", one.run)
    assert [one.kind for one in needs(night)] == ["interrupted"]


def noted(night, key, kind, job, run, note="as a watcher noted"):
    """A watcher has noted this."""
    row = IncidentRow(key, kind, job, run, 1, None, 0, note)
    night.ask(lambda app: app.journal.open_incident(row))


def test_what_a_watcher_noted_stands_until_the_run_moves_on(night, morning, night_contract, jobs):
    """An incident of a run that has completed since is not told, one about no run is."""

    @job(name="main")
    async def main(contract: night_contract) -> int:
        return 1

    name = night.run(main).name
    noted(night, f"failed:{name}", "failed", "main", name)
    noted(night, "failed:gone", "failed", "main", "gone")
    noted(night, "quota:admob", "quota", "", "", "90 of 100 are used")
    noted(night, "no-output:main:rows", "no-output", "main", name, "0 rows")
    found = needs(night)
    assert [(one.kind, one.quota, one.note) for one in found] == [
        ("no-output", "", "0 rows"),
        ("quota", "admob", "90 of 100 are used"),
    ]


def test_many_alike_are_one(night, morning, night_contract, jobs):
    """The newest of them, and how many; the most urgent kind first."""
    for n in range(5):
        newest = night.run(jobs["breaks"], night_contract(n=n)).name
        morning.at += 1
    held = night.run(jobs["sends"], night_contract(n=9)).name
    assert [(one.kind, one.count, one.run) for one in needs(night)] == [
        ("held", 1, held),
        ("failed", 5, newest),
    ]


def test_missed_nights_and_schedules_that_nobody_serves(night, morning):
    """One line for all schedules that are not served; the missed ones with their backfill."""
    for name in ("a/tonight", "b/tonight"):
        spec = {"tz": "Asia/Tokyo", "at": "04:30", "missed": "catch up", "catchUp": 7}
        now = int(morning.at * 1000)
        row = ScheduleRow(name, name[0], "jobs.py:a", json.dumps(spec), now, now)
        night.ask(lambda app, row=row: app.journal.keep_schedule(row))
    assert needs(night) == []
    morning.at += 86_400
    found = needs(night)
    assert [(one.kind, one.schedule) for one in found] == [
        ("missed", "a/tonight"),
        ("missed", "b/tonight"),
        ("unserved", "a/tonight"),
    ]
    assert found[0].next == (
        "nightproof schedule backfill --from 2026-10-16 --to 2026-10-16 --name a/tonight jobs.py:a"
    )
    assert "a/tonight, b/tonight" in found[2].note


def test_pages_of_runs(night, morning, night_contract, jobs):
    """Each page goes on behind the last; interrupted is told from running."""

    @job(name="main")
    async def main(contract: night_contract) -> int:
        return contract.n

    names = [night.run(main, night_contract(n=n)).name for n in range(5)][::-1]
    parked = night.run(jobs["waits"], park_after=0.01).name

    def page(standing="", **want):
        asked = listing.RunFilter(**want)
        return night.ask(lambda app: listing.listed(app.journal, asked, standing))

    first = page(limit=2, job="main")
    assert [one.run for one in first.runs] == names[:2]
    second = page(limit=2, job="main", before=first.next)
    last = page(limit=2, job="main", before=second.next)
    assert [one.run for one in (*second.runs, *last.runs)] == names[2:]
    assert last.next is None
    assert page("interrupted", limit=2).runs == []
    opened = night.ask(lambda app: listing.open_rows(app.journal))
    assert [row.name for row in opened] == [parked]
    assert listing.counts(opened) == listing.OpenCounts(0, 0, 1)
    assert night.ask(lambda app: listing.job_names(app.journal)) == ["main", "waits"]


def test_the_last_run_beside_what_is_usual(night, morning, night_contract):
    """A value that was never seen and is far off is unusual, one that is missing too."""

    @job(name="main")
    async def main(contract: night_contract) -> int:
        measure("rows", 100 + contract.n % 10 if contract.n < 100 else contract.n)
        if contract.n != 8:
            measure("pages", 3)
        if contract.n == 7:
            measure("far", float("inf"))
        morning.at += 400 if contract.n == 8 else 10
        return contract.n

    def newest():
        [found] = night.ask(lambda app: usual.newest(app.journal, ["main"], History(), 60))
        return found

    for n in range(8):
        night.run(main, night_contract(n=n))
    one = newest()
    assert (one.usual, one.unusual, one.complete) == (10.0, [], True)
    assert [out.name for out in one.outputs] == ["rows", "pages"]
    night.run(main, night_contract(n=8))
    one = newest()
    assert one.took == [10.0] * 8 + [400.0]
    assert one.unusual == [
        "took longer than any of the 8 nights before",
        "pages: was not measured",
    ]
    night.run(main, night_contract(n=1000))
    rows = newest().outputs[0]
    assert rows.values == [100, 101, 102, 103, 104, 105, 106, 107, 108, 1000]
    assert rows.unusual == "more than in any of the 9 nights before"
    told = night.ask(lambda app: usual.course(app.journal, "main", History(), patience=60))
    assert told.took == [10.0] * 8 + [400.0, 10.0]
    assert {one.name: one.values[-2:] for one in told.outputs} == {
        "rows": [108, 1000],
        "pages": [None, 3],
    }


def test_without_time_nothing_is_read(night, morning, night_contract):
    """What was read so far is not shown as if it were all."""

    @job(name="main")
    async def main(contract: night_contract) -> int:
        measure("rows", contract.n)
        return 1

    for n in range(3):
        night.run(main, night_contract(n=n))
    [one] = night.ask(lambda app: usual.newest(app.journal, ["main"], History(), -1))
    assert (one.complete, one.outputs, len(one.took)) == (False, [], 3)
    told = night.ask(lambda app: usual.course(app.journal, "main", History(), patience=-1))
    assert (told.complete, told.outputs, len(told.took)) == (False, [], 3)


def test_a_part_of_a_run_and_a_run_that_completed_need_nobody(night, morning, night_contract, jobs):
    """A child run goes on with its parent; what completed made up its mind about its effects."""
    waits = night.run(jobs["waits"], night_contract(n=1)).name
    sends = night.run(jobs["sends"], night_contract(n=1)).name

    async def look(app):
        journal = app.journal
        row, other = await journal.find(waits), await journal.find(sends)
        acts = await journal.ledger(EffectFilter(run=other.id))

        class Only:
            def __init__(self, status):
                self.status = status

            async def ledger(self, want):
                return list(acts)

            async def run(self, number):
                return other._replace(status=RunStatus(self.status))

        return (
            [len(attention._open([one], 900.0)) for one in (row, row._replace(parent=1))],
            [len(await attention._effects(Only(status), [])) for status in ("failed", "completed")],
        )

    assert night.ask(look) == ([1, 0], [1, 0])
