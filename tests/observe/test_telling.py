"""Who is told, when, and how often: sinks that fail, watchers that die, several at once."""

import pytest

from nightproof import observe
from nightproof.errors import StoreBusy
from nightproof.journal.incidents import IncidentRow

ROW = IncidentRow("held:a", "held", "main", "main-1", 1_800_000_000_000, None, 0, "decide")


def opened(night, *rows):
    async def ask(app):
        for row in rows or (ROW,):
            await app.journal.open_incident(row)

    night.ask(ask)


def tell(night, watcher):
    return night.ask(lambda app: watcher.tell(app.journal))


def test_a_sink_that_fails_is_tried_again_a_minute_later(night, told, fake_clock):
    """Not at once; and once it works, once."""
    watcher = observe.Watcher(night.settings(), [told])
    opened(night)
    told.broken = True
    assert tell(night, watcher) == []
    assert watcher.problems == ["the sink is broken"]
    told.broken = False
    fake_clock.at += 30
    assert tell(night, watcher) == []
    fake_clock.at += 31
    assert [one.key for one in tell(night, watcher)] == ["held:a"]
    assert (watcher.problems, watcher.failures) == ([], 1)
    fake_clock.at += 90
    assert tell(night, watcher) == []
    assert len(told.texts) == 1


def test_one_of_two_sinks_is_enough(night, told, fake_clock):
    """What works is not told twice because something else does not."""
    broken = type(told)()
    broken.broken = True
    watcher = observe.Watcher(night.settings(), [broken, told])
    opened(night)
    tell(night, watcher)
    fake_clock.at += 90
    tell(night, watcher)
    assert len(told.texts) == 1
    assert watcher.failures == 1


def test_what_a_dead_watcher_had_claimed_is_told_by_another(night, told, fake_clock):
    """It had said that it would; a minute later somebody else does."""
    opened(night)
    claim = -int(fake_clock.at * 1000)
    night.ask(lambda app: app.journal.tell_incident(ROW.key, ROW.opened, 0, claim))
    watcher = observe.Watcher(night.settings(), [told])
    assert tell(night, watcher) == []
    fake_clock.at += 61
    assert len(tell(night, watcher)) == 1


def test_what_cleared_before_it_was_told_is_told_once(night, told, fake_clock):
    """One message says that it was, and that it is over."""
    opened(night)
    night.ask(lambda app: app.journal.clear_incident(ROW.key, ROW.opened + 90_000))
    watcher = observe.Watcher(night.settings(), [told])
    tell(night, watcher)
    tell(night, watcher)
    assert told.news == [("held", "cleared")]
    assert "over after 1 min" in told.texts[0]


def test_the_same_news_of_one_job_is_one_message(night, told, fake_clock):
    """Three runs of a job, and one of another."""
    rows = [ROW._replace(key=f"held:{n}", job="b" if n == 3 else "a") for n in range(4)]
    opened(night, *rows)
    tell(night, observe.Watcher(night.settings(), [told]))
    assert len(told.texts) == 2
    assert len(told.incidents) == 4


def test_without_sinks_incidents_are_kept(night, fake_clock):
    """They are returned, to be logged, once."""
    opened(night)
    watcher = observe.Watcher(night.settings())
    assert len(tell(night, watcher)) == 1
    assert tell(night, watcher) == []


def test_a_store_that_does_not_answer_is_told_too(night, told, fake_clock, monkeypatch):
    """A frozen process may hold its lock: the incident cannot even be written down."""
    watcher = observe.Watcher(night.settings(stall=100), [told])
    busy = True

    async def look(app):
        async def incidents(since=None):
            if busy:
                raise StoreBusy("the journal is locked")
            return []

        monkeypatch.setattr(app.journal, "incidents", incidents)
        return await watcher(app.journal)

    for _ in range(4):
        with pytest.raises(StoreBusy):
            night.ask(look)
        fake_clock.at += 51
    assert told.news == [("store", "opened")]
    assert "nothing can be watched since 1 min: the journal is locked" in told.texts[0]
    busy = False
    assert len(night.ask(look)) == 1
    assert night.ask(look) == []
    assert told.news == [("store", "opened"), ("store", "cleared")]
