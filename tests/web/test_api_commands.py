"""The JSON API answers what the commands print."""

import contextlib
import io
import json
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from api_client import asked
from typer.main import get_command

from nightproof.cli.commands import app as program
from nightproof.cli.main import main
from nightproof.web.api.table import ENDPOINTS


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
        (("verify", "{crashed}"), "/runs/{crashed}/verification"),
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


ACTS = {
    "run", "resume", "cancel", "resolve", "signal", "reproduce", "canary", "drill", "explain",
    "gc", "migrate", "serve", "worker", "alerts check", "alerts test", "env lock", "env restore",
    "keys new", "prompts lock", "schedule backfill", "schedule deploy", "schedule fire",
}  # fmt: skip
"""Commands that do something: the API only reads."""
ELSEWHERE = {"contract check", "prompts check", "schedule show", "doctor"}
"""Commands that read a project's files, or look at this machine and its servers."""
WAITS = {"watch"}
"""What is waited for: its document is that of ``show``."""


def commands(group: Any, before: str = "") -> Iterator[str]:
    """Every command that can answer with JSON."""
    for name, one in group.commands.items():
        if hasattr(one, "commands"):
            yield from commands(one, f"{before}{name} ")
        elif any("--json" in option.opts for option in one.params):
            yield before + name


def test_every_command_has_its_endpoint_or_a_reason():
    """Whatever reads with ``--json`` is asked over HTTP too; the guide says what is not."""
    answered = {one.command.removesuffix(" --json") for one in ENDPOINTS if one.command}
    known = {re.sub(r" [A-Z]+", "", one) for one in answered}
    assert known.isdisjoint(ACTS | ELSEWHERE | WAITS)
    assert set(commands(get_command(program))) == known | ACTS | ELSEWHERE | WAITS
    guide = (Path(__file__).parents[2] / "docs" / "dashboard.md").read_text()
    for name in ELSEWHERE | WAITS | {"explain"}:
        assert f"`{name}" in guide, name
