"""Names, keys, values, logs and artifacts that mean harm are shown, and do none."""

import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from web_house import command

JOBS = Path(__file__).parents[1] / "hostile_jobs.py"
MOST_BYTES = 1_500_000
"""No page is larger, whatever a run has recorded."""


def twice(name: str) -> str:
    """A name as the pages' addresses have it."""
    return quote(quote(name, safe=""), safe="")


@pytest.fixture(scope="module")
def harmed(tmp_path_factory: pytest.TempPathFactory, serving: Any, house: Any) -> Any:
    """A dashboard on a store with one hostile run."""
    folder = tmp_path_factory.mktemp("harm")
    shutil.copy(JOBS, folder / "jobs.py")
    told = command(folder, "run", "jobs.py:harm", "-", given={"task": "harm"})
    assert told.get("run"), told
    running = serving(type(house)(folder, {"harm": told["run"]}))
    running.job = told["job"]
    return running


def pages(running: Any) -> list[str]:
    """Every page that shows something of the run."""
    run = "/runs/" + twice(running.house.runs["harm"])
    found = ["/", "/runs", "/effects", "/audit", f"/jobs/{twice(running.job)}", run]
    found += [f"/jobs/{twice(running.job)}/budget", f"/search?q={quote('<script>')}"]
    found += [f"{run}/{part}" for part in ("log", "artifacts", "input", "environment", "reads")]
    found += [f"{run}/cost", f"{run}/steps/keyed", f"{run}/steps/too_long"]
    listed = running.get(f"{run}/artifacts").text
    artifacts = sorted(set(re.findall(r'href="(/runs/[^"]+/artifacts/\d+)"', listed)))
    assert len(artifacts) == 7, artifacts
    found += artifacts
    found += [
        f"/drift?a={quote(running.house.runs['harm'])}&b={quote('<script>alert(1)</script>')}"
    ]
    return found


def test_harm_is_shown_and_not_done(harmed: Any, visit: Any):
    """No script runs, nothing is asked of anybody else, no terminal code reaches the page."""
    visitor = visit()
    visitor.expected = [r"status of 404", r"sandbox", r"Content.Security.Policy", r"status of 400"]
    for path in pages(harmed):
        page = visitor.open(harmed.url + path)
        assert page.title() != "stolen", path
        body = page.content()
        assert "\x1b" not in body, path
        assert "\u202e" not in body, path
        assert "<script>document.title" not in body, path
        assert len(body) < MOST_BYTES, f"{path} has {len(body)} bytes"
        assert page.url.startswith(harmed.url), path
        for frame in page.frames[1:]:
            assert frame.evaluate("self.origin") == "null", path
        visitor.shot(path.rpartition("/")[2][:20])


def test_answers_stay_small(harmed: Any):
    """A line of ten megabytes does not reach a page whole, and every page answers."""
    for path in pages(harmed):
        answer = harmed.get(path)
        assert answer.status_code in (200, 400, 404), path
        assert len(answer.content) < MOST_BYTES, path


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../../../etc/passwd",
        "/static/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/static/..%2f..%2f..%2fetc/passwd",
        "/runs/..%2f..%2fetc%2fpasswd",
        "/runs/%252e%252e%252fetc",
        "/runs/{run}/artifacts/../../../etc/passwd",
        "/runs/{run}/artifacts/..%2f..%2f/file",
        "/runs/{run}/artifacts/-1/file",
        "/runs/{run}/artifacts/99999999999999999999/file",
        "/runs/{run}/steps/..%252f..%252f",
        "/runs/%00",
        "/runs/" + "x" * 20_000,
    ],
)
def test_paths_lead_nowhere(harmed: Any, path: str):
    """Whatever is asked for, no file is read that no run has delivered, and nothing breaks."""
    given = path.replace("{run}", twice(harmed.house.runs["harm"]))
    request = httpx2.Request("GET", harmed.url)
    request.url = request.url.copy_with(raw_path=given.encode())
    with httpx2.Client() as client:
        answer = client.send(request)
    assert answer.status_code in (301, 302, 307, 400, 404, 414, 422), answer.text[:300]
    assert "root:" not in answer.text
    assert not any("Error" in line for line in harmed.said), harmed.said
