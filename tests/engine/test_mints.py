"""Expiring and secret steps: made when needed, refreshed when refused, never written down."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from nightproof import Retry, StepFailed, Unauthenticated, effect, job, step

QUICK = Retry(attempts=3, base=0)


def bytes_of(folder: Path) -> bytes:
    """Everything that the run has written."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_secret_is_never_written(night, killed, night_contract, tmp_path):
    """Not as a result, an argument, part of an argument, an item's argument or an error."""
    secret = "s3cr3t-token-value-0815"
    alive, made = [], []

    @step(expires=timedelta(minutes=18), secret=True)
    def token() -> str:
        made.append(1)
        return secret

    @step(retry=QUICK)
    async def fetch(country: str, token: str) -> str:
        assert token == secret
        return country.lower()

    @step
    async def call(headers: dict[str, str]) -> int:
        assert headers["Authorization"] == f"Bearer {secret}"
        return 1

    @step(retry=Retry(attempts=1))
    async def leaky(token: str) -> int:
        raise ValueError(f"the server refused {token}")

    @effect(key="act")
    async def act(token: str) -> int:
        assert token == secret
        return 1

    @step
    async def after() -> int:
        if not alive:
            raise killed
        return 1

    @job
    async def main(contract: night_contract) -> list[str]:
        key = await token()
        got = await fetch.map(["JP", "DE"], token=key)
        await call({"Authorization": f"Bearer {key}"})
        await act(key)
        try:
            await leaky(key)
        except StepFailed as failure:
            got.append(failure.type)
        await after()
        return got

    night.die(main)
    assert secret.encode() not in bytes_of(tmp_path)
    alive.append(1)
    outcome = night.run(main)
    assert outcome.value == ["jp", "de", "ValueError"]
    # Made again, since it was not kept; what used it was not run again.
    assert (len(made), outcome.replayed) == (2, 4)
    assert outcome.divergences == []
    assert secret.encode() not in bytes_of(tmp_path)


def test_an_expiring_result_is_kept_while_it_is_good(night, killed, night_contract, fake_clock):
    """Replayed before its time, made again after it; the identity of its users stays."""
    made, used, alive = [], [], []

    @step(expires=600)
    async def token() -> str:
        made.append(1)
        return f"token {len(made)}"

    @step
    async def use(n: int, token: str) -> str:
        used.append((n, token))
        return token

    @step
    async def after(n: int) -> int:
        if len(alive) < n:
            raise killed
        return 1

    @job
    async def main(contract: night_contract) -> list[str]:
        key = await token()
        got = [await use(1, key)]
        await after(1)
        got.append(await use(2, await token()))
        await after(2)
        got.append(await use(3, await token()))
        return got

    night.die(main)
    alive.append(1)
    night.die(main)
    assert len(made) == 1
    alive.append(1)
    fake_clock.at += 700
    assert night.value(main) == ["token 1", "token 1", "token 2"]
    assert used == [(1, "token 1"), (2, "token 1"), (3, "token 2")]


@pytest.mark.parametrize("form", ["argument", "nested", "effect"])
def test_a_refused_token_is_refreshed_once(night, night_contract, form):
    """As an argument, or fetched inside the step: one new token, one more try."""
    made, tries = [], []

    @step(expires=600, secret=True)
    async def token() -> str:
        made.append(1)
        return f"token-{len(made)}"

    def refuse(key: str) -> str:
        tries.append(key)
        if key == "token-1":
            raise Unauthenticated("401")
        return key

    @step(retry=QUICK)
    async def by_argument(key: str) -> str:
        return refuse(key)

    @step(retry=QUICK)
    async def nested() -> str:
        return refuse(await token())

    @effect(key="k", retry=QUICK, unknown="retry")
    async def act(key: str) -> str:
        return refuse(key)

    @job
    async def main(contract: night_contract) -> str:
        if form == "nested":
            return await nested()
        return await (by_argument if form == "argument" else act)(await token())

    assert night.value(main) == "token-2"
    assert (len(made), tries) == (2, ["token-1", "token-2"])


def test_a_token_that_is_refused_again_fails_the_step(night, night_contract):
    """One refresh only: the second refusal is final."""
    made = []

    @step(expires=600)
    async def token() -> str:
        made.append(1)
        return f"token-{len(made)}"

    @step(retry=Retry(attempts=10, base=0))
    async def use(key: str) -> str:
        raise Unauthenticated("401")

    @job
    async def main(contract: night_contract) -> str:
        return await use(await token())

    with pytest.raises(StepFailed, match="401"):
        night.value(main)
    assert len(made) == 2


def test_many_items_refresh_together(night, night_contract):
    """Sixteen items meet the same stale token: it is made anew once."""
    made, good = [], []

    @step(expires=600)
    async def token() -> str:
        made.append(1)
        return f"token-{len(made)}"

    @step(retry=QUICK)
    async def use(n: int, token_: str) -> str:
        await asyncio.sleep(0.005)
        if token_ == "token-1":
            raise Unauthenticated("401")
        good.append(n)
        return token_

    @job
    async def main(contract: night_contract) -> int:
        return len(await use.map(range(40), concurrency=16, token_=await token()))

    assert night.value(main) == 40
    assert len(made) == 2


def test_a_refusal_without_a_token_fails_at_once(night, night_contract):
    """Nothing to refresh: no further try."""
    tries = []

    @step(retry=QUICK)
    async def use() -> str:
        tries.append(1)
        raise Unauthenticated("401")

    @job
    async def main(contract: night_contract) -> str:
        return await use()

    with pytest.raises(StepFailed):
        night.value(main)
    assert len(tries) == 1
