"""The log of a run in pages, whole and narrowed."""

import asyncio

import pytest
from course_jobs import ask, broken, enrich, make, say

from nightproof import (
    job,
    measure,
    views,
)
from nightproof.views.timeline import LOGS, log


def test_log_in_pages_is_the_whole_log(night, night_contract, killed):
    """Whatever the size of a page, walking back through the pages gives every line once."""
    dying = [True]

    @job(name="main")
    async def body(contract: night_contract) -> int:
        for n in range(12):
            measure(f"m{n}", n)
            await asyncio.sleep(0.002)
        await enrich.map(range(3))
        await say(1)
        if dying[0]:
            raise killed
        return 1

    night.die(body)
    dying[0] = False
    name = night.run(body).name
    whole = ask(night, name, lambda app, row: views.timeline(app.journal, row))
    for limit in (1, 4, 1000):

        async def walk(app, row, limit=limit):
            found, before = [], None
            while True:
                page = await log(app.journal, row, before=before, limit=limit)
                found = page.lines + found
                before = page.before
                if before is None:
                    return found

        lines = ask(night, name, walk)
        told = sorted((one.at, one.kind, one.text) for one in lines)
        expected = sorted((one.at, one.kind, one.text) for one in whole)
        assert [one[1:] for one in told if one[1] != "died"] == [
            one[1:] for one in expected if one[1] != "died"
        ]
        assert [one.kind for one in lines].count("died") == 1


@pytest.mark.parametrize("what", LOGS)
def test_log_narrowed(night, night_contract, what):
    """Each way to narrow a log leaves lines that are also in the whole one."""
    broken.add(2)
    name = night.run(make(night_contract)).name
    whole = ask(night, name, lambda app, row: log(app.journal, row, limit=1000))
    some = ask(night, name, lambda app, row: log(app.journal, row, what=what, limit=1000))
    texts = [line.text for line in whole.lines]
    assert [line.text for line in some.lines if line.text not in texts] == []
    present = {"failures": "failure", "attempts": "started"}
    if what in present:
        assert present[what] in [line.kind for line in some.lines]
