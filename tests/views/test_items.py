"""One item whole, however large it is."""

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
