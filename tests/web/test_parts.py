"""What surrounds a run on its pages: input, environment, reads, cost; and no secret anywhere."""

import asyncio
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from re import findall, search, sub
from typing import Any

import httpx2
import pytest
from parts_house import build
from parts_jobs import SECRET

from nightproof import app
from nightproof.views import noted as noted_views
from nightproof.views import open_run
from nightproof.views.costs import costs
from nightproof.views.noted import Noted
from nightproof.web.api.table import ENDPOINTS

TABS = ("artifacts", "input", "environment", "reads", "cost")


@pytest.fixture(scope="module")
def parts(tmp_path_factory: Any, serving: Any, house: Any) -> Any:
    """A dashboard on runs with secrets and costs."""
    folder = tmp_path_factory.mktemp("parts")
    return serving(type(house)(folder, build(folder)))


def text(answer: httpx2.Response) -> str:
    """What a page says, without its elements."""
    assert answer.status_code == 200, answer.text
    return " ".join(unescape(sub(r"<[^>]*>", " ", answer.text)).split())


def test_every_part_of_every_run_has_a_page(dashboard: Any):
    """Completed, crashed, parked, held, failed, a replicate: nothing that is not there breaks it."""
    for what, run in dashboard.house.runs.items():
        for part in TABS:
            answer = dashboard.get(f"/runs/{run}/{part}")
            assert answer.status_code == 200, f"{what}: {part}"
            assert run in answer.text
            assert "style=" not in answer.text
    for part in TABS:
        assert dashboard.get(f"/runs/none/{part}").status_code == 404


def test_no_secret_is_on_any_page(parts: Any):
    """Neither what a secret step returned, nor where it went in or came out in an error."""
    run = parts.house.runs["secretive"]
    seen, paths = set(), [f"/runs/{run}", f"/runs/{run}/log", f"/api/runs/{run}", "/runs", "/"]
    paths += [f"/runs/{run}/{part}" for part in TABS]
    told = parts.get("/api/openapi.json").json()["paths"]
    paths += [f"/api{one}".replace("/api/api", "/api").replace("{run}", run) for one in told]
    while paths:
        path = paths.pop()
        seen.add(path)
        body = parts.get(path).text
        assert SECRET not in body, path
        assert SECRET[:20] not in body, path
        found = (unescape(one) for one in findall(r'href="(/(?:runs|api)/[^"]*)"', body))
        paths += [one for one in found if run in one and one not in seen and one not in paths]
    assert len(seen) > 8


def test_no_secret_is_in_the_api(parts: Any):
    """Nor in any document of the run, of its single steps, or of a search."""
    run = parts.house.runs["secretive"]
    steps = parts.get(f"/api/runs/{run}/steps").json()["steps"]
    paths = [one.path.replace("{run}", run) for one in ENDPOINTS if "{run}" in one.path]
    paths = [path for path in paths if "{" not in path and not path.endswith(("/grid", "/items"))]
    paths += [f"/runs/{run}/items/{one['seq']}" for one in steps]
    paths += [f"/runs/{run}/items?step={name}" for name in {one["step"] for one in steps}]
    paths += ["/runs", "/effects", f"/search?q={run}", f"/runs?contains={SECRET}"]
    assert len(paths) > 20
    for path in paths:
        answer = parts.get("/api" + path)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        assert SECRET[:20] not in answer.text, path


def test_the_contract_is_shown_and_handed_out(parts: Any):
    """Pretty, with its digest; the download is what is recorded."""
    run = parts.house.runs["secretive"]
    answer = parts.get(f"/runs/{run}/input")
    assert '"task": "parts"' in unescape(answer.text)
    assert findall(r"sha256:[0-9a-f]{64}", answer.text)
    assert "sun-4-2026-01-01" in answer.text
    answer = parts.get(f"/runs/{run}/input/contract")
    assert answer.json()["task"] == "parts"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-security-policy"].startswith("sandbox")


def test_what_the_contract_names_is_listed(parts: Any):
    """A dataset with its sha256, prompts read and unread, a model and what answered for it."""
    said = text(parts.get(f"/runs/{parts.house.runs['given']}/input"))
    assert "/data file:rates.csv" in said
    assert "weekly@7" in said
    assert "not locked" in said
    assert "unread@1 was not read" in said
    assert "moon moon-8-2026-01-01 mismatched 1 /model" in said
    assert "consult moon-8-2026-01-01 moon-9-2026-02-02 mismatched 1 sky" in said


def test_the_environment_can_be_searched_and_compared(parts: Any):
    """By item and part; with another run's; a run that is none is said to be none."""
    run, other = parts.house.runs["secretive"], parts.house.runs["harmful"]
    assert "package/nightproof" in text(parts.get(f"/runs/{run}/environment?q=NightProof"))
    assert "package/" not in text(parts.get(f"/runs/{run}/environment?part=host&q=kernel"))
    assert "No item is like that" in text(parts.get(f"/runs/{run}/environment?q=%3Cscript%3E"))
    said = text(parts.get(f"/runs/{run}/environment?with={other}"))
    assert "the same in every item" in said or "Items that differ" in said
    assert "there is no run 'none'" in text(parts.get(f"/runs/{run}/environment?with=none"))


def test_reads_are_listed_undeclared_ones_first(parts: Any):
    """With what would declare them, and what the level cannot see."""
    run = parts.house.runs["secretive"]
    said = text(parts.get(f"/runs/{run}/reads"))
    assert "HOUSE_STYLE" in said
    assert search(r'variables = \[.*"HOUSE_STYLE"', said)
    assert "cannot see" in said
    assert "Nothing is like that" in text(parts.get(f"/runs/{run}/reads?q=nothing-like-this"))


def test_the_cost_is_what_was_told(parts: Any):
    """Tokens and money of every try, answers of models, and what nobody knows."""
    run = parts.house.runs["secretive"]
    said = text(parts.get(f"/runs/{run}/cost"))
    assert "Tokens 240 Money 0.5 Answers of models 3" in said
    assert "1 answer of a model came in steps that reported no tokens (silent)" in said
    assert "tokens_saved 7" in said
    assert "tokens of the house tokens all other jobs 240 1,000,000" in said
    assert "not known" in text(parts.get(f"/runs/{parts.house.runs['harmful']}/cost"))


def test_a_long_run_s_cost_is_counted_over_several_looks(
    parts: Any, monkeypatch: pytest.MonkeyPatch
):
    """What was counted is kept: the second look goes on where the first stopped."""
    monkeypatch.setattr(noted_views, "_PAGE", 1)

    async def look() -> None:
        journal = app.open_journal(parts.house.settings())
        row = await open_run(journal, parts.house.runs["secretive"])
        noted = Noted()
        first = await costs(journal, row, noted, seconds=-1)
        assert first.tokens in (None, 120)
        assert (first.counted is None, noted.complete) == (False, False)
        for _ in range(2):
            whole = await costs(journal, row, noted)
            assert (whole.tokens, whole.money, whole.answers) == (240, 0.5, 3)
        await journal.close()

    with ThreadPoolExecutor(1) as beside:  # a browser test may have a loop in this thread
        beside.submit(asyncio.run, look()).result()


def test_verify_does_not_wait_for_a_pipe(parts: Any, tmp_path: Any):
    """A manifest or an artifact that is a pipe cannot be read; the command says so and ends."""
    os.mkfifo(tmp_path / "report.md")
    (tmp_path / "report.md.manifest.json").write_text("{}")
    ended = subprocess.run(
        [sys.executable, "-m", "nightproof", "verify", "report.md"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "report.md cannot be read" in ended.stderr
