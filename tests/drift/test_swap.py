"""What experiments prove, with a step that is made up instead of run."""

import asyncio
import itertools
from random import Random

import pytest

from nightproof.drift.factors import Factor, Facts, Staging
from nightproof.drift.goal import Outcome
from nightproof.drift.swap import MORE, Swaps
from nightproof.drift.verdict import CONSISTENT, EXCLUDED, NOT_TESTABLE, PROVED, Judgement

CAUSES = ("input", "code", "environment", "context", "model", "sampling")
ZONE = Factor("time zone", "environment", Staging({"TZ": "UTC"}), Staging({"TZ": "Asia/Tokyo"}))
FILE = Factor("file /etc/rates", "context", Staging(files={"/etc/rates": "sha256:a"}))
CLOCK = Factor("clock", "context", Staging(clock=100.0), Staging(clock=200.0), weak=True)


def explained(step, factors=(CLOCK,), cause=None, consistent=(), excluded=(), **more):
    """Explain a drift; `step` makes an outcome's value ("A", "B", …) of a staging."""
    verdicts = dict.fromkeys(CAUSES, NOT_TESTABLE)
    verdicts |= dict.fromkeys(consistent, CONSISTENT) | dict.fromkeys(excluded, EXCLUDED)
    known = {
        "base": Staging(), "factors": factors, "hash_random": False, "took": 0.01,
        "untested": frozenset(), "asked": (), "hosts": (), "same_request": False,
    }  # fmt: skip
    seeds = itertools.count()

    async def run(staging, runs, together):
        found = []
        for number in range(runs):
            if number % together == 0:
                seed = staging.variables.get("PYTHONHASHSEED") or f"random {next(seeds)}"
            value = step(staging, seed)
            found.append(Outcome(value if value in ("A", "B") else "other", value))
        return found

    facts = Facts(**{**known, **more})
    swaps = Swaps(facts, Judgement(verdicts, cause, []), run, 4)
    return asyncio.run(swaps.explain())


def counted(found, factor):
    """Runs like A, like B and other of one experiment."""
    document = next(one.document() for one in found.experiments if one.factor == factor)
    return document["likeA"], document["likeB"], document["other"]


@pytest.mark.parametrize(
    ("factor", "step"),
    [
        (ZONE, lambda staging, _: "A" if staging.variables.get("TZ") == "UTC" else "B"),
        (FILE, lambda staging, _: "A" if staging.files else "B"),
        (CLOCK, lambda staging, _: "A" if staging.clock == 100 else "B"),
    ],
)
def test_what_brings_the_outcome_of_a_back_is_proved(factor, step):
    """One of several factors swaps; the others stay what the record says of them."""
    found = explained(step, [FILE, ZONE, CLOCK], consistent=["environment", "context"])
    assert found.judgement.cause == factor.cause
    assert found.judgement.verdicts[factor.cause] == PROVED
    assert found.judgement.verdicts["sampling"] == EXCLUDED
    assert counted(found, "nothing") == (0, 4, 0)
    assert counted(found, f"{factor.name} as in A") == (4, 0, 0)
    p = {one.factor: one.p for one in found.experiments}
    assert p["nothing"] is None
    assert p[f"{factor.name} as in A"] == pytest.approx(1 / 70)


def test_two_that_swap_name_no_single_cause():
    """Either is enough: both are proved, and the remark says so."""

    def step(staging, _):
        return "A" if staging.files or staging.variables.get("TZ") == "UTC" else "B"

    found = explained(step, [FILE, ZONE])
    assert found.judgement.cause is None
    assert found.judgement.verdicts["environment"] == PROVED
    assert found.judgement.verdicts["context"] == PROVED
    assert "context and environment each bring" in found.remarks[0]


def test_two_that_swap_only_together():
    """Neither is enough: where both are context, context is proved all the same."""
    other = Factor("variable X", "context", Staging({"X": "1"}))

    def step(staging, _):
        return "A" if staging.files and staging.variables else "B"

    found = explained(step, [FILE, other])
    assert found.judgement.cause == "context"
    assert found.judgement.verdicts["context"] == PROVED
    mixed = explained(step, [FILE, ZONE])
    assert mixed.judgement.cause is None
    assert mixed.remarks == ["context and environment together bring A's outcome back"]


def test_many_factors_are_tried_together_first():
    """When all of them together change nothing, none is tried alone."""
    many = [Factor(f"variable {n}", "context", Staging({f"X{n}": "1"})) for n in range(30)]
    found = explained(lambda staging, _: "B", [*many, CLOCK])
    assert [one.factor for one in found.experiments][1:] == [
        "all that differs together as in A", "clock as in A",
    ]  # fmt: skip
    swapped = explained(lambda staging, _: "A" if "X7" in staging.variables else "B", many)
    assert swapped.judgement.cause == "context"
    assert counted(swapped, "variable 7 as in A") == (4, 0, 0)


