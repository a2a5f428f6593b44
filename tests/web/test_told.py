"""Pages say what a run expects of a signal, and what did not fit."""

import sqlite3
from contextlib import closing

from nightproof.model.awaited import Awaited


def test_pages_say_what_a_signal_is_to_bring(own_house, serving):
    """The run's page and the form, before and after a payload was put aside."""
    run = own_house.runs["parked"]
    ours = serving(own_house)
    assert "It is to bring: text." in ours.get(f"/runs/{run}").text
    form = ours.get(f"/act/signal?run={run}&name=go").text
    assert "It waits for: go (text)." in form
    assert "did not fit" not in form
    wait = Awaited("go", "text").put_aside("Input should be a <b>string</b> (got 3)")
    with closing(sqlite3.connect(own_house.folder / ".nightproof" / "journal.db")) as db, db:
        db.execute("UPDATE run SET waiting = ? WHERE name = ?", (str(wait), run))
    page = ours.get(f"/runs/{run}").text
    assert "What came last did not fit" in page
    assert "Input should be a &lt;b&gt;string&lt;/b&gt;." in page
    assert f"nightproof signal {run} &#39;go&#39;" in page
    form = ours.get(f"/act/signal?run={run}").text
    assert "What came last for &#39;go&#39; did not fit and was put aside" in form
    assert 'name="name" value="go"' in form


def test_home_offers_the_signal_whatever_was_put_aside(own_house, serving):
    """A run that waits for a signal is named with it among what needs a person."""
    run = own_house.runs["parked"]
    wait = Awaited("go", "text").put_aside("Field required")
    with closing(sqlite3.connect(own_house.folder / ".nightproof" / "journal.db")) as db, db:
        db.execute("UPDATE run SET waiting = ? WHERE name = ?", (str(wait), run))
    page = serving(own_house).get("/").text
    assert f'href="/act/signal?run={run}&amp;name=go"' in page
