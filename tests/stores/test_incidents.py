"""What a store keeps of incidents: each is open once, and told once by whoever comes first."""

from nightproof import artifact, job, measure, step
from nightproof.journal.incidents import ALL_TOLD, OPEN_TOLD, UNTOLD, IncidentRow
from nightproof.model.states import Kind

DAY = 86_400_000
ROW = IncidentRow("stalled:a", "stalled", "main", "main-1", 1000, None, UNTOLD, "no checkpoint")


def test_an_incident_opens_once_and_clears_once(night):
    """A second opening changes nothing; a second clearing says so."""

    async def ask(app):
        journal = app.journal
        assert await journal.open_incident(ROW) == ROW
        assert await journal.open_incident(ROW._replace(opened=2000, note="again")) == ROW
        assert await journal.clear_incident(ROW.key, 3000)
        assert not await journal.clear_incident(ROW.key, 4000)
        assert [row.cleared for row in await journal.incidents()] == [3000]
        assert await journal.incidents(3001) == []
        assert len(await journal.incidents(3000)) == 1

    night.ask(ask)


def test_what_comes_back_before_its_end_was_told_goes_on(night):
    """It flickered: people hear nothing of it. Later it is another incident."""

    async def ask(app):
        journal = app.journal
        await journal.open_incident(ROW)
        assert await journal.tell_incident(ROW.key, 1000, UNTOLD, OPEN_TOLD)
        await journal.clear_incident(ROW.key, 3000)
        back = await journal.open_incident(ROW._replace(opened=4000))
        assert (back.opened, back.cleared, back.notified) == (1000, None, OPEN_TOLD)
        await journal.clear_incident(ROW.key, 5000)
        assert await journal.tell_incident(ROW.key, 1000, OPEN_TOLD, ALL_TOLD)
        other = await journal.open_incident(ROW._replace(opened=6000, note="other"))
        assert other == ROW._replace(opened=6000, note="other")

    night.ask(ask)


def test_only_one_of_two_tellers_wins(night):
    """The second finds that the state is another than it has read."""

    async def ask(app):
        journal = app.journal
        await journal.open_incident(ROW)
        assert await journal.tell_incident(ROW.key, 1000, UNTOLD, -5)
        assert not await journal.tell_incident(ROW.key, 1000, UNTOLD, -6)
        assert not await journal.tell_incident(ROW.key, 999, -5, OPEN_TOLD)
        assert [row.notified for row in await journal.incidents()] == [-5]

    night.ask(ask)


def test_old_incidents_are_forgotten(night):
    """A quarter of a year after their end; what lasts stays."""

    async def ask(app):
        journal = app.journal
        await journal.open_incident(ROW)
        await journal.clear_incident(ROW.key, 2000)
        await journal.open_incident(ROW._replace(key="lasts"))
        await journal.open_incident(ROW._replace(key="new", opened=2001 + 90 * DAY))
        assert [row.key for row in await journal.incidents()] == ["new", "lasts"]

    night.ask(ask)


def test_the_last_checkpoint_is_an_outcome(night, night_contract):
    """A result or an artifact is one; what a run says of itself is none."""

    @step
    async def work() -> int:
        return 1

    @job(name="main")
    async def main(contract: night_contract) -> int:
        measure("before", 1)
        found = await work()
        await artifact("a.txt", "text")
        measure("after", 1)
        return found

    name = night.run(main).name

    async def ask(app):
        row = await app.journal.find(name)
        found = await app.journal.checkpoint(row.id)
        assert found.kind == Kind.ARTIFACT
        entries = await app.journal.entries(row.id)
        assert [one.at for one in entries if one.seq == found.seq] == [found.at]
        assert await app.journal.checkpoint(row.id + 1) is None

    night.ask(ask)
