"""The drift page and a job's budget."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from web_house import command

from nightproof.model import clock
from nightproof.web import comparing
from nightproof.web.diffing import Words, side_by_side, words

NORMALISED = """
import os
from typing import Any, Literal

from nightproof import Contract, job, step


class Work(Contract):
    task: Literal["work"] = "work"


def day(value: Any) -> Any:
    return value["amount"] if isinstance(value, dict) else value


@step
def fetch() -> dict[str, Any]:
    return {"amount": 7, "request": os.urandom(8).hex()}


@job(normalise=[day])
async def normalised(contract: Work) -> int:
    return (await fetch())["amount"]
"""


def settled(dashboard: Any, path: str) -> Any:
    """A page once what it waits for is there."""
    answer = dashboard.get(path)
    deadline = clock.monotonic() + 60
    while "data-again" in answer.text and clock.monotonic() < deadline:
        clock.block(0.1)
        answer = dashboard.get(path)
    assert "data-again" not in answer.text
    return answer


def pair(house: Any) -> str:
    """The address of the run and its replicate that differ."""
    return f"/drift?a={house.runs['styled']}&b={house.runs['drifted']}"


def test_a_verdict_with_its_evidence(dashboard: Any, house: Any):
    """The cause is named, with what says so, and the outputs lie side by side."""
    text = dashboard.get(pair(house)).text
    assert "Drift in house_style" in text
    assert "3 of 3 results differ; cause: context, consistent with the record" in text
    assert "Named: <b>context</b>" in text
    assert "variable HOUSE_STYLE" in text
    assert "consistent with" in text
    assert "excluded" in text
    assert "<del>!</del>" in text
    assert "<ins>?</ins>" in text
    assert f"nightproof explain {house.runs['styled']} {house.runs['drifted']}" in text


def test_equal_runs_say_so(dashboard: Any, house: Any):
    """Without drift there are no causes."""
    text = dashboard.get(f"/drift?a={house.runs['styled']}&b={house.runs['equal']}").text
    assert "3 results are the same, byte for byte" in text
    assert "consistent with" not in text


def test_a_word_stands_for_a_run(dashboard: Any, house: Any):
    """The newest replicate, the night before and the original lead to names."""
    runs = house.runs
    for a, word, b in (
        (runs["styled"], "replicate", runs["equal"]),
        (runs["drifted"], "original", runs["styled"]),
        (runs["night 1"], "before", runs["night 0"]),
        (runs["styled"][:10], runs["drifted"], runs["drifted"]),
    ):
        answer = dashboard.get(f"/drift?a={a}&b={word}")
        if word == runs["drifted"]:
            assert answer.status_code == 404  # three runs begin like that
            continue
        assert answer.status_code == 303
        assert answer.headers["location"].endswith(f"b={b}")
    assert dashboard.get("/drift?job=nightly").headers["location"].startswith("/drift?a=nightly-")


def test_what_cannot_be_compared_is_said(dashboard: Any, house: Any):
    """Another job, a run that has not ended, one that is not there, itself."""
    runs = house.runs
    other = dashboard.get(f"/drift?a={runs['styled']}&b={runs['failed']}")
    assert "is a run of job" in other.text
    parked = dashboard.get(f"/drift?a={runs['parked']}&b={runs['parked']}")
    assert parked.status_code == 400
    gone = dashboard.get(f"/drift?a={runs['styled']}&b=nobody-0000000000")
    assert gone.status_code == 404
    assert "there is no run" in gone.text


def test_a_choice_of_runs(dashboard: Any, house: Any):
    """Without a second run those are listed that it can be compared with."""
    text = dashboard.get(f"/drift?a={house.runs['styled']}").text
    assert house.runs["drifted"] in text
    assert house.runs["equal"] in text
    start = dashboard.get("/drift").text
    assert house.runs["drifted"] in start


def test_long_runs_are_compared_beside(serving: Any, house: Any, monkeypatch: pytest.MonkeyPatch):
    """In a process of its own: the page answers at once, and has the same verdict later."""
    monkeypatch.setattr(comparing, "SHORT", 0)
    dashboard = serving(house)
    first = dashboard.get(pair(house))
    assert "Two runs are being compared" in first.text
    text = settled(dashboard, pair(house)).text
    assert "Named: <b>context</b>" in text
    assert "<ins>?</ins>" in text
    assert "1 of 2" in settled(dashboard, "/jobs/styled/budget").text
    assert not dashboard.said


def test_a_function_that_normalises_is_not_loaded_here(serving: Any, own_house: Any):
    """The job's own code runs in another process; where it is gone the page says so."""
    folder = own_house.folder
    (folder / "normalised.py").write_text(NORMALISED)
    given = {"task": "work"}
    a = command(folder, "run", "normalised.py:normalised", "-", given=given)["run"]
    b = command(folder, "run", "normalised.py:normalised", "-", "--replicate", given=given)["run"]
    dashboard = serving(own_house)
    text = settled(dashboard, f"/drift?a={a}&b={b}").text
    assert "the same after normalising function day" in text
    assert "the same after normalising" in text
    (folder / "normalised.py").unlink()
    assert "cannot be loaded" in settled(dashboard, f"/drift?a={b}&b={a}").text


