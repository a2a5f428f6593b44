"""What a store lists of effects, and of what people did."""

import json

from nightproof.journal.listing import AuditRow, EffectFilter, EffectPlace
from nightproof.journal.records import (
    EffectRow,
    LaneBatch,
    Owner,
    Settle,
    Wanted,
)
from nightproof.model.identity import ProcessIdentity
from nightproof.model.states import EffectState

OWNER = Owner(ProcessIdentity("elsewhere/boot/ns", 7, 1), 1, 30_000)


async def begin(journal, n, job="main", **more):
    """A run that an attempt owns."""
    contract = json.dumps({"n": n, "name": 'Zoë \u2028 "x"'}, ensure_ascii=False).encode()
    want = Wanted(job, f"sha256:{n:064}", contract, **more)
    return (await journal.claim(want, OWNER)).run


async def write(journal, run, entries, *writes):
    """Commit entries and writes of a run."""
    batch = LaneBatch(run.id, run.token, entries, writes)
    answer = journal.commit([batch])
    refused = answer if isinstance(answer, frozenset) else await answer
    assert refused == frozenset()


def test_the_ledger_is_listed_and_counted(night):
    """Newest first, by state, run and text, a page at a time."""

    async def ask(app):
        journal = app.journal
        run = await begin(journal, 1)
        for n in range(6):
            row = EffectRow(
                f"post:{n}", "post", run.id, EffectState.INTENDED, b"d", b"[]", 1, 1000 + n, None,
                None, "", run.name,
            )  # fmt: skip
            await journal.intend(LaneBatch(run.id, run.token), row)
        settled = [
            Settle("post:1", EffectState.CONFIRMED, 2000, b"1"),
            Settle("post:2", EffectState.FAILED, 2001, error="timeout"),
        ]
        await write(journal, run, [], *settled)

        async def keys(**want):
            return [row.key[-1] for row in await journal.ledger(EffectFilter(**want))]

        doubt = (EffectState.INTENDED, EffectState.FAILED)
        assert await keys() == ["2", "1", "5", "4", "3", "0"]
        assert await keys(states=doubt) == ["2", "5", "4", "3", "0"]
        assert await keys(states=(EffectState.CONFIRMED, EffectState.FAILED)) == ["2", "1"]
        behind = EffectPlace(2001, "post:2")
        assert await keys(states=doubt, limit=2, before=behind) == ["5", "4"]
        assert await keys(before=behind, down_to=EffectPlace(1004, "post:4")) == ["1", "5", "4"]
        assert await keys(run=run.id, before=EffectPlace(1003, "post:3")) == ["0"]
        assert await keys(before=EffectPlace(1004, "post:")) == ["3", "0"]
        assert await journal.reach(EffectFilter(), 2) == (2000, "post:1")
        assert await journal.reach(EffectFilter(run=run.id, before=behind), 4) == (1003, "post:3")
        assert await journal.reach(EffectFilter(text="nowhere"), 6) == (1000, "post:0")
        assert await journal.reach(EffectFilter(), 7) is None
        assert await keys(text="t:4") == ["4"]
        assert await keys(text="post", limit=1) == ["2"]
        assert await keys(text="%") == []
        assert await keys(run=run.id, states=doubt, limit=1) == ["2"]
        assert await keys(run=run.id + 1) == []
        [row] = await journal.ledger(EffectFilter(text="post:1"))
        assert row == await journal.effect("post:1")

    night.ask(ask)


def test_what_people_did_is_kept(night):
    """The intent first, the outcome later; newest first, by run, a page at a time."""
    cancel = AuditRow(0, 1000, "ana@desk", "cancel", "main-1", "nightproof cancel -- main-1")

    async def ask(app):
        journal = app.journal
        first = await journal.audit(cancel)
        second = await journal.audit(cancel._replace(at=2000, run="", act="backfill"))
        rows = await journal.audits()
        assert rows == [
            cancel._replace(id=second, at=2000, run="", act="backfill"),
            cancel._replace(id=first),
        ]
        assert rows[1].code is None
        await journal.audited(first, 0, "cancelled")
        done = cancel._replace(id=first, code=0, outcome="cancelled")
        assert await journal.audits(run="main-1") == [done]
        assert await journal.audits(before=second) == [done]
        assert [row.id for row in await journal.audits(1)] == [second]
        assert await journal.audits(run="main") == []
        assert await journal.forget_audits(2000, dry_run=True) == 1
        assert len(await journal.audits()) == 2
        assert await journal.forget_audits(2000) == 1
        assert [row.id for row in await journal.audits()] == [second]
        assert await journal.forget_audits(2000) == 0

    night.ask(ask)


def test_paging_back_shows_each_effect_once_whatever_comes(night):
    """New effects, and old ones that are settled meanwhile, hide and repeat none of the others."""

    async def ask(app):
        journal = app.journal
        run = await begin(journal, 1)

        async def act(key, at):
            row = EffectRow(
                key, "post", run.id, EffectState.INTENDED, b"d", b"[]", 1, at, None, None, "",
                run.name,
            )  # fmt: skip
            await journal.intend(LaneBatch(run.id, run.token), row)

        for n in range(12):
            await act(f"old:{n:02}", 1000 + n // 4)  # four in a millisecond
        seen, before = [], None
        while True:
            rows = await journal.ledger(EffectFilter(limit=3, before=before))
            if not rows:
                break
            seen += [row.key for row in rows]
            before = EffectPlace(rows[-1].at, rows[-1].key)
            await act(f"new:{len(seen)}", 5000 + len(seen))
            await write(journal, run, [], Settle(rows[0].key, EffectState.CONFIRMED, 9000))
        assert seen == [f"old:{n:02}" for n in reversed(range(12))]

    night.ask(ask)
