"""Acts on the world: once per key, and where nobody can know, as the policy says."""

from __future__ import annotations

import pytest
from conforming.jobs import effects

from nightproof import EffectConflict, EffectHeld, StepFailed

POLICIES = list(effects.EFFECTS)


def acts(told: list[str]) -> list[str]:
    """What was done, without the idempotency keys."""
    return [line.rpartition(" ")[0] for line in told if line.startswith("acted")]


@pytest.mark.parametrize("policy", POLICIES)
def test_an_effect_acts_once_and_is_replayed(night, case, diary, policy):
    """Killed right behind it: its recorded result is returned, and nothing is sent again."""
    contract = case(names=(policy,))
    night.crash(effects.posts, contract, at=f"effect {policy}:confirm")
    assert acts(diary()) == ["acted hello 0"], "confirmed, and not done"
    assert night.value(effects.posts, contract) == {"text": "hello 0"}
    assert acts(diary()) == ["acted hello 0"]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("moment", ["intend", "act"])
def test_killed_between_intent_and_confirmation(night, case, diary, policy, moment):
    """Before or behind the act nobody knows: the effect's own policy decides, never a blind retry."""
    contract = case(names=(policy,))
    night.crash(effects.posts, contract, at=f"effect {policy}:{moment}")
    happened = moment == "act"
    assert acts(diary()) == ["acted hello 0"] * happened
    outcome = night.run(effects.posts, contract)
    if policy == "held":
        assert outcome.status == "parked"
        assert isinstance(outcome.error, EffectHeld)
        assert "nightproof resolve" in outcome.error.message
        decision = ("--happened", '{"text":"by hand"}') if happened else ("--retry",)
        night.resolve(outcome.name, f"held/{contract.case}", *decision)
        outcome = night.run(effects.posts, contract)
    expected = {
        "held": {"text": "by hand" if happened else "hello 0"},
        "skipped": None,
        "retried": {"text": "hello 0"},
        "probed": {"text": "found" if happened else "hello 0"},
    }
    assert outcome.error is None
    assert outcome.value == expected[policy]
    count = {"held": 1, "skipped": int(happened), "retried": 1 + happened, "probed": 1}[policy]
    told = diary()
    assert acts(told) == ["acted hello 0"] * count
    keys = {line.rpartition(" ")[2] for line in told if line.startswith("acted")}
    assert len(keys) == (count > 0), "the provider saw two idempotency keys"


@pytest.mark.parametrize("policy", POLICIES)
def test_an_exception_that_leaves_it_open_is_as_unknown_as_a_crash(
    night, case, diary, switch, policy
):
    """Live: the same decisions."""
    switch("unclear")
    contract = case(names=(policy,))
    outcome = night.run(effects.posts, contract)
    if policy == "held":
        assert isinstance(outcome.error, EffectHeld)
        assert "connection reset" in outcome.error.message
        night.resolve(outcome.name, f"held/{contract.case}", "--happened")
        outcome = night.run(effects.posts, contract)
    expected = {"held": None, "skipped": None, "retried": "hello 0", "probed": "found"}[policy]
    assert outcome.error is None
    assert outcome.value == (expected and {"text": expected})
    assert len(acts(diary())) == 1 + (policy == "retried")


def test_a_decision_without_the_result_that_is_needed_can_be_made_again(night, case, diary, switch):
    """What does not fit the effect's annotation is asked for again; nothing is done twice."""
    switch("unclear")
    contract = case(names=("held",))
    name = night.run(effects.posts, contract).name
    night.resolve(name, f"held/{contract.case}", "--happened", '"a text"')
    outcome = night.run(effects.posts, contract)
    assert outcome.status == "parked"
    assert "does not fit" in outcome.error.message
    assert "--happened RESULT" in outcome.error.message
    night.resolve(name, f"held/{contract.case}", "--happened", '{"text":"by hand"}')
    assert night.value(effects.posts, contract) == {"text": "by hand"}
    assert len(acts(diary())) == 1


