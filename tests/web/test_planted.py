"""Secrets that careless jobs have written down: shown by no page, document or command."""

import contextlib
import html
import io
import json
import os
import re
import shutil
import sqlite3
from pathlib import Path
from urllib.parse import unquote

import pytest
from planted_jobs import dsn
from web_house import House, command

from nightproof.cli.main import main
from nightproof.web.api.table import ENDPOINTS

HERE = Path(__file__).parent
# Links lead to items and effects by their keys: a key is a name, and stays one.
_LINKED = re.compile(r' (?:href|value|action|src)="[^"]*hush-(?:key|effect-key)@[^"]*"')
_RAW = ("/output", "/file", "/sandbox", "/contract", "/logout")


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A store with runs that hold secrets in every place."""
    folder = tmp_path_factory.mktemp("planted")
    shutil.copy(HERE / "planted_jobs.py", folder / "planted_jobs.py")
    runs = {}

    def run(what, job, *more, **env):
        told = command(folder, "run", f"planted_jobs.py:{job}", "-", *more, given=given, **env)
        assert told.get("run"), told["said"]
        assert "hush" not in told["said"] + json.dumps(told["error"])
        runs[what] = told["run"]

    given = {"task": "careless"}
    declared = {"NIGHTPROOF_VARIABLES": "PLANTED_DSN", "PLANTED_DSN": dsn("variable")}
    run("first", "careless", **declared, PLANTED_TEXT=dsn("text-a"))
    run("second", "careless", "--replicate", **declared, PLANTED_TEXT=dsn("text-b"))
    run("unsure", "unsure")
    run("waits", "waits", NIGHTPROOF_PARK_AFTER="0.01")
    run("fails", "fails")
    command(folder, "signal", runs["waits"], "later", json.dumps(dsn("signal")))
    command(folder, "signal", runs["waits"], dsn("signal-name"))
    # A contract of before it was refused for that, and what a person had done by hand.
    old = {
        "task": "careless", "note": f"see {dsn('contract')}", "password": "hush-contract-field",
        "fx": {"uri": "https://h/x.csv?token=hush-dataset", "sha256": "0" * 64},
    }  # fmt: skip
    with sqlite3.connect(folder / ".nightproof" / "journal.db") as db:
        db.execute("UPDATE run SET contract = ?", (json.dumps(old).encode(),))
        db.execute(
            "INSERT INTO audit (at, who, act, run, command, code, outcome) VALUES (?, ?, ?, ?, ?, 1, ?)",
            (1, "ana", "resume", runs["fails"], f"nightproof resume --store {dsn('command')}",
             f"cannot open {dsn('outcome')}"),
        )  # fmt: skip
    db.close()
    return House(folder, runs)


def leaks(text):
    """What is planted and can be read."""
    return sorted(set(re.findall(r"hush-[a-z-]+", unquote(unquote(html.unescape(text))))))


def test_no_page_shows_a_secret(planted, serving):
    """Every page that links lead to, from the home page."""
    running = serving(planted)
    a, b = planted.runs["first"], planted.runs["second"]
    ways = ["/", "/runs", "/search?q=note%3D*", "/search?q=fx.uri%3D*", f"/drift?a={a}&b={b}"]
    ways += [f"/search?q={word}" for word in ("me", "told", "1%20post")]
    seen, told = set(), {}
    while ways:
        way = ways.pop().partition("#")[0]
        if way in seen or len(seen) > 100:
            continue
        seen.add(way)
        answer = running.get(way)
        if answer.status_code >= 500:
            told[way] = answer.status_code
        if answer.headers.get("content-type", "").startswith("text/html"):
            found = leaks(_LINKED.sub("", unquote(unquote(answer.text))))
            told.update({way: found} if found else {})
            links = map(html.unescape, re.findall(r'href="(/[^"]*)"', answer.text))
            ways += [
                link
                for link in links
                if not link.partition("?")[0].endswith(_RAW) and "/static" not in link
            ]
    assert {way.partition("?")[0].rpartition("/")[2] for way in seen} >= {
        "log",
        "input",
        "reads",
        "cost",
    }
    assert told == {}


def test_no_document_of_the_api_shows_a_secret(planted, serving):
    """Every endpoint, also what it refuses."""
    running = serving(planted)
    told = {}
    for run in [planted.runs["first"], planted.runs["unsure"], "none " + dsn("missing")]:
        for one in ENDPOINTS:
            way = one.path.replace("{run}", run).replace("{job}", run.rpartition("-")[0])
            way = "/api" + way.replace("{seq}", "1").replace("{n}", "1").replace(" ", "%20")
            query = {"step": "fetch", "a": run, "b": run, "q": "note=*", "against": run}
            wanted = {mine.name for mine in one.parameters.values() if mine.place == "query"}
            answer = running.get(way, params={k: v for k, v in query.items() if k in wanted})
            if answer.status_code >= 500:
                told[way] = answer.status_code
            if found := leaks(answer.text):
                told[way] = found
    assert told == {}


def test_no_reading_command_shows_a_secret(planted, monkeypatch):
    """As text and as JSON."""
    monkeypatch.chdir(planted.folder)
    for name in [name for name in os.environ if name.startswith("NIGHTPROOF_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(planted.folder))
    runs = planted.runs
    words = [[one, run] for one in ("show", "steps", "logs") for run in runs.values()]
    words += [
        ["runs"], ["audit"], ["quotas"], ["alerts", "show"], ["schedule", "show"], ["doctor"],
        ["diff", runs["first"], runs["second"]], ["budget", "careless"], ["metrics"],
        ["env", "show", runs["first"]], ["env", "reads", runs["first"], "--all"],
        ["env", "diff", runs["first"], runs["second"]], ["steps", runs["first"], "--failed"],
        ["verify", runs["first"]], ["gc", "--dry-run"],
        ["resolve", runs["unsure"], "none", "--retry"], ["watch", runs["fails"]],
    ]  # fmt: skip
    told = {}
    for command_line in words:
        for more in ([], ["--json"]):
            out = io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                main([*command_line, *more])
            if found := leaks(out.getvalue()):
                told[" ".join([*command_line, *more])] = found
    assert told == {}
