"""One item whole, however large it is."""

import itertools

import pytest

from nightproof import job, step, views
from nightproof.errors import NotFound
from nightproof.model.states import Kind
from nightproof.views import grid

TEXT = "a line of a report\n" * 40_000


@pytest.fixture
def reading(night, night_contract):
    """A run whose only step returns a large text; read with a spy on the blobs."""

    @step(name="report")
    async def report(n: int) -> list[str]:
        return [TEXT] * n

    @job(name="main")
    async def main(contract: night_contract) -> int:
        return len(await report(contract.n))

    name = night.run(main, night_contract(n=1)).name

    def read(act):
        got = []

        async def ask(app):
            blobs, plain = app.blobs, app.blobs.get
            blobs.get = lambda digest: got.append(digest) or plain(digest)
            row = await views.open_run(app.journal, name)
            [entry] = [
                one
                for one in await app.journal.entries(row.id)
                if one.blob and one.kind == Kind.RESULT
            ]
            return await act(app.journal, blobs, row, entry.seq, "report")

        return night.ask(ask), got

    return read


def test_a_large_output_is_verified_and_cut(reading):
    """What is shown of it was compared with its digest, all of it."""
    found, got = reading(grid.item)
    assert (found.verified, found.cut, found.missing) == (True, True, "")
    assert found.text == ("[" + repr(TEXT).replace("'", '"'))[: grid.SHOWN]
    assert found.size == len(repr(TEXT)) + 2
    assert got == [found.digest]


def test_of_a_very_large_output_only_the_beginning_is_read(reading, monkeypatch):
    """Then it is not verified, and the view says so; a download of it is refused."""
    monkeypatch.setattr(grid, "VERIFIED", 100_000)
    monkeypatch.setattr(grid, "LARGEST", 100_000)
    found, got = reading(grid.item)
    assert (found.verified, found.cut, found.missing) == (False, True, "")
    assert found.text == ("[" + repr(TEXT).replace("'", '"'))[: grid.SHOWN]
    assert found.size == len(repr(TEXT)) + 2
    assert got == []
    with pytest.raises(NotFound, match="bytes, more than"):
        reading(grid.raw)


def test_an_output_that_is_gone_is_said_to_be(reading, monkeypatch):
    """Verified or not: a missing blob has no size and says what is missing."""
    for most in (grid.VERIFIED, 100_000):
        monkeypatch.setattr(grid, "VERIFIED", most)

        async def lost(journal, blobs, row, seq, name):
            blobs.delete((await journal.entries(row.id, after=seq - 1, limit=1))[0].blob)
            return await grid.item(journal, blobs, row, seq, name)

        found, _ = reading(lost)
        assert found.size is None
        assert "is missing" in found.missing


@pytest.mark.parametrize("backwards", [False, True])
def test_a_long_run_is_searched_a_part_at_a_time(night, night_contract, monkeypatch, backwards):
    """A page may be short or empty; going on finds every item once, in either direction."""
    monkeypatch.setattr(grid, "WINDOW", 10)

    @step(name="double")
    async def double(n: int) -> int:
        return 2 * n

    @job(name="main")
    async def main(contract: night_contract) -> int:
        return sum(await double.map(range(95), key=lambda n: f"n-{n:03}", concurrency=1))

    name = night.run(main).name

    async def look(app):
        row = await views.open_run(app.journal, name)
        seen = await grid.grid(app.journal, row, "double")
        ticks = itertools.count()
        monkeypatch.setattr(grid.clock, "perf", lambda: float(next(ticks)))
        pages, at = [], 1_000 if backwards else -1
        while at is not None:
            way = {"before": at} if backwards else {"after": at}
            page = await grid.listed(app.journal, row, seen, text="n-0", **way)
            pages.append([one.key for one in page.items])
            at = page.before if backwards else page.after
            assert len(pages) < 50
        rare = await grid.listed(app.journal, row, seen, text="n-094")
        return pages, rare

    pages, rare = night.ask(look)
    found = list(itertools.chain(*(reversed(pages) if backwards else pages)))
    assert found == [f"n-{n:03}" for n in range(95)]
    assert len(pages) >= 9
    assert (rare.items, rare.before) == ([], None)
    assert rare.after is not None
