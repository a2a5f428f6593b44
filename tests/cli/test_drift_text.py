"""A comparison as people read it."""

from nightproof.cli.drift_text import WIDEST, beside, values, verdicts
from nightproof.drift.showing import side_by_side
from nightproof.drift.verdict import Judgement


def test_columns_where_they_fit():
    """Both sides in one line, under A and B."""
    assert beside([("/total", "10", "11"), ("/n", None, "1")]) == [
        "          A   B",
        "  /total  10  11",
        "  /n      -   1",
    ]
    assert beside([]) == []
    sentence = "a sentence " * 20
    assert beside([(sentence, None, None), ("/n", "1", "2")])[1:] == [
        "  /n  1  2",
        f"  {sentence}",
    ]


def test_below_each_other_where_they_do_not_fit():
    """A long value would push the other one out of sight."""
    long = "x" * WIDEST
    assert beside([("/text", long, "y")]) == ["  /text", f"    A  {long}", "    B  y"]


def test_values_have_their_places():
    """Structured values by path, text by lines; a missing side says so."""
    assert values(side_by_side({"a": 1}, {}))[-1].split() == ["/a", "1", "(absent)"]
    lines = values(side_by_side("one\ntwo", "one\n2"))
    assert lines[-2:] == ["  -two", "  +2"]


def test_reasons_stand_behind_their_verdicts():
    """Why the record cannot tell."""
    judged = Judgement(
        {"environment": "excluded", "context": "not testable"}, None, [], {"context": "unseen"}
    )
    assert verdicts(judged) == ["environment  excluded", "context      not testable: unseen"]


def test_explain_is_proposed_where_it_could_tell_more(np):
    """Not for an edited job, and not without drift."""
    path = np.folder / "varying.py"
    path.write_text(
        "import os\n"
        "from typing import Literal\n"
        "from nightproof import Contract, job, step\n"
        "class Work(Contract):\n"
        '    task: Literal["work"] = "work"\n'
        "@step\n"
        "def drawn() -> str:\n"
        "    return os.urandom(8).hex()\n"
        "@job\n"
        "async def varying(contract: Work) -> str:\n"
        "    return await drawn()\n"
    )
    contract = '{"contractVersion": "1", "task": "work"}'
    a = np("run", "varying.py", contract, "--json").json["run"]
    b = np("run", "varying.py", contract, "--json", "--replicate").json["run"]
    text = np("diff", a, b).out
    assert "cause: the record does not tell" in text
    assert text.rstrip().endswith(f"next: nightproof explain {a} {b}")
    assert "next:" not in np("diff", a, a).out
    path.write_text(path.read_text().replace("os.urandom(8).hex()", "'edited'"))
    c = np("run", "varying.py", contract, "--json", "--replicate").json["run"]
    text = np("diff", a, c).out
    assert "cause: code" in text
    assert "next:" not in text
