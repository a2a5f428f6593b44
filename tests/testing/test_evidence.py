"""How the acts and the outcome of a disturbed run are judged."""

from __future__ import annotations

from nightproof.testing.evidence import Act, Evidence, differences, judge_acts
from nightproof.testing.report import Report, Row, table


def evidence(acts: dict[str, list[Act]], **more: object) -> Evidence:
    """Evidence with the given acts."""
    given = {"result": "1", "artifacts": {}, "states": {}, **more}
    return Evidence(acts=acts, **given)  # type: ignore[arg-type]


def act(policy: str = "hold", key: str = "k", digest: str = "d") -> Act:
    """One act."""
    return Act("post", policy, key, digest, "null")


def test_an_act_that_is_missing_is_a_problem_unless_its_policy_is_to_skip():
    """Nothing was sent: that is what `skip` risks, and nobody else may."""
    once = evidence({"a": [act()]})
    assert judge_acts(once, evidence({}))[0] == ["effect a: never performed"]
    said = judge_acts(once, evidence({}, states={"a": "confirmed"}))[0]
    assert said == ["effect a: never performed (the ledger says confirmed)"]
    assert judge_acts(once, evidence({}, states={"a": "skipped"})) == (
        [],
        ["effect a: skipped, as its policy says"],
    )


def test_an_act_done_twice_is_a_problem_unless_the_provider_can_tell():
    """Only `retry` may act again, and only with the same key and arguments."""
    once = evidence({"a": [act()]})
    for policy in ("hold", "skip", "probe"):
        problems, _ = judge_acts(once, evidence({"a": [act(policy), act(policy)]}))
        assert problems == ["effect a: performed 2 times"]
    problems, remarks = judge_acts(once, evidence({"a": [act("retry"), act("retry")]}))
    assert problems == []
    assert "deduplicated by provider" in remarks[0]
    other_key = evidence({"a": [act("retry", "k"), act("retry", "other")]})
    assert judge_acts(once, other_key)[0] == ["effect a: performed 2 times"]
    other_digest = evidence({"a": [act("retry"), act("retry", digest="e")]})
    assert judge_acts(once, other_digest)[0] == ["effect a: performed 2 times"]


def test_an_act_that_the_undisturbed_run_did_not_do_is_a_problem():
    """Unless keys are known to differ from run to run."""
    extra = evidence({"b": [act()]})
    assert judge_acts(evidence({}), extra)[0] == [
        "effect b: performed, though not by the undisturbed run"
    ]
    assert judge_acts(evidence({}), extra, keys=False) == ([], [])
    twice = evidence({"b": [act(), act()]})
    assert judge_acts(evidence({}), twice, keys=False)[0] == ["effect b: performed 2 times"]


def test_results_and_files_are_compared():
    """The difference names what differs and shows where it begins."""
    a = evidence({}, result='{"total": 12}', artifacts={"r/a.txt": "0" * 64})
    assert differences(a, a) == {}
    b = evidence({}, result='{"total": 13}', artifacts={"r/b.txt": "0" * 64})
    found = differences(a, b)
    assert set(found) == {"result", "artifact r/a.txt", "artifact r/b.txt"}
    assert "13" in found["result"]
    assert "12" in found["result"]
    assert found["artifact r/a.txt"] == "none instead of 000000000000"


def row(verdict: str, exit: str = "SIGKILL") -> Row:
    """A row of a report."""
    return Row("step:mid", "load", "step load:mid#1", exit, 1, 2, 3, verdict)  # type: ignore[arg-type]


def test_a_report_is_ok_only_where_every_kill_was_survived():
    """A point that was not reached, or no point at all, proves nothing."""
    assert Report("t", "c", [row("same")]).ok
    assert not Report("t", "c", []).ok
    assert not Report("t", "c", [row("same"), row("not reached", "exit 0")]).ok
    assert not Report("t", "c", [row("differs")]).ok


def test_the_table_lines_up():
    """Headings, a rule, a line a point, and the outcome at the end."""
    report = Report("t", "c", [row("same"), row("differs")], reached=9)
    lines = table(report).splitlines()
    assert lines[0].split() == [
        *("point", "where", "killed", "resumes", "replayed", "executed", "verdict")
    ]
    assert lines[2].split() == ["step:mid", "load", "SIGKILL", "1", "3", "2", "same"]
    assert lines[-1].startswith("2 of 2 kills at 9 crash points reached: 1 differ")
    assert report.as_dict()["failures"] == 1
