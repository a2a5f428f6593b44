"""The contract and the job of the weekly report."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from weekly_report import contract, job, slack
from weekly_report.contract import WeeklyReport, weekly_contract

from nightproof import prompt
from nightproof.contract import check, datasets
from nightproof.errors import ContractError
from nightproof.testing.models import ModelServer

ROOT = Path(__file__).resolve().parents[2]

VERBATIM = """
{"contractVersion":"1","task":"weekly-report",
 "inputs":{"siteId":"fx-desk","periodStart":"2026-10-19T00:00:00+02:00","periodEnd":"2026-10-26T00:00:00+01:00","datasetUri":"file:data/eurofxref-hist.zip","datasetSha256":"73db21584dd46cebf5cd6df75ebb6de7afcdeebff52f54d5046ca8e459c0fbb3"},
 "model":{"id":"gemini-3.5-flash","pinnedVersion":"gemini-3.5-flash-002","temperature":0,"seed":7},
 "promptTemplateId":"weekly-report@7"}
"""


@pytest.fixture
def document(zip_bytes) -> dict:
    """The example's contract document for the installed data."""
    return weekly_contract()


@pytest.fixture(autouse=True)
def _environment(monkeypatch, tmp_path):
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    monkeypatch.delenv(job.DELAY_VARIABLE, raising=False)
    monkeypatch.setenv(slack.SINK_VARIABLE, str(tmp_path / "outbox.jsonl"))


def test_the_contract_is_accepted_verbatim(days):
    """The documented JSON is a valid contract without lint, and comes back unchanged."""
    found = check(WeeklyReport, VERBATIM.strip())
    assert found.days == days
    assert found.model.pinned_version == "gemini-3.5-flash-002"
    back = json.loads(found.canonical())
    assert back == json.loads(VERBATIM)


def test_the_dataset_is_declared(document):
    """The engine finds the file and its hash in the contract, so it is checked before any step."""
    found = check(WeeklyReport, document)
    declared = datasets(found)
    inputs = document["inputs"]
    assert declared == [("inputs.datasetUri", inputs["datasetUri"], inputs["datasetSha256"])]
    assert found.dataset.path == contract.installed_file().resolve()


def test_a_contract_has_one_digest(document):
    """Built twice it is the same run; another week is another."""
    other = weekly_contract("2026-10-26T00:00:00+01:00", "2026-11-02T00:00:00+01:00")
    first, second, third = (
        check(WeeklyReport, one).digest for one in (document, weekly_contract(), other)
    )
    assert first == second != third


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [
        ("periodStart", "2026-10-19T00:00:00", "offset|zone"),
        ("periodStart", "last week", "periodStart"),
        ("periodEnd", "2026-10-19T00:00:00+02:00", "after"),
        ("periodEnd", "2026-10-19T01:00:00+02:00", "no fixing"),
        ("datasetSha256", "73db", "sha256"),
        ("extra", 1, "extra"),
    ],
)
def test_contracts_that_are_refused(document, field, value, word):
    """Naive, relative, empty and unhashed inputs are errors that name the field."""
    document["inputs"][field] = value
    with pytest.raises(ContractError, match=word):
        check(WeeklyReport, document)


@pytest.mark.parametrize("start", ["2026-10-19T00:00:00", "x", "2027"])
def test_the_builder_refuses_what_the_contract_would(zip_bytes, start):
    """No contract is written for a period that is not one."""
    with pytest.raises((ValueError, TypeError)):
        weekly_contract(start, "2026-10-26T00:00:00+01:00")


def test_the_contract_command(zip_bytes, document):
    """python -m prints the contract; wrong arguments are one line and exit 2."""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", "examples.weekly_report.contract"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == document
    wrong = subprocess.run([*command, "a", "b"], cwd=ROOT, env=env, capture_output=True, text=True)
    assert wrong.returncode == 2
    assert len(wrong.stderr.strip().splitlines()) == 1


async def _every_step(document) -> tuple:
    found = check(WeeklyReport, document)
    table = await job.load(found.dataset, found.days)
    codes = await job.currencies(table)
    results = await job.analyse_currency.map(codes, key=str, table=table, days=found.days)
    week = job.summary.summarise("fx-desk", found.days, results, await job.anomalies(results))
    template = prompt(found.prompt_template_id, folder=Path(job.__file__).with_name("prompts"))
    text = await job.narrate(template, week, found.model)
    return week, text, await job.render(week, text, found.inputs.dataset_sha256)


