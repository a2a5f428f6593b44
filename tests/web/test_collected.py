"""What pages say of runs that were removed, and of values that are gone."""

import os
import shutil
import time
from typing import Any

import pytest
from web_house import command

from nightproof.web.rendering import url

REMOVED = ("night 0", "crashed", "many", "styled", "failed")


@pytest.fixture
def collected(own_house: Any) -> Any:
    """A dashboard on a house whose ended runs were all collected, with their blobs."""
    old = time.time() - 90 * 3600
    for file in (own_house.folder / ".nightproof" / "blobs").rglob("*"):
        if file.is_file():
            os.utime(file, (old, old))
    told = command(own_house.folder, "gc", "--older-than", "0s", "--keep", "0")
    assert set(own_house.runs.values()) >= set(told["runs"]), told
    return own_house


def test_a_run_that_was_removed_is_said_to_be(collected: Any, serving: Any):
    """Every page of it, in the same words; what names it elsewhere still answers."""
    pages = serving(collected)
    for what in REMOVED:
        run = collected.runs[what]
        parts = ("", "/log", "/artifacts", "/artifacts/1", "/input", "/environment", "/reads")
        for part in (*parts, "/cost", "/steps/fetch", "/steps/fetch/items/1"):
            answer = pages.get(url("/runs/{}", run) + part)
            assert answer.status_code == 404, part
            assert f"there is no run &#39;{run}&#39;" in answer.text
            assert "gc" in answer.text
        answer = pages.get(url("/api/runs/{}", run))
        assert (answer.status_code, answer.json()["status"]) == (404, 404)
        for page in ("/act/replicate", "/act/resume", "/drift"):
            answer = pages.get(url(page, run=run, a=run, b=run))
            assert answer.status_code == 404
            assert f"there is no run &#39;{run}&#39;" in answer.text
    for page in ("/", "/runs", "/schedule", "/effects", "/quotas", "/audit", "/search?q=nightly"):
        assert pages.get(page).status_code == 200, page
    assert pages.said == []


def test_values_that_are_gone_are_said_to_be(own_house: Any, serving: Any):
    """A blob folder that was lost takes no page with it."""
    shutil.rmtree(own_house.folder / ".nightproof" / "blobs")
    pages = serving(own_house)
    run = own_house.runs["night 0"]
    for part in ("", "/log", "/artifacts", "/input", "/environment", "/reads", "/cost"):
        answer = pages.get(url("/runs/{}", run) + part)
        assert answer.status_code == 200, part
    assert "is missing" in pages.get(url("/runs/{}/environment", run)).text
    assert pages.said == []
