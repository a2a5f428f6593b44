"""What the journal cannot take is an error for whoever waits, never a wait without end."""

import asyncio

import pytest

from nightproof import EffectHeld, Retry, effect, job, step
from nightproof.errors import StoreError


def test_an_error_text_that_is_no_text_is_recorded_readably(night, night_contract):
    """Names of files hold bytes that are no UTF-8; a message that quotes one is kept."""

    @effect(key="a", retry=Retry(attempts=1))
    async def act() -> int:
        raise RuntimeError("cannot send \udc80.csv")

    @job
    async def main(contract: night_contract) -> int:
        async with asyncio.timeout(20):
            return await act()

    outcome = night.run(main)
    assert isinstance(outcome.error, EffectHeld)
    assert "cannot send ?.csv" in outcome.error.message


def test_a_commit_that_fails_for_no_known_reason_ends_the_attempt(night, night_contract):
    """Everyone who waits for the commit gets an error that quotes the reason."""

    @step
    async def load(n: int) -> int:
        return n

    @job
    async def main(contract: night_contract) -> list[int]:
        return await load.map([1, 2, 3])

    async def attempt():
        app = night.app()

        def refuse(batches):
            raise ValueError("no such luck")

        working, app.journal.commit = app.journal.commit, refuse
        try:
            async with asyncio.timeout(20):
                broken = await app.run(main, night_contract())
        finally:
            app.journal.commit = working
            await app.close()
        return broken

    outcome = asyncio.run(attempt())
    assert isinstance(outcome.error, StoreError)
    assert "ValueError: no such luck" in outcome.error.message
    assert night.value(main) == [1, 2, 3]


@pytest.mark.parametrize("name", ["\udc80", "a\x00b"])
def test_odd_texts_in_results_are_refused_or_kept(night, night_contract, name):
    """A result that is no text is an error of the step; a NUL is a character like others."""

    @step(retry=Retry(attempts=1))
    async def load() -> str:
        return name

    @job
    async def main(contract: night_contract) -> str:
        return await load()

    outcome = night.run(main)
    assert (outcome.error is None) == (name != "\udc80")
    if outcome.error is None:
        assert outcome.value == name
