"""The JSON API: what it answers, refuses and lists."""

import threading
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from api_client import OF_A_RUN, OF_THE_STORE, PROBLEM, asked, at, check_runs, check_store, shape_of

from nightproof.web.api import aside
from nightproof.web.api.description import description
from nightproof.web.api.table import ENDPOINTS


@pytest.mark.parametrize("path", OF_A_RUN)
def test_every_run_is_answered_as_described(dashboard: Any, path: str):
    """Each endpoint of a run, for each run of the house: nothing missing, nothing more."""
    check_runs(dashboard, path)


@pytest.mark.parametrize("path", OF_THE_STORE)
def test_the_store_is_answered_as_described(dashboard: Any, path: str):
    """Each endpoint of the whole store: nothing missing, nothing more."""
    check_store(dashboard, path)


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/nothing/here", 404, "nothing at this address"),
        ("/runs/no-such-run", 404, "there is no run 'no-such-run'"),
        ("/runs/nightly-", 404, "several runs"),
        ("/runs/{crashed}/items/999999", 404, "no item number 999999"),
        ("/runs/{crashed}/grid?step=nothing", 404, "no step 'nothing'"),
        ("/jobs/nothing/budget", 404, "no run of a job 'nothing'"),
        ("/drift?a={styled}&b={parked}", 409, "is a run of job 'styled'"),
        ("/runs/{crashed}/items/2147483647", 422, "seq: "),
        ("/runs?limit=0", 422, "limit: "),
        ("/runs?limit=1_0", 422, "limit: '1_0' is not a whole number"),
        ("/runs?limit=1&limit=2", 422, "given 2 times"),
        ("/runs?status=odd", 422, "status: "),
        ("/runs?own=yes", 422, "neither true nor false"),
        ("/runs?since=yesterday", 422, "since: "),
        ("/runs?since=2026-02-30T00:00:00Z", 422, "since: "),
        ("/runs/a%00b", 404, "there is no run"),
        ("/runs?job=%ff", 422, "not UTF-8"),
        ("/runs?limits=3", 422, "there is no parameter 'limits'"),
        ("/runs/{crashed}/grid", 422, "step: it is missing"),
        ("/runs/" + "x" * 20_001, 422, "run: "),
    ],
)
def test_refusals_say_why(dashboard: Any, path: str, status: int, words: str):
    """A problem document with its status, what is wrong, and what to do."""
    answer = dashboard.get("/api" + path.format(**dashboard.house.runs))
    told = answer.json()
    assert answer.status_code == status == told["status"]
    assert answer.headers["content-type"] == PROBLEM
    assert words in told["detail"]
    shape_of("/runs/{run}", "404").validate(told)


def test_it_only_reads(dashboard: Any):
    """HEAD is GET without a body; every other method is refused and says what is allowed."""
    url = dashboard.url + "/api/quotas"
    head, got = httpx2.head(url), httpx2.get(url)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        answer = httpx2.request(method, url)
        assert answer.status_code == 405
        assert answer.headers["content-type"] == PROBLEM
        assert {one.strip() for one in answer.headers["allow"].split(",")} == {"GET", "HEAD"}


def test_a_token_is_asked_for(house: Any):
    """As the description says: a problem without it or with another one, the answer with it."""
    from nightproof.web.dashboard import Dashboard

    made = Dashboard(house.settings(), [].append, token="a-token-of-some-length")
    url = f"http://127.0.0.1:{made.start('127.0.0.1', 0)}/api/jobs"
    try:
        for headers in ({}, {"Authorization": "Bearer another-token-than-that"}):
            refused = httpx2.get(url, headers=headers)
            assert (refused.status_code, refused.headers["content-type"]) == (401, PROBLEM)
            shape_of("/jobs", "401").validate(refused.json())
        given = {"Authorization": "Bearer a-token-of-some-length"}
        shape_of("/jobs").validate(httpx2.get(url, headers=given).json())
    finally:
        made.stop()


