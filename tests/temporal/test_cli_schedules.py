"""``nightproof schedule deploy``: what a Temporal Schedule fires is a run of its due time, once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.api.workflowservice.v1 import ListScheduleMatchingTimesRequest
from temporalio.client import Client, ScheduleBackfill, ScheduleOverlapPolicy, ScheduleUpdate
from tests.temporal.command import Place

from nightproof.cli.dispatching import Dispatcher
from nightproof.engines.temporal import schedules
from nightproof.model.timetable import Timetable

BERLIN, TOKYO = "nightly/berlin", "nightly/tokyo"


@pytest.fixture(scope="module")
def place(tmp_path_factory, temporal_server) -> Iterator[Place]:
    """A folder with jobs and a worker on them; the schedules are removed at the end."""
    here = Place(tmp_path_factory.mktemp("scheduled"), temporal_server.url)
    here.worker()
    yield here
    assert here("schedule", "deploy", "--prune").code == 0
    here.close()


def on_server(server: Any, act: Any) -> Any:
    """What `act` gives of a client of the server."""

    async def main() -> Any:
        return await act(await Client.connect(server.address))

    return asyncio.run(main())


def deployed(place: Place, *options: str) -> dict[str, str]:
    """What a deployment has done, by schedule."""
    ended = place("schedule", "deploy", "jobs.py", "--json", *options)
    assert ended.code == 0, ended.err
    return {one["schedule"]: one["change"] for one in ended.json["schedules"]}


def completed(place: Place) -> dict[str, str]:
    """The runs that completed, with the times they were due at."""
    found = {}
    for run in place("runs", "--json").json["runs"]:
        if run["status"] == "completed":
            found[run["run"]] = place("show", run["run"], "--json").json["result"]
    return found


@pytest.mark.drill
def test_a_schedule_is_deployed_fired_and_removed(place, temporal_server):
    """A dry run changes nothing, a second deployment neither; a backfill and a trigger of the
    same times are one run each, with the contract of the due time; --prune removes.
    """
    assert deployed(place, "--dry-run") == {BERLIN: "create", TOKYO: "create"}
    assert deployed(place) == {BERLIN: "create", TOKYO: "create"}
    assert deployed(place) == {BERLIN: "keep", TOKYO: "keep"}
    shown = place("schedule", "show", "jobs.py", "--deployed", "--json").json["schedules"]
    assert [one["deployed"]["paused"] for one in shown] == [False, False]
    assert shown[0]["deployed"]["next"][0][:16] == _utc(shown[0]["next"][0])[:16]

    first = datetime(2025, 10, 25, 12, tzinfo=UTC)
    nights = ScheduleBackfill(
        first, first + timedelta(days=2), overlap=ScheduleOverlapPolicy.ALLOW_ALL
    )

    async def fire(client: Client) -> None:
        berlin = client.get_schedule_handle(f"nightproof/{BERLIN}")
        await berlin.backfill(nights)
        await berlin.backfill(nights)
        await berlin.trigger()
        await berlin.trigger()

    on_server(temporal_server, fire)
    found = place.until(lambda: len(known := completed(place)) == 3 and known)
    # The clocks were put back on the 26th: 02:30 came twice, and the night is the first.
    assert sorted(found.values())[:2] == ["2025-10-26T02:30:00+02:00", "2025-10-27T02:30:00+01:00"]
    last = place("schedule", "show", "jobs.py", "--json").json["schedules"][0]["last"]
    assert last["run"] in found
    assert (
        place("schedule", "fire", "jobs.py", "2025-10-27T02:30+01:00", "--name", BERLIN).code == 0
    )
    assert set(completed(place)) == set(found)

    async def edit(client: Client) -> None:
        handle = client.get_schedule_handle(f"nightproof/{TOKYO}")
        await handle.pause()

        def hourly(told: Any) -> ScheduleUpdate:
            told.description.schedule.spec.calendars = []
            told.description.schedule.spec.cron_expressions = ["0 * * * *"]
            return ScheduleUpdate(told.description.schedule)

        await handle.update(hourly)

    on_server(temporal_server, edit)
    assert deployed(place) == {BERLIN: "keep", TOKYO: "update"}
    shown = place("schedule", "show", "jobs.py", "--deployed").out
    assert "paused" in shown
    pruned = place("schedule", "deploy", "--prune")
    assert (pruned.code, "2 removed" in pruned.out) == (0, True), pruned.err
    assert "not deployed" in place("schedule", "show", "jobs.py", "--deployed").out


@pytest.mark.parametrize(
    "times",
    [
        Timetable("Asia/Tokyo", "04:30"),
        Timetable("Europe/Berlin", "02:30"),
        Timetable("America/New_York", "02:30"),
        Timetable("America/Santiago", "00:10"),
        Timetable("Australia/Lord_Howe", "02:15"),
        Timetable("Europe/Berlin", "", "15 1-4 * * 0"),
        Timetable("Europe/Berlin", "", "0 5 1,15 * mon"),
    ],
    ids=str,
)
def test_the_server_fires_when_it_is_due(times, temporal_server):
    """Over 400 days the server's times are ours; of a doubled time it may take the second."""
    wanted = schedules.Wanted(f"{times}", "", times, "catch up", 7, timedelta(hours=1))
    begin = datetime.now(UTC)
    end = begin + timedelta(days=400)
    name = f"times/{times}"

    async def ask(client: Client) -> list[datetime]:
        handle = await client.create_schedule(name, schedules.made(wanted, "nobody"))
        try:
            answer = await client.workflow_service.list_schedule_matching_times(
                ListScheduleMatchingTimesRequest(
                    namespace="default", schedule_id=name, start_time=begin, end_time=end
                )
            )
        finally:
            await handle.delete()
        return [at.ToDatetime(UTC) for at in answer.start_time]

    told = set(on_server(temporal_server, ask))
    due = {at.astimezone(UTC) for at in times.fires(begin, end)}
    assert len(due) > 50
    doubled = told - due
    assert {at - timedelta(hours=1) for at in doubled} == due - told
    for at in doubled:
        assert at.astimezone(times.place).fold == 1


