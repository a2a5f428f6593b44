"""Pairs of real runs with one planted difference each, and pairs with none."""

import asyncio
import os

import pytest
from planted_pairs import make, rows_step, twice

from nightproof import artifact, job, step, wait_for
from nightproof.errors import MisuseError, UsageError
from nightproof.views.documents import plain
from nightproof.views.drift import budget, compared

pytestmark = pytest.mark.sqlite_only


def test_clean_pairs_are_not_accused(night, night_contract, pair):
    """A run with itself, with a replicate, and one replicate with another."""
    body = make(night_contract)
    names = [night.run(body).name] + [night.run(body, replicate=-1).name for _ in range(2)]
    for a, b in [(0, 0), (0, 1), (1, 0), (1, 2)]:
        found = pair(names[a], names[b])
        document = plain(found.document())
        assert document["drift"] is False
        assert document["cause"] is None
        assert set(document["verdicts"].values()) == {"excluded"}
        assert document["firstDivergence"] is None
        assert found.comparison.compared == 7


def test_resumed_run_is_the_same_as_an_undisturbed_one(night, night_contract, pair, killed):
    """What died and was resumed has the same points in another order."""
    alive = [False]

    def fragile():
        if not alive[0]:
            raise killed
        return 0

    night.die(make(night_contract, rows_step(10, fragile)))
    alive[0] = True
    body = make(night_contract, rows_step(10, fragile))
    assert pair(*twice(night, body, body)).comparison.raw == 0


def test_another_contract_is_the_input(night, night_contract, pair):
    """The differing field is evidence, the added item the first difference."""
    body = make(night_contract)
    a = night.run(body, night_contract(n=0)).name
    b = night.run(body, night_contract(n=1)).name
    found = plain(pair(a, b).document())
    assert found["cause"] == "input"
    assert found["verdicts"]["input"] == "consistent with"
    assert {"cause": "input", "item": "/n", "a": "0", "b": "1"} in found["evidence"]
    assert (found["firstDivergence"]["step"], found["firstDivergence"]["key"]) == ("rows", "3")
    assert found["firstDivergence"]["a"] is None


def test_edited_step_is_the_code(night, night_contract, pair):
    """The step whose digest differs is where the runs part, though others follow."""
    names = twice(night, make(night_contract), make(night_contract, rows_step(11)))
    found = pair(*names)
    document = plain(found.document())
    assert document["cause"] == "code"
    assert document["verdicts"]["sampling"] == "not testable"
    assert document["evidence"][0]["item"] == "step 'rows'"
    assert document["firstDivergence"]["step"] == "rows"
    assert document["firstDivergence"]["key"] == "1"  # 0 * 10 is 0 * 11
    (place,) = found.comparison.first.values.places
    assert (place.path, place.a, place.b) == ("/total", "10", "11")


def test_edited_body_is_the_code(night, night_contract, pair):
    """A job that gives a step something else: inputs differ, and so does its digest."""

    @step
    def double(i: int) -> int:
        return 2 * i

    @job(name="main")
    async def before(contract: night_contract) -> int:
        return await double(1)

    @job(name="main")
    async def after(contract: night_contract) -> int:
        return await double(2)

    found = pair(*twice(night, before, after))
    assert found.judgement.cause == "code"
    assert found.comparison.first.what == "inputs"
    assert found.judgement.evidence[0].item == "job 'main'"
    assert plain(found.document())["verdicts"]["sampling"] == "not testable"


def test_artifact_alone_that_differs_is_shown_as_text(night, night_contract, pair):
    """The body formats differently: a unified diff of the two files."""
    title = ["one"]

    @job(name="main")
    async def body(contract: night_contract) -> int:
        await artifact("report.md", f"# {title[0]}\n\nthe same\n")
        return 1

    a = night.run(body).name
    title[0] = "two"
    found = pair(a, night.run(body, replicate=-1).name)
    assert plain(found.document())["firstDivergence"]["step"] == "artifact report.md"
    assert "-# one" in found.comparison.first.values.text
    assert "+# two" in found.comparison.first.values.text


def test_failure_on_one_side_is_the_first_difference(night, night_contract, pair):
    """A step that failed in one run and not in the other."""
    broken = [False]

    def maybe():
        if broken[0]:
            raise ValueError("broken")
        return 0

    body = make(night_contract, rows_step(10, maybe))
    a = night.run(body).name
    broken[0] = True
    found = plain(pair(a, night.run(body, replicate=-1).name).document())
    assert found["drift"] is True
    assert found["firstDivergence"]["step"] == "rows"


