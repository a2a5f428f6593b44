"""Expiring values as activities: made once for all workers, written nowhere."""

import pytest

from nightproof import Contract, Retry, Unauthenticated, job, step

ran = []


class Night(Contract):
    """The contract of these tests."""

    task: str = "night"
    n: int = 0


@step
async def add(a: int, b: int) -> int:
    """Adds, and counts how often."""
    ran.append((a, b))
    return a + b


@step(expires=3600)
async def token(n: int = 0) -> str:
    """A credential."""
    ran.append("token")
    return f"token-{len(ran):04}"


@step(secret=True)
async def password() -> str:
    """A credential that is not stored."""
    ran.append("password")
    return f"password-{len(ran):04}"


@step(retry=Retry(attempts=2, base=0.001))
async def login(token: str) -> str:
    """Takes only the newest credential."""
    if not token.endswith("0002"):
        raise Unauthenticated("refused")
    return f"as {token}"


@step
async def inside() -> str:
    """Asks for the credential itself."""
    return await token()


@job
async def main(contract: Night) -> int:
    """Its body would run in a workflow."""
    return await add(1, 2)


@pytest.fixture(autouse=True)
def fresh():
    """Nothing has run."""
    ran.clear()


def test_a_credential_is_made_once_for_all_workers(workers):
    """One that is on record is read, one that came with the message is used."""

    async def test(one, two):
        await one.begin(main, Night())
        two.head = one.head
        made = await one.call(token, op="mint")
        assert (made["ok"], made["executed"]) == ('"token-0001"', True)
        (record,) = made["told"]["mints"]
        read = await two.call(token, op="mint")
        assert (read["ok"], read["executed"]) == ('"token-0001"', False)
        secret = await one.call(password, op="mint")
        (hidden,) = secret["told"]["mints"]
        assert ran == ["token", "password"]
        assert all(entry.output != b'"password-0002"' for entry in await one.entries())
        two.head = {**two.head, "mints": [record, hidden]}
        again = await two.call(password, op="mint")
        assert (again["ok"], len(ran)) == (secret["ok"], 2)

    workers.run(test, count=2)


def test_a_refused_credential_is_made_again(workers):
    """The answer tells of the new one; the call keeps its fingerprint."""

    async def test(one, two):
        await one.begin(main, Night())
        made = await one.call(token, op="mint")
        (record,) = made["told"]["mints"]
        two.head = {**one.head, "mints": [record]}
        message = two.ask(login, "token-0001")
        parts = [b'{"$from":"%s"}' % record["fp"].encode()]
        from nightproof.model.fingerprint import fingerprint

        message["fp"] = fingerprint(login.prefix, parts).hex()
        answer = await two.perform(two.activities.call, message)
        assert answer["ok"] == '"as token-0002"'
        (newer,) = answer["told"]["mints"]
        assert (newer["value"], newer["older"]) == ('"token-0002"', ['"token-0001"'])
        third = await one.call(token, op="mint")
        assert third["ok"] == '"token-0001"'  # this worker has not heard of it
        one.head = {**one.head, "mints": [newer]}
        assert (await one.call(token, op="mint"))["ok"] == '"token-0002"'

    workers.run(test, count=2)


def test_a_step_may_ask_for_a_credential_itself(workers):
    """It gets the one that is on record."""

    async def test(one, two):
        await one.begin(main, Night())
        two.head = one.head
        await one.call(token, op="mint")
        assert (await two.call(inside))["ok"] == '"token-0001"'
        assert ran == ["token"]

    workers.run(test, count=2)


@step
async def guarded() -> int:
    """Needs a credential that only it sees."""
    return len(await password())


def test_a_secret_made_inside_a_step_stays_in_the_worker(workers):
    """Where nothing is encrypted the workflow hears nothing of it."""

    async def test(worker):
        await worker.begin(main, Night())
        answer = await worker.call(guarded)
        assert answer["ok"] == "13"
        assert "password-" not in str(answer)

    workers.run(test)