def test_concurrent_calls_of_one_key_act_once(night, case, diary):
    """One acts, the others get its result; also another job's call of the same key."""
    assert night.value(effects.at_once, case()) == [7, 7, 7]
    assert night.value(effects.elsewhere, case()) == 7
    assert diary() == ["acted 7"]


def test_two_live_runs_with_one_key_act_once(night, case, diary):
    """The second waits for the first, or asks what it has left."""
    running = [night.begin(effects.elsewhere, case(n=n)) for n in (1, 2)]
    assert [one.result(timeout=30).value for one in running] == [7, 7]
    assert diary() == ["acted 7"]


def test_the_same_key_with_other_arguments_shows_both(night, case, diary):
    """EffectConflict names the key and both sets of arguments; nothing is sent."""
    night.value(effects.posts, case(n=1, names=("held",)))
    outcome = night.run(effects.posts, case(n=2, names=("held",)))
    assert outcome.status == "failed"
    assert isinstance(outcome.error, EffectConflict)
    for part in (f"held/{case().case}", '"hello 1"', '"hello 2"'):
        assert part in outcome.error.message
    assert acts(diary()) == ["acted hello 1"]


def test_an_effect_inside_a_step_goes_through_the_ledger(night, case, diary):
    """The step runs again, its effect does not."""
    night.crash(effects.inside, case(), at="step does:mid")
    assert night.value(effects.inside, case()) == "inside"
    assert acts(diary()) == ["acted inside"]
    assert diary().count("behind") == 2


def test_not_done_is_certain(night, case, diary, switch):
    """It fails without doubt: a resume tries it again, nobody is asked."""
    outcome = night.run(effects.not_done, case())
    assert isinstance(outcome.error, StepFailed)
    assert "archived" in str(outcome.error)
    switch("well")
    assert night.value(effects.not_done, case()) == 1
    assert diary() == ["tried", "tried"]


def test_a_refused_act_may_be_repeated_under_every_policy(night, case, diary):
    """429: the server did nothing, so even a held effect is tried again."""
    assert night.value(effects.refused, case()) == 1
    assert diary() == ["tried"] * 3


def test_an_effect_that_gives_up_reads_the_same_on_replay(night, case, diary):
    """With its key and its history."""
    night.crash(effects.gives_up, case(), at="last:before")
    assert night.run(effects.gives_up, case()).status == "completed"
    *tried, seen, end = diary()
    assert (tried, end) == (["tried"] * 3, "last"), "the body saw something else"
    assert seen.endswith(f"failing/{case().case} 3")


def test_a_replicate_withholds_its_effects(night, case, diary, switch):
    """It takes what is on record, and says where it would have sent something else."""
    night.value(effects.reports, case(n=1))
    same = night.run(effects.reports, case(n=1), replicate=-1)
    assert (same.value, same.divergences) == (["sent hello"], [])
    switch("later")
    other = night.run(effects.reports, case(n=1), replicate=-1)
    assert other.name.endswith(".2")
    assert other.value == ["sent hello", None]
    (found,) = other.divergences
    assert '"bye"' in found["now"]
    (note,) = night.notes(other.name, "effect-withheld")
    assert note["key"] == f"extra/{case().case}"
    assert diary() == ["report hello"]


def test_a_replicate_with_effects_performs_new_keys_only(night, case, diary, switch):
    """--replicate --effects: recorded keys are taken, new ones are performed."""
    night.value(effects.reports, case())
    switch("later")
    outcome = night.run(effects.reports, case(), replicate=-1, effects=True)
    assert outcome.value == ["sent same", "extra"]
    assert diary() == ["report same", "extra"]


def test_nobody_decides_an_effect_that_is_under_way(night, case, diary, switch):
    """Refused while a process is at it, whatever the decision; its own outcome counts."""
    running = night.begin(effects.takes_long, case())
    night.until(lambda: diary() == ["acting"])
    name = night.row(effects.takes_long, case()).name
    for decision in (("--retry",), ("--happened", '"by hand"')):
        code, said = night.command("resolve", name, f"long/{case().case}", *decision)
        assert code == 2, said
        assert "the run is at work on it now" in said
    switch("let it end")
    assert running.result(60).value == "done"
    assert diary() == ["acting"]
