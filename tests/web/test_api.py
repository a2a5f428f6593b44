"""The JSON API: what it answers is what it describes, and what the commands print."""

import contextlib
import io
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import quote

import httpx2
import jsonschema_rs
import pytest

from nightproof.cli.main import main
from nightproof.web.api import aside
from nightproof.web.api.description import description
from nightproof.web.api.table import ENDPOINTS

PROBLEM = "application/problem+json"


def at(path: str, **names: str) -> str:
    """An address of the API; each name percent-encoded once."""
    for name, value in names.items():
        path = path.replace("{" + name + "}", quote(value, safe=""))
    return "/api" + path


def printed(house: Any, *words: str) -> Any:
    """What a command prints with --json."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("NIGHTPROOF_")}
    out = io.StringIO()
    with (
        mock.patch.dict(os.environ, kept, clear=True),
        contextlib.chdir(house.folder),
        contextlib.redirect_stdout(out),
    ):
        # In a thread: a browser's fixture may keep an event loop in this one.
        command = threading.Thread(target=main, args=([*words, "--json"],))
        command.start()
        command.join()
    return json.loads(out.getvalue())


def steady(document: Any) -> Any:
    """A document without what is another at every look."""
    if isinstance(document, list):
        return [steady(one) for one in document]
    if not isinstance(document, dict):
        return document
    moving = {"silent", "took"} if document.get("status") in ("running", "parked") else set()
    return {key: steady(value) for key, value in document.items() if key not in moving}


def closed(schema: Any) -> Any:
    """The description with nothing allowed that it does not name."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        made["additionalProperties"] = False
    return made


def shape_of(path: str, code: str = "200") -> Any:
    """What checks an answer of a path."""
    about = closed(description())
    answer = about["paths"][path]["get"]["responses"][code]
    if "$ref" in answer:
        answer = about["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    (content,) = answer["content"].values()
    return jsonschema_rs.validator_for(
        {**content["schema"], "components": about["components"]},
        validate_formats=True,
    )


def asked(dashboard: Any, path: str) -> Any:
    """A document of the API."""
    answer = dashboard.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


OF_A_RUN = [one.path for one in ENDPOINTS if one.pieces[:2] == ["runs", "{run}"]]
OF_THE_STORE = [one.path for one in ENDPOINTS if "{" not in one.path]


@pytest.mark.parametrize("path", OF_A_RUN)
def test_every_run_is_answered_as_described(dashboard: Any, path: str):
    """Each endpoint of a run, for each run of the house: nothing missing, nothing more."""
    shape = shape_of(path)
    answered = 0
    for run in dashboard.house.runs.values():
        given = {"run": run}
        query = ""
        if path.endswith(("/grid", "/items", "/items/{seq}")):
            first = asked(dashboard, at("/runs/{run}/steps", run=run))["steps"]
            if not first:
                continue
            given["seq"] = str(first[0]["seq"])
            query = "?step=" + quote(first[0]["step"]) if not path.endswith("{seq}") else ""
        if path.endswith("{n}"):
            delivered = asked(dashboard, at("/runs/{run}/artifacts", run=run))["items"]
            if not delivered:
                continue
            given["n"] = str(delivered[-1]["n"])
        answered += 1
        shape.validate(asked(dashboard, at(path, **given) + query))
    assert answered


@pytest.mark.parametrize("path", OF_THE_STORE)
def test_the_store_is_answered_as_described(dashboard: Any, path: str):
    """Each endpoint of the whole store: nothing missing, nothing more."""
    runs = dashboard.house.runs
    query = {
        "/drift": f"?a={runs['styled']}&b={runs['drifted']}",
        "/environments": f"?a={runs['styled']}&b={runs['many']}",
        "/search": "?q=nightly",
    }.get(path, "")
    shape_of(path).validate(asked(dashboard, "/api" + path + query))


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (("runs",), "/runs"),
        (("runs", "--job", "nightly", "--limit", "2"), "/runs?job=nightly&limit=2"),
        (("runs", "--status", "failed", "--status", "parked"), "/runs?status=failed&status=parked"),
        (("runs", "--own", "--contains", "2026", "--since", "2026-01-01T00:00:00Z"),
         "/runs?own=true&contains=2026&since=2026-01-01T00:00:00Z"),
        (("runs", "--before", "4", "--until", "2099-01-01T00:00:00Z"),
         "/runs?before=4&until=2099-01-01T00:00:00Z"),
        (("show", "{crashed}"), "/runs/{crashed}"),
        (("show", "{failed}"), "/runs/{failed}"),
        (("show", "{held}"), "/runs/{held}"),
        (("show", "{parked}"), "/runs/{parked}"),
        (("steps", "{many}", "--limit", "20"), "/runs/{many}/steps?limit=20"),
        (("steps", "{many}", "--failed", "--after", "50"), "/runs/{many}/steps?failed=true&after=50"),
        (("steps", "{crashed}", "--step", "post_report"), "/runs/{crashed}/steps?step=post_report"),
        (("logs", "{crashed}"), "/runs/{crashed}/log"),
        (("logs", "{many}", "-n", "3"), "/runs/{many}/log?limit=3"),
        (("env", "show", "{styled}"), "/runs/{styled}/environment"),
        (("env", "diff", "{styled}", "{drifted}"), "/environments?a={styled}&b={drifted}"),
        (("env", "reads", "{styled}"), "/runs/{styled}/reads"),
        (("env", "reads", "{styled}", "--all"), "/runs/{styled}/reads?all=true"),
        (("diff", "{styled}", "{drifted}"), "/drift?a={styled}&b={drifted}"),
        (("diff", "{styled}", "{equal}"), "/drift?a={styled}&b=replicate"),
        (("budget", "styled"), "/jobs/styled/budget"),
        (("budget", "styled", "--latest"), "/jobs/styled/budget?latest=true"),
        (("quotas",), "/quotas"),
        (("alerts", "show", "--days", "3"), "/incidents?days=3"),
        (("audit",), "/audit"),
    ],
    ids=lambda one: one.replace("{", "").replace("}", "") if isinstance(one, str) else "",
)  # fmt: skip
def test_the_same_as_the_command(dashboard: Any, words: tuple[str, ...], path: str):
    """An endpoint and its command make one document."""
    house = dashboard.house
    told = printed(house, *(word.format(**house.runs) for word in words))
    assert steady(asked(dashboard, "/api" + path.format(**house.runs))) == steady(told)


