"""Whether there is something new about a run."""

from nightproof import job, step
from nightproof.journal.records import Owner, Wanted
from nightproof.model.identity import ProcessIdentity
from nightproof.views import audit, news


@step
async def one() -> int:
    """A step."""
    return 1


def test_what_people_had_done_to_a_run_is_news_of_it(night, night_contract):
    """The intent, and what came of it; nothing that was done to another run."""

    @job
    async def main(contract: night_contract) -> int:
        return await one()

    name = night.run(main).name

    async def marks(app):
        found = [await news.mark(app.journal, name)]
        number = 0
        for run in (name, "another-1"):
            intent = audit.intent("ana@desk", "resume", run, "nightproof resume")
            number = await app.journal.audit(intent)
            found.append(await news.mark(app.journal, name))
            await app.journal.audited(number, 0, "completed")
            found.append(await news.mark(app.journal, name))
        return found

    before, intended, done, *other = night.ask(marks)
    assert len({before, intended, done}) == 3
    assert set(other) == {done}


def test_a_child_run_and_a_signal_are_news_of_a_run(night, night_contract):
    """That a child began, that it was cancelled, that somebody sent something."""

    @job
    async def main(contract: night_contract) -> int:
        return await one()

    name = night.run(main).name

    async def marks(app):
        journal = app.journal
        row = await journal.find(name)
        found = [await news.mark(journal, name)]
        owner = Owner(ProcessIdentity("elsewhere/b/n", 1, 1), 1, 30_000)
        wanted = Wanted("part", "sha256:1", b"{}", parent=row.id)
        child = (await journal.claim(wanted, owner)).run
        found.append(await news.mark(journal, name))
        await journal.request_cancel(child.id)
        found.append(await news.mark(journal, name))
        await journal.send(row.id, "go", b"1")
        found.append(await news.mark(journal, name))
        return found

    assert len(set(night.ask(marks))) == 4
