"""Remarks on runs that have ended."""

import asyncio
import json

from nightproof import job, step
from nightproof.journal.records import UseBlob
from nightproof.model.states import Kind

REMARK = json.dumps({"kind": "explained", "message": "looked at"}).encode()


def test_an_ended_run_takes_a_remark_and_can_be_resumed(night, night_contract):
    """The remark comes last, its blob is kept, and a later attempt goes on behind it."""
    broken = [True]

    @step(name="annotated")
    def annotated() -> int:
        if broken[0]:
            raise ValueError("not yet")
        return 7

    @job(name="annotated-job")
    async def body(contract: night_contract) -> int:
        return await annotated()

    name = night.run(body).name
    row = night.row(name)
    digest = "sha256:" + "0" * 64

    async def remark(app):
        assert await app.journal.annotate(row.id, REMARK, (UseBlob(digest, 3),))
        found = await app.journal.entries(row.id)
        assert await app.journal.referenced([digest]) == {digest}
        return found[-1]

    last = night.ask(remark)
    assert (last.kind, last.output) == (Kind.EVENT, REMARK)
    broken[0] = False
    assert night.value(body) == 7


def test_a_run_at_work_takes_none(night, night_contract):
    """Its owner numbers the entries: nobody else may write."""

    @step(name="asked")
    async def asked() -> int:
        return 1

    @job(name="annotated-live")
    async def body(contract: night_contract) -> bool:
        await asked()
        return True

    answers = []

    async def attempt():
        app = night.app(alive=True)
        try:

            def watch(run):
                async def ask():
                    answers.append(await app.journal.annotate(run.row.id, REMARK))

                answers.append(run.loop.create_task(ask()))

            await app.run(body, night_contract(), watch=watch)
        finally:
            await app.close()

    asyncio.run(attempt())
    assert answers[-1] is False