def test_every_command_is_compared():
    """What says that it equals a command is in the list above."""
    marks = next(
        mark for mark in test_the_same_as_the_command.pytestmark if mark.name == "parametrize"
    )
    shown = {words[0] if words[0] not in ("env", "alerts") else " ".join(words[:2])
             for words, _ in marks.args[1]}  # fmt: skip
    for one in ENDPOINTS:
        if one.command:
            assert any(one.command.startswith(each + " ") for each in shown), one.command


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
        ("/runs?job=%00", 422, "job: "),
        ("/runs?job=%ff", 422, "not UTF-8"),
        ("/runs?limits=3", 422, "there is no parameter 'limits'"),
        ("/runs/{crashed}/grid", 422, "step: it is missing"),
        ("/runs/" + "x" * 1001, 422, "run: "),
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


@pytest.mark.parametrize("path", ["/runs/{run}", "/runs/{run}/log"])
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


def test_a_name_may_hold_anything(serving: Any, tmp_path: Path):
    """Names are percent-encoded once: slashes, dots, percent signs and half a tag arrive."""
    from web_house import command

    from nightproof import config

    (tmp_path / "jobs.py").write_text(
        "from typing import Literal\n"
        "from nightproof import Contract, job, measure, step\n"
        "class One(Contract):\n"
        "    task: Literal['one'] = 'one'\n"
        "@step(name='../%2e/<b>')\n"
        "def odd() -> float:\n"
        "    return float('nan')\n"
        "@job(name='../a b%2Fc/<script>')\n"
        "async def one(contract: One) -> float:\n"
        "    return await odd()\n"
    )
    told = command(tmp_path, "run", "jobs.py:one", "-", given={"task": "one"})
    assert told["exit"] == 0, told["said"]

    class House:
        folder = tmp_path
        runs: dict[str, str] = {}  # noqa: RUF012

        def settings(self) -> config.Settings:
            return config.Settings(store=f"sqlite:///{tmp_path}/.nightproof/journal.db")

    dashboard = serving(House())
    (found,) = asked(dashboard, "/api/runs?job=" + quote("../a b%2Fc/<script>"))["runs"]
    shown = asked(dashboard, at("/runs/{run}", run=found["run"]))
    assert shown["run"]["job"] == "../a b%2Fc/<script>"
    assert shown["result"] is None, "JSON has no NaN"
    grid = at("/runs/{run}/grid", run=found["run"]) + "?step=" + quote("../%2e/<b>", safe="")
    assert asked(dashboard, grid)["states"] == "d"
    assert asked(dashboard, at("/jobs/{job}/budget", job="../a b%2Fc/<script>"))["contracts"] == 1


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