class _Fixed:
    """A journal in which nothing has run yet."""

    def __init__(self) -> None:
        self.kept: list[str] = []

    async def keep_schedule(self, row: Any) -> Any:
        self.kept.append(row.name)
        return row


@pytest.mark.parametrize(
    ("missed", "late", "expected"),
    [
        ("skip", 3, "skipped"),
        ("catch up", 30, "not among the newest 7"),
    ],
)
def test_a_night_that_waited_too_long_for_a_worker_is_not_begun(tmp_path, missed, late, expected):
    """The rules of `nightproof serve` hold for what waited in the task queue."""
    from nightproof.cli import scheduling  # needs targets on disk

    source = tmp_path / "late_jobs.py"
    source.write_text(
        "from datetime import datetime\nfrom nightproof import Contract, job\n"
        "class Night(Contract):\n    due: datetime\n"
        "@job\nasync def late(night: Night) -> int:\n    return 1\n"
        f"@late.nightly('02:30', tz='Asia/Tokyo', missed={missed!r})\n"
        "def each(due: datetime) -> Night:\n    raise RuntimeError('is not to be made')\n"
    )
    found = scheduling.declared([str(source)])

    async def never(*_: Any) -> None:
        raise AssertionError("it was begun")

    journal = _Fixed()
    dispatch = Dispatcher(journal, found, timedelta(hours=1), never)  # type: ignore[arg-type]
    times = found[0].plan.times
    at = times.last(40, datetime.now(UTC) - timedelta(days=60), datetime.now(UTC))[-late]
    ask = {"schedule": "late/each", "at": at.isoformat(), "begun": at.isoformat()}
    assert expected in asyncio.run(dispatch(ask))  # type: ignore[arg-type]
    assert journal.kept == ["late/each"]


def _utc(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).isoformat()


def test_a_night_fired_by_hand_runs_on_the_engine_in_force(place):
    """`schedule fire`, and so `serve` and backfill, go by the setting `engine`."""
    at = "2025-11-03T02:30+01:00"
    fired = place(
        "schedule", "fire", "jobs.py", at, "--name", BERLIN, "--json",
        NIGHTPROOF_ENGINE="temporal",
    )  # fmt: skip
    assert fired.code == 0, fired.err
    assert fired.json["result"] == "2025-11-03T02:30:00+01:00"
    assert place("show", fired.json["run"], "--json").json["engine"] == "temporal"