def test_experiments_on_record_are_shown(serving: Any, own_house: Any):
    """What explain has proved is part of the verdict."""
    runs = own_house.runs
    told = command(own_house.folder, "explain", runs["styled"], runs["drifted"], "--runs", "3")
    assert told["experiments"], told["said"]
    text = serving(own_house).get(pair(own_house)).text
    assert "proved by swap" in text
    assert "Experiments" in text
    assert told["experiments"][0]["factor"] in text


def test_large_values_are_compared_beside(serving: Any, own_house: Any):
    """A text that became a blob would hold up other pages while it is read and compared."""
    folder = own_house.folder
    given = {"task": "words", "text": "x" * 100_000}
    a = command(folder, "run", "jobs.py:styled", "-", given=given, HOUSE_STYLE="!")["run"]
    more = command(
        folder, "run", "jobs.py:styled", "-", "--replicate", given=given, HOUSE_STYLE="?"
    )
    dashboard = serving(own_house)
    first = dashboard.get(f"/drift?a={a}&b={more['run']}").text
    assert "Two runs are being compared" in first
    text = settled(dashboard, f"/drift?a={a}&b={more['run']}").text
    assert "<ins>?</ins>" in text
    assert len(text) < 100_000


def test_a_budget_over_time(dashboard: Any):
    """The bound, what is missing, and each replicate with where it parts."""
    text = dashboard.get("/jobs/styled/budget").text
    assert "1 of 2" in text
    assert "97.47 %" in text
    assert "house_style" in text
    assert "data-chart" in text
    assert "No replicate has been made" in dashboard.get("/jobs/nightly/budget").text
    assert dashboard.get("/jobs/nobody/budget").status_code == 404


def test_hostile_names_and_values_are_text(serving: Any, own_house: Any):
    """Words of either side come out as text, whatever they are."""
    folder, hostile = own_house.folder, "<script>alert(1)</script>\x1b[31m"
    given = {"task": "words", "text": hostile}
    a = command(folder, "run", "jobs.py:styled", "-", given=given, HOUSE_STYLE="\n<b>one</b>\n")
    b = command(
        folder,
        "run",
        "jobs.py:styled",
        "-",
        "--replicate",
        given=given,
        HOUSE_STYLE="\n<i>two</i>\n",
    )
    text = serving(own_house).get(f"/drift?a={a['run']}&b={b['run']}").text
    assert "<script>alert" not in text
    assert "<b>one" not in text
    assert "&lt;script&gt;" in text
    assert "\x1b" not in text