@pytest.mark.parametrize("rate", [1.0, 0.5, 0.25, 0.1])
def test_what_varies_by_itself_is_sampling(rate):
    """At a low rate the floor goes on until it shows; nothing makes it stand still."""
    draws = Random(f"sampling {rate}")

    def step(staging, _):
        return f"other {draws.random()}" if draws.random() < rate else "B"

    found = explained(step, [ZONE, CLOCK], same_request=True, asked=("flash",))
    assert found.judgement.cause == "sampling"
    assert "distinct outcomes" in found.judgement.evidence[-1].b


def test_order_of_hashes_is_the_environment():
    """Random seeds give what one fixed seed does not."""

    def step(staging, seed):
        return Random(seed).choice(["A", "B", "C"])

    found = explained(step, hash_random=True)
    assert found.judgement.cause == "environment"
    assert found.judgement.verdicts["environment"] == PROVED
    assert found.judgement.verdicts["sampling"] == NOT_TESTABLE


def test_a_time_in_the_outcome_is_context():
    """Each run has another one, and a clock that is held still makes them the same."""
    count = itertools.count()
    found = explained(lambda staging, _: "still" if staging.still else f"at {next(count)}")
    assert found.judgement.cause == "context"
    assert found.judgement.verdicts["context"] == PROVED


def test_time_of_day_that_is_neither_run_s():
    """Today is a third time: A's time gives A, B's gives B."""
    found = explained(lambda staging, _: {100: "A", 200: "B"}.get(staging.clock, "third"))
    assert found.judgement.cause == "context"
    assert counted(found, "clock as in A") == (4, 0, 0)


def test_what_is_gone_today_is_not_named():
    """Everything gives what A gave: the record's cause stays, and none is added."""
    found = explained(lambda *_: "A", [ZONE, CLOCK], consistent=["environment"])
    assert found.judgement.cause is None
    assert counted(found, "nothing")[0] == 4 + MORE
    assert "not there any more" in found.remarks[0]
    assert explained(lambda *_: "A", cause="model").judgement.cause == "model"


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ({"same_request": True, "asked": ("flash",)}, "model"),
        ({"asked": ("flash",)}, "model"),
        ({"hosts": ("rates.example:443",)}, "context"),
        ({"excluded": ("input", "code", "environment", "model")}, "context"),
        ({"consistent": ("environment", "context"), "untested": {"environment"}}, "environment"),
        ({"consistent": ("environment", "code"), "untested": {"environment", "code"}}, None),
    ],
)
def test_elimination_names_without_proving(given, cause):
    """A stable step: what is left is consistent with the drift, not proved."""
    found = explained(lambda *_: "B", [FILE, CLOCK], **given)
    assert found.judgement.cause == cause
    assert PROVED not in found.judgement.verdicts.values()
    if cause:
        assert found.judgement.verdicts[cause] == CONSISTENT


@pytest.mark.parametrize(
    ("used", "cause"), [(frozenset(), "context"), (frozenset({"tz"}), "environment")]
)
def test_a_package_that_nothing_imports_is_not_left(used, cause):
    """What differs but was never in memory cannot have been it; what the step imported can."""

    async def run(staging, runs, together):
        return [Outcome("B", "b")] * runs

    verdicts = {**dict.fromkeys(CAUSES, EXCLUDED), "environment": CONSISTENT}
    facts = Facts(
        Staging(), [CLOCK], False, 0.01, frozenset(), (), ("rates.example:443",), False,
        frozenset({"tz", "unused"}),
    )  # fmt: skip
    swaps = Swaps(facts, Judgement(verdicts, None, []), run, 4, used=lambda: used)
    assert asyncio.run(swaps.explain()).judgement.cause == cause


def test_slow_steps_are_run_few_times():
    """The floor does not go on where a run takes long."""
    found = explained(lambda *_: "B", took=30.0)
    assert counted(found, "nothing") == (0, 4, 0)


def test_files_that_cannot_be_staged_prove_nothing():
    """The arm says why; what it would have put back is not held to be without effect."""

    async def run(staging, runs, together):
        if staging.files:
            return [Outcome("other", "error", "no namespaces here")] * runs
        return [Outcome("B", "b")] * runs

    verdicts = {**dict.fromkeys(CAUSES, EXCLUDED), "context": CONSISTENT, "model": CONSISTENT}
    base = Staging(files={"/etc/other": "sha256:b"})
    facts = Facts(base, [FILE], False, 0.0, frozenset({"model"}), (), (), False)
    found = asyncio.run(Swaps(facts, Judgement(verdicts, None, []), run, 4).explain())
    assert found.judgement.cause is None
    assert found.remarks[0] == "what B read is as it is today: no namespaces here"
    assert found.remarks[1] == "file /etc/rates as in A: no namespaces here"
    assert "context, model cannot be told apart" in found.remarks[2]


def test_a_step_that_cannot_run_says_why():
    """Nothing is concluded from runs that came to no end."""

    async def run(staging, runs, together):
        return [Outcome("other", "error", "ImportError: gone")] * runs

    judgement = Judgement(dict.fromkeys(CAUSES, NOT_TESTABLE), None, [])
    facts = Facts(Staging(), [FILE], False, 0.0, frozenset(), (), (), False)
    found = asyncio.run(Swaps(facts, judgement, run, 4).explain())
    assert found.remarks == ["the step cannot be run again here: ImportError: gone"]
    assert found.judgement is judgement
