"""Runs, jobs and steps whose names nobody would give: each is found, on pages and in the API."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from api_client import asked, at, shape_of
from web_house import command

from nightproof import config
from nightproof.web.rendering import url

ODD = {
    "nul": ("a\0b", "st\0ep"),
    "long": ("é" * 1500 + "1", "x" * 1500),
    "long too": ("é" * 1500 + "2", "x" * 1500),
    "slashes": ("../a b%2Fc/<script>", "../%2e/<b>"),
}
JOB = """
from typing import Literal
from nightproof import Contract, job, step
class One(Contract):
    task: Literal['one'] = 'one'
@step(name={step!r})
def odd() -> float:
    return float('nan')
@job(name={job!r})
async def one(contract: One) -> float:
    return await odd()
"""


@pytest.fixture(scope="module")
def odd(serving: Any, tmp_path_factory: Any) -> Any:
    """A dashboard on one run of each."""
    place: Path = tmp_path_factory.mktemp("odd")
    for number, (job, step) in enumerate(ODD.values()):
        (place / f"jobs{number}.py").write_text(JOB.format(job=job, step=step))
        told = command(place, "run", f"jobs{number}.py:one", "-", given={"task": "one"})
        assert told["exit"] == 0, told["said"]

    class House:
        folder = place
        runs: dict[str, str] = {}  # noqa: RUF012

        def settings(self) -> config.Settings:
            return config.Settings(store=f"sqlite:///{place}/.nightproof/journal.db")

    return serving(House())


@pytest.mark.parametrize("which", ODD)
def test_the_api_finds_it(odd: Any, which: str):
    """By job, by its whole name, by its step: NUL and 3,000 characters too."""
    job, step = ODD[which]
    (found,) = asked(odd, "/api/runs?job=" + quote(job, safe=""))["runs"]
    run = found["run"]
    shown = asked(odd, at("/runs/{run}", run=run))
    shape_of("/runs/{run}").validate(shown)
    assert (shown["run"]["job"], shown["run"]["run"]) == (job, run)
    assert shown["result"] is None, "JSON has no NaN"
    given = "?step=" + quote(step, safe="")
    assert asked(odd, at("/runs/{run}/grid", run=run) + given)["states"] == "d"
    assert asked(odd, at("/runs/{run}/steps", run=run) + given)["steps"][0]["step"] == step
    assert asked(odd, at("/jobs/{job}/budget", job=job))["contracts"] == 1
    other = odd.get(at("/runs/{run}", run="no such\0run"))
    assert (other.status_code, "no run" in other.json()["detail"]) == (404, True)


@pytest.mark.parametrize("which", ODD)
def test_a_page_finds_it(odd: Any, which: str):
    """At the address that other pages give it."""
    job, step = ODD[which]
    (found,) = asked(odd, "/api/runs?job=" + quote(job, safe=""))["runs"]
    run = found["run"]
    for path in (
        url("/runs/{}", run), url("/runs/{}/log", run), url("/runs/{}/steps/{}", run, step),
        url("/runs/{}/artifacts", run), url("/runs/{}/input", run), url("/jobs/{}", job),
        url("/runs", job=job), url("/search", q=job), url("/drift", a=run),
    ):  # fmt: skip
        answer = odd.get(path)
        assert answer.status_code == 200, (path[:100], answer.text[:2000])
    assert odd.get(url("/runs/{}", "no such\0run")).status_code == 404