def test_the_steps_are_ordinary_functions(document):
    """Outside a run every step can be called; together they make the report."""
    import asyncio

    week, text, files = asyncio.run(_every_step(document))
    assert week.total == 41
    assert text.writer == "template"
    assert files.markdown.startswith("# A quiet week")
    assert files.html.startswith("<!doctype html>")
    assert files.chart.startswith("<svg")


def test_every_result_survives_the_journal(quiet, loud):
    """What is written is read back equal: the results of the map and of the anomalies."""
    codec = job.analyse_currency.result
    for one in [*quiet.active, *quiet.absent]:
        assert codec.decode(codec.encode(one)) == one
    listed = job.anomalies.result
    assert listed.decode(listed.encode(loud.anomalies)) == loud.anomalies


def test_the_probe_finds_what_the_effect_did():
    """The same arguments: nothing before, the effect's own result after."""
    arguments = ("fx-desk", "2026-10-19/2026-10-26", {"channel": "#x", "text": "t", "blocks": []})
    assert job.find_message(*arguments) is None
    assert job.notify.fn(*arguments) == job.find_message(*arguments) == 0
    assert job.find_message("fx-desk", "2026-10-12/2026-10-19", {}) is None


def test_the_delay_is_only_a_delay(document, monkeypatch, zip_bytes):
    """A currency waits as long as it is told, and its result is the same."""
    from nightproof.model import clock

    waited: list[float] = []
    monkeypatch.setattr(clock, "block", waited.append)
    found = check(WeeklyReport, document)
    table = job.load.fn(found.dataset, found.days)
    plain = job.analyse_currency.fn("USD", table, found.days)
    monkeypatch.setenv(job.DELAY_VARIABLE, "0.25")
    assert job.analyse_currency.fn("USD", table, found.days) == plain
    assert waited == [0.25]


def test_a_run_reports_once(document, monkeypatch, tmp_path):
    """The whole job on a fresh store, twice: one result, one message, the same bytes."""
    monkeypatch.chdir(tmp_path)
    found = check(WeeklyReport, document)
    store = f"sqlite:///{tmp_path / 'journal.db'}"
    first = job.weekly_report.run_sync(found, store=store)
    again = job.weekly_report.run_sync(check(WeeklyReport, document), store=store)
    assert first == again
    assert (first.currencies, first.active, first.anomalies) == (41, 29, [])
    (line,) = (tmp_path / "outbox.jsonl").read_text("utf-8").splitlines()
    assert first.report_sha256[:12] in line
    fresh = tmp_path / "elsewhere"
    fresh.mkdir()
    monkeypatch.chdir(fresh)
    monkeypatch.setenv(slack.SINK_VARIABLE, str(fresh / "outbox.jsonl"))
    elsewhere = job.weekly_report.run_sync(found, store=f"sqlite:///{fresh / 'journal.db'}")
    assert elsewhere == first


def test_a_run_with_a_model_records_prompt_and_model(document, monkeypatch, tmp_path):
    """Which text was used and who answered: in the journal; a replicate asks alike."""
    import asyncio

    from nightproof.app import App
    from nightproof.config import Settings
    from nightproof.provenance.prompted import prompts_of
    from nightproof.provenance.served import served_of

    monkeypatch.chdir(tmp_path)
    settings = Settings(store=f"sqlite:///{tmp_path / 'journal.db'}")
    found = check(WeeklyReport, document)

    async def run(replicate: int):
        app = App(settings)
        try:
            outcome = await app.run(job.weekly_report, found, replicate=replicate)
            row = await app.journal.find(outcome.name)
            return (
                outcome,
                await served_of(app.journal, row.id),
                await prompts_of(app.journal, row.id),
            )
        finally:
            await app.close()

    with ModelServer() as server:
        monkeypatch.setenv("NIGHTPROOF_GEMINI_BASE_URL", server.url)
        monkeypatch.setenv("GEMINI_API_KEY", "any")
        outcome, (served,), (prompted,) = asyncio.run(run(0))
        again, (other,), _ = asyncio.run(run(1))
    assert (served.step, served.status, served.pin) == ("narrate", "matched", "gemini-3.5-flash")
    assert (prompted.id, prompted.locked) == ("weekly-report@7", True)
    assert outcome.value == again.value
    assert served.response_id != other.response_id
    assert (served.request_digest, served.response_digest) == (
        other.request_digest, other.response_digest,
    )  # fmt: skip