@pytest.mark.parametrize("path", ["/runs/{run}", "/runs/{run}/log", "/runs/{run}/cost"])
def test_a_long_run_is_read_elsewhere(dashboard: Any, monkeypatch: Any, path: str):
    """In a thread of its own, with the same answer and the same refusals."""
    where = at(path, run=dashboard.house.runs["crashed"])
    here = asked(dashboard, where)
    seen = []
    make = aside.written
    monkeypatch.setattr(aside, "LONG", 0)
    monkeypatch.setattr(
        aside, "written", lambda made: seen.append(threading.current_thread().name) or make(made)
    )
    assert asked(dashboard, where) == here
    assert seen[0].startswith("api")


def test_lists_come_in_pages(dashboard: Any):
    """Going on with `next` gives every run once, and every step, and every artifact."""

    def all_of(path: str, items: str, cursor: str, key: str) -> list[Any]:
        found, where = [], ""
        while True:
            page = asked(dashboard, f"/api{path}{'&' if '?' in path else '?'}limit=2{where}")
            assert len(page[items]) <= 2
            found += [one[key] for one in page[items]]
            if page["next"] is None:
                return found
            where = f"&{cursor}={page['next']}"

    runs = dashboard.house.runs
    assert sorted(all_of("/runs", "runs", "before", "run")) == sorted(runs.values())
    crashed = f"/runs/{runs['crashed']}"
    steps = all_of(crashed + "/steps", "steps", "after", "seq")
    assert steps == sorted(set(steps))
    assert len(steps) == 5
    artifacts = all_of(crashed + "/artifacts", "items", "skip", "name")
    assert artifacts == ["report.md", "table.csv", "chart.png", "report.html"]


def test_filters_of_runs(dashboard: Any):
    """By what they contain, by time, by contract, without replicates, left by their process."""
    runs = dashboard.house.runs

    def named(query: str) -> set[str]:
        return {one["run"] for one in asked(dashboard, f"/api/runs?{query}")["runs"]}

    assert named("contains=2026-11-19T00") == {runs["night 0"], runs["night 1"]}
    everything = asked(dashboard, "/api/runs")["runs"]
    middle = quote(everything[4]["created"])
    assert len(named(f"since={middle}")) == 5
    assert named(f"until={middle}") == {one["run"] for one in everything[5:]}
    digest = asked(dashboard, at("/runs/{run}", run=runs["styled"]))["run"]["contract"]
    assert named(f"contract={digest}") == {
        runs[one] for one in ("styled", "drifted", "equal", "parked")
    }
    assert named(f"job=styled&contract={digest}&own=true") == {runs["styled"]}
    assert named("interrupted=true") == set()


def test_items_by_state_and_key(dashboard: Any):
    """The failed ones of 300; those with a text in their key; pages in both directions."""
    many = at("/runs/{run}/items", run=dashboard.house.runs["many"]) + "?step=enrich"
    failed = asked(dashboard, many + "&state=failed")["items"]
    assert sorted(one["key"] for one in failed) == ["item-000007", "item-000107", "item-000207"]
    found = asked(dashboard, many + "&contains=item-00012")["items"]
    assert len(found) == 10
    first = asked(dashboard, many + "&limit=10")
    second = asked(dashboard, many + f"&limit=10&after={first['after']}")
    back = asked(dashboard, many + f"&limit=10&before={second['before']}")
    assert back["items"] == first["items"]


def test_the_page_lists_everything(dashboard: Any):
    """Each endpoint has its place, its parameters, and a link to its type."""
    text = dashboard.get("/api/docs").text
    for one in ENDPOINTS:
        assert f'id="{one.name}"' in text
        for parameter in one.parameters.values():
            assert f"<code>{parameter.name}</code>" in text
    for shape in description()["components"]["schemas"]:
        assert f'id="shape-{shape}"' in text
    assert dashboard.get("/api").headers["location"] == "/api/docs"