def test_large_values_are_compared_by_blob(night, night_contract, pair):
    """A spilled result is read back only to be shown."""
    size = [100_000]

    @step(name="big")
    def big() -> list[str]:
        return ["x" * size[0]]

    @job(name="main")
    async def body(contract: night_contract) -> int:
        return len((await big())[0])

    a, b = twice(night, body, body)
    assert pair(a, b).comparison.raw == 0
    size[0] += 1
    c = night.run(body, replicate=-1).name
    first = pair(a, c).comparison.first
    assert first.step == "big"
    assert [place.path for place in first.values.places] == ["/0"]
    assert len(first.values.places[0].a) < 200


def test_secret_values_are_no_difference(night, night_contract, pair):
    """A token differs each time, and is no part of what is compared."""

    @step(secret=True)
    def token() -> str:
        return os.urandom(16).hex()

    @step
    def use(key: str) -> int:
        return len(key)

    @job(name="main")
    async def body(contract: night_contract) -> int:
        return await use(await token())

    assert pair(*twice(night, body, body)).comparison.raw == 0


def test_runs_of_two_jobs_and_unfinished_runs_are_refused(night, night_contract, pair):
    """One clear message each."""

    @job(name="other")
    async def other(contract: night_contract) -> str:
        return await wait_for("never", str)

    a, b = night.run(make(night_contract)).name, night.run(other).name
    with pytest.raises(UsageError, match=r"of job 'main' and .* of 'other'"):
        pair(a, b)
    with pytest.raises(UsageError, match="is parked"):
        pair(b, b)


def test_declaring_an_unknown_normaliser_is_misuse(night_contract):
    """At the decorator, where it was written."""
    with pytest.raises(MisuseError, match="no normaliser 'time'"):
        make(night_contract, normalise=["time"])
    with pytest.raises(MisuseError, match="no normaliser 'times,ids'"):
        make(night_contract, normalise="times,ids")


def test_budget_counts_replicates_and_leaves_out_other_code(night, night_contract):
    """Each replicate is compared with the run of its own contract."""
    body = make(night_contract)
    for n, replicates in [(0, 2), (1, 1)]:
        for _ in range(1 + replicates):
            night.run(body, night_contract(n=n), replicate=-1 if _ else 0)
    night.run(make(night_contract, rows_step(11)), replicate=-1)

    def ask(latest):
        async def read(app):
            from nightproof.journal.records import RunFilter

            rows = await app.journal.runs(RunFilter(job="main", limit=-1))
            return await budget(app.journal, app.blobs, rows, (), latest)

        return night.ask(read)

    everything = ask(False)
    assert everything.contracts == 2
    assert [one.equal for one in everything.replicates] == [True] * 3
    assert [one.equal for one in everything.left_out] == [False]
    assert len(ask(True).replicates) == 2  # the newest run is the edited one of n=0


def test_short_form_names_where_they_part(night, night_contract, pair):
    """The first difference with its key."""
    names = twice(night, make(night_contract), make(night_contract, rows_step(11)))
    one = compared(pair(*names).comparison)
    assert (one.first, one.other_code, one.equal) == ("rows [1]", True, False)


def nested(Night, given):
    """A job whose child's step may fail or return something else."""

    @step(name="look")
    def look() -> int:
        found = given()
        if found < 0:
            raise ValueError("below zero")
        return found

    @job(name="inner")
    async def inner(contract: Night) -> int:
        return await look()

    @job(name="outer")
    async def outer(contract: Night) -> int:
        return await inner(contract)

    return outer


@pytest.mark.parametrize("second", [2, -1])
def test_divergence_inside_a_child_run_is_found_there(night, night_contract, pair, second):
    """The step of the child is named, and the child runs, whether it returns or fails."""
    given = iter([1, second])
    found = pair(*twice(night, *[nested(night_contract, lambda: next(given))] * 2))
    document = plain(found.document())
    assert document["firstDivergence"]["step"] == "look"
    runs = document["firstDivergence"]["runs"]
    assert runs["a"].startswith("inner-")
    assert runs["b"] == f"{runs['a']}.1"
    assert found.comparison.first.kind == "child run"
    assert compared(found.comparison).first == "look"


def test_children_that_fail_alike_are_the_same(night, night_contract, pair):
    """Though the message names another replicate of the child."""
    body = nested(night_contract, lambda: -1)
    assert pair(*twice(night, body, body)).comparison.raw == 0


def test_random_hash_seed_of_one_process_is_one_seed(night, night_contract, pair):
    """Two runs in the same process had the same order of sets."""
    rows = rows_step(10, lambda: int.from_bytes(os.urandom(7), "big"))
    body = make(night_contract, rows)

    async def both(app):
        return [(await app.run(body, night_contract(), replicate=n)).name for n in (0, 1)]

    async def main():
        app = night.app(alive=True)
        try:
            return await both(app)
        finally:
            await app.close()

    assert pair(*asyncio.run(main())).judgement.verdicts["environment"] == "excluded"