def fuzzed(dashboard: Any, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Schemathesis against the live description, with all its checks.

    It is told of names that there are, so that answers are tested and not only refusals.
    """
    known = {
        "run": list(dashboard.house.runs.values()),
        "job": ["nightly", "styled", "many"],
        "step": ["fetch_country", "enrich", "house_style", "post_report"],
        "number": [0, 1, 3, 7, 9],
    }
    places = {
        "run": ("path.run", "query.a", "query.b", "query.run"),
        "job": ("path.job", "query.job"),
        "step": ("query.step",),
        "number": ("path.seq", "path.n"),
    }
    lines = [f"[dictionaries.{name}]\nvalues = {json.dumps(its)}" for name, its in known.items()]
    lines += ["[parameters]"] + [
        f'"{place}" = {{dictionary = "{name}", probability = 0.8}}'
        for name, its in places.items() for place in its
    ]  # fmt: skip
    (folder / "schemathesis.toml").write_text("\n".join(lines))
    return subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml",
            "run", dashboard.url + "/api/openapi.json", "--checks", "all",
            "--generation-database", "none", "--no-color", *more,
        ],
        capture_output=True, text=True, cwd=folder, timeout=900,
    )  # fmt: skip


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "how",
    [
        # Parameters of every kind; the long run has all paths.
        pytest.param(
            ("--phases", "coverage", "--include-path-regex", "^/runs$", "--mode", "negative"),
            marks=pytest.mark.drill,
        ),
        ("--phases", "fuzzing", "--max-examples", "1", "--seed", "1"),
    ],
    ids=["bounds", "requests"],
)  # fmt: skip
def test_schemathesis_finds_nothing(dashboard: Any, tmp_path: Path, how: tuple[str, ...]):
    """Generated requests, right and wrong ones, and what the links lead to."""
    ended = fuzzed(dashboard, tmp_path, *how)
    assert ended.returncode == 0, ended.stdout[-10_000:]


@pytest.mark.drill
@pytest.mark.timeout(900)
def test_schemathesis_finds_nothing_in_a_long_run(dashboard: Any, tmp_path: Path):
    """The same for longer, with another seed each time."""
    seed = str(time.time_ns() % 10**6)
    ended = fuzzed(dashboard, tmp_path, "--max-examples", "60", "--seed", seed)
    assert ended.returncode == 0, ended.stdout[-20_000:]


@pytest.mark.drill
@pytest.mark.timeout(900)
def test_on_postgres(
    postgres_schema: Any, serving: Any, house: Any, tmp_path: Path, monkeypatch: Any
):
    """The same on another store: answers as described, and nothing that it cannot be asked."""
    import web_house

    store = postgres_schema()
    here = web_house.command
    monkeypatch.setattr(
        web_house,
        "command",
        lambda folder, *words, given=None, **env: here(
            folder, *words, given=given, **env, NIGHTPROOF_STORE=store
        ),
    )

    class There(type(house)):  # type: ignore[misc]
        def settings(self, **more: Any) -> Any:
            blobs = str(self.folder / ".nightproof" / "blobs")
            return house.settings(**more).override(store=store, blobs=blobs)

    folder = tmp_path / "house"
    dashboard = serving(There(folder, web_house.build(folder)))
    for path in OF_A_RUN:
        test_every_run_is_answered_as_described(dashboard, path)
    for path in OF_THE_STORE:
        test_the_store_is_answered_as_described(dashboard, path)
    ended = fuzzed(dashboard, tmp_path, "--max-examples", "20", "--seed", "1")
    assert ended.returncode == 0, ended.stdout[-20_000:]
