"""The JSON API under generated requests."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from api_client import OF_A_RUN, OF_THE_STORE, check_runs, check_store


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
    # A long name in an address may be too much for the head of a request: refused is refused.
    statuses = {
        "negative_data_rejection": [404, 409, 422, 431, "5xx"],
        "positive_data_acceptance": ["2xx", 404, 409, 431, 503],
    }
    for check, its in statuses.items():
        lines += [f"[checks.{check}]", f"expected-statuses = {json.dumps(its)}"]
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
    """The same for longer, with another seed."""
    ended = fuzzed(dashboard, tmp_path, "--max-examples", "60", "--seed", "2")
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
        check_runs(dashboard, path)
    for path in OF_THE_STORE:
        check_store(dashboard, path)
    ended = fuzzed(dashboard, tmp_path, "--max-examples", "20", "--seed", "1")
    assert ended.returncode == 0, ended.stdout[-20_000:]
