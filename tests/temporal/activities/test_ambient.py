"""What workers bring along for their steps."""

from typing import Annotated

import pytest
from temporalio.exceptions import ApplicationError

from nightproof import Ambient, Contract, ambient, job, step

ran = []


class Night(Contract):
    """The contract of these tests."""

    task: str = "night"
    n: int = 0


class Client:
    """Stands for a connection."""


def make_client():
    """A client, counted."""
    ran.append("client")
    return Client()


@step
async def add(a: int, b: int) -> int:
    """Adds, and counts how often."""
    ran.append((a, b))
    return a + b


@step
async def connected(
    name: str, client: Annotated[Client, ambient(make_client)], log: Ambient[Client | None] = None
) -> str:
    """Needs a client."""
    return f"{name} {type(client).__name__} {log}"


@step
async def unmade(name: str, client: Ambient[Client]) -> str:
    """Needs a client that nobody can make."""
    return name


@job
async def main(contract: Night) -> int:
    """Its body would run in a workflow."""
    return await add(1, 2)


@pytest.fixture(autouse=True)
def fresh():
    """Nothing has run."""
    ran.clear()


def test_ambient_arguments_are_made_by_the_worker(workers):
    """Once in each process; one that nobody can make is refused with what to write."""

    async def test(worker):
        await worker.begin(main, Night())
        first = await worker.call(connected, "a", Client())
        second = await worker.call(connected, "b", Client())
        assert (first["ok"], second["ok"]) == ('"a Client None"', '"b Client None"')
        assert ran == ["client"]
        refused = (await worker.call(unmade, "a", Client()))["refused"]
        assert refused["type"] == "MisuseError"
        assert "ambient(make)" in refused["hint"]

    workers.run(test)


@pytest.mark.parametrize("trouble", [KeyError("TOKEN"), ConnectionRefusedError("away")])
def test_a_client_that_cannot_be_made(workers, monkeypatch, trouble):
    """Trying again for ever would hide a mistake; a server that is away may come back."""

    def broken():
        raise trouble

    monkeypatch.setattr(connected.arguments._ambient["client"], "factory", broken)

    async def test(worker):
        await worker.begin(main, Night())
        if isinstance(trouble, OSError):
            with pytest.raises(ApplicationError, match="away") as told:
                await worker.call(connected, "a", Client())
            assert told.value.type == "Outage"
        else:
            refused = (await worker.call(connected, "a", Client()))["refused"]
            assert (refused["type"], refused["message"]) == ("KeyError", "KeyError: 'TOKEN'")

    workers.run(test)


def test_a_step_or_job_that_another_worker_may_know_is_tried_again(workers):
    """By Temporal; the error names it."""

    async def test(worker):
        await worker.begin(main, Night())
        message = {**worker.ask(add, 1, 2), "step": "elsewhere", "module": "no.such.module"}
        with pytest.raises(ApplicationError, match="does not know the step 'elsewhere'") as told:
            await worker.perform(worker.activities.call, message)
        assert (told.value.type, told.value.non_retryable) == ("UnknownStep", False)
        worker.activities.jobs = {}
        with pytest.raises(ApplicationError, match="does not know the job 'main'"):
            await worker.begin(main, Night())

    workers.run(test)