def test_words_are_marked_where_they_differ():
    """What both sides share stays unmarked; what has nothing in common is marked whole."""
    a, b = words("revenue of 18 November", "revenue of 19 November")
    assert [piece.text for piece in a if piece.changed] == ["18"]
    assert [piece.text for piece in b if piece.changed] == ["19"]
    assert [piece.changed for piece in words("abc", "xyz 9")[0]] == [True]


def test_lines_lie_beside_their_counterparts():
    """A unified diff in two columns; a line that only one side has faces nothing."""
    lines = side_by_side(
        ["--- A", "+++ B", "@@ -1,2 +1,3 @@", " same", "-old 1", "+old 2", "+new"], Words()
    )
    assert [line.kind for line in lines] == ["gap", "same", "changed", "changed"]
    assert [piece.text for piece in lines[2].b or [] if piece.changed] == ["2"]
    assert lines[3].a is None
    assert "--- A" not in str(lines)


def test_a_comparison_is_not_made_twice(house: Any, monkeypatch: pytest.MonkeyPatch):
    """Whoever asks while one is under way waits for the same; what failed is forgotten."""
    asked = []

    async def answer(words: Any, store: str) -> comparing.Answer:
        asked.append(words)
        return comparing.Answer(None, "no", "why") if len(asked) == 1 else comparing.Answer({})

    monkeypatch.setattr(comparing, "_command", answer)
    monkeypatch.setattr(comparing, "SHORT", -1)

    async def look() -> list[Any]:
        from nightproof import app
        from nightproof.views import open_run

        settings = house.settings()
        reader: Any = app.open_reader(settings)

        class Site:
            journal, blobs = reader, None

        Site.settings = settings  # type: ignore[attr-defined]
        made = comparing.Comparisons(Site)  # type: ignore[arg-type]
        a, b = [await open_run(reader, house.runs[one]) for one in ("styled", "drifted")]
        first = await asyncio.gather(made.diff(a, b), made.diff(a, b))
        monkeypatch.setattr(comparing, "FORGOTTEN_SECONDS", 0)
        return [*first, await made.diff(a, b), await made.diff(a, b)]

    found = asyncio.run(look())
    assert [one.error for one in found] == ["no", "no", "", ""]
    assert len(asked) == 2


def test_nobody_goes_on_when_the_dashboard_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A comparison under way is killed with it; one that takes too long is given up."""
    sleeper = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)"
    words = [sys.executable, "-c", sleeper]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(comparing, "command", lambda: words)

    def pid(path: Path) -> int:
        deadline = clock.monotonic() + 30
        while not (path.exists() and path.read_text()) and clock.monotonic() < deadline:
            clock.block(0.05)
        return int(path.read_text())

    async def leave() -> None:
        task = asyncio.create_task(comparing._command((str(tmp_path / "a"),), "sqlite:///x.db"))
        await asyncio.to_thread(pid, tmp_path / "a")
        task.get_loop().call_soon(task.cancel)
        await asyncio.wait([task])

    asyncio.run(leave())
    with pytest.raises(ProcessLookupError):
        os.kill(pid(tmp_path / "a"), 0)
    monkeypatch.setattr(comparing, "LONGEST_SECONDS", 0.05)
    late = asyncio.run(comparing._command(("diff", "--json", "--", "a b"), "sqlite:///x.db"))
    assert late.hint == "In a terminal: nightproof diff -- 'a b'"


def test_diff_json_is_what_the_page_shows(house: Any):
    """The command's document has all that the page needs."""
    told = command(house.folder, "diff", house.runs["styled"], house.runs["drifted"])
    assert told["results"] == {"compared": 3, "differing": 3, "differingRaw": 3}
    first = told["firstDivergence"]
    assert first["inputs"]["a"] == first["inputs"]["b"] == json.dumps(["a"])
    assert first["values"]["places"] == [{"path": "", "a": '"a!"', "b": '"a?"'}]
