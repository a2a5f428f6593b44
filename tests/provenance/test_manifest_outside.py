"""What a manifest says of what came from outside: reads, models, prompts, times, signals."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from nightproof import ModelPin, artifact, job, now, served, step, wait_for
from nightproof.contract.pins import PromptId
from nightproof.durable.context import current
from nightproof.durable.prompts import prompt
from nightproof.model.canonical import canonical, sha256_hex
from nightproof.provenance.manifest import outside as looking
from nightproof.provenance.manifest.checking import check
from nightproof.provenance.manifest.outside import outside
from nightproof.provenance.manifest.recorded import differences
from nightproof.provenance.manifest.statement import statement
from nightproof.provenance.manifest.steps import read_steps

pytestmark = pytest.mark.sqlite_only

TEXT = "Write about {topic}.\n"


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """No key of the machine's user signs anything here."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def quiet(night):
    """The runs are not witnessed: what was read is what a test says."""
    night.given["witness"] = False
    return night


def read(what: str, name: str, **more) -> dict:
    return {"what": what, "name": name, "step": "", "fp": "", "by": "own", "declared": "", **more}


def note_reads(*reads: dict, level: str = "L0") -> None:
    """As the witness of an attempt does."""
    runtime = current.get()
    runtime.note("witness", {"level": level, "attempt": 1, "blob": None, "reads": list(reads)})


def metadata(outcome) -> dict:
    document = json.loads(Path(outcome.artifacts[0]["manifest"]).read_bytes())
    return document["predicate"]["runDetails"]["metadata"]


def verified(night, outcome) -> list:
    """What `verify RUN` finds between a manifest and the journal."""
    data = Path(outcome.artifacts[0]["manifest"]).read_bytes()

    async def compare(app):
        row = await app.journal.find(outcome.name)
        taken = (await outside(app.journal, app.blobs, row)).sections()
        steps = await read_steps(app.journal, row)
        checked = check(data, "m", None)
        return checked.problems + differences(checked.statement["predicate"], row, steps, taken)

    return night.ask(compare)


def test_reads_are_listed_with_level_and_blind_spots(quiet, night_contract):
    """Undeclared ones, what declares the others, hosts; once each, homes shortened."""

    @job
    async def reading(contract: night_contract) -> int:
        file = read("file", "/home/ana/.app.toml", digest="sha256:aa", size=3)
        note_reads(file, read("variable", "REGION", digest="sha256:bb"))
        note_reads(
            file,
            read("host", "api.example:443", declared="setting hosts"),
            read("file", "/data/a.csv", digest="sha256:cc", size=1, declared="contract /data"),
            read("file", "/usr/lib/x.py", digest="sha256:dd", size=1, declared="package"),
        )
        await artifact("out.txt", "x")
        return 1

    outcome = quiet.run(reading)
    found = metadata(outcome)["witness"]
    assert found["level"] == "L0"
    assert any("are not seen" in one for one in found["blindSpots"])
    assert found["undeclared"]["items"] == [
        {"by": "own", "digest": "sha256:aa", "name": "~/.app.toml", "size": 3, "step": "",
         "what": "file"},
        {"by": "own", "digest": "sha256:bb", "name": "REGION", "step": "", "what": "variable"},
    ]  # fmt: skip
    assert [one["name"] for one in found["declared"]["items"]] == ["/data/a.csv"]
    assert found["hosts"] == ["api.example:443"]
    assert verified(quiet, outcome) == []


def test_the_weakest_level_of_all_attempts_counts(quiet, night_contract):
    """A run that was once resumed without isolation was not isolated."""

    @job
    async def mixed(contract: night_contract) -> int:
        runtime = current.get()
        for number, level in ((1, "L2"), (2, "L1"), (3, "L2")):
            runtime.note("witness", {"level": level, "attempt": number, "reads": []})
        await artifact("out.txt", "x")
        return 1

    assert metadata(quiet.run(mixed))["witness"]["level"] == "L1"


def test_a_run_without_a_witness_has_no_such_section(quiet, night_contract):
    """Nothing is claimed where nobody looked."""

    @job
    async def plain(contract: night_contract) -> int:
        await artifact("out.txt", "x")
        return 1

    assert set(metadata(quiet.run(plain))) & {"witness", "models", "prompts", "taken"} == set()


def test_a_long_list_is_a_count_and_a_digest(quiet, night_contract, monkeypatch):
    """The digest is that of the whole list."""
    monkeypatch.setattr(looking, "LISTED", 1)

    @job
    async def many(contract: night_contract) -> int:
        note_reads(*(read("variable", name, digest=f"sha256:{name}") for name in "ABC"))
        await artifact("out.txt", "x")
        return 1

    outcome = quiet.run(many)
    found = metadata(outcome)["witness"]["undeclared"]
    assert (found["count"], set(found)) == (3, {"count", "digest"})
    assert verified(quiet, outcome) == []


def test_models_and_prompts_carry_who_stands_for_them(quiet, night_contract, tmp_path):
    """What the provider reported is asserted, an alias unverified, a read text witnessed."""
    folder = tmp_path / "prompts"
    folder.mkdir()
    for name in ("weekly@7", "extra@1"):
        (folder / f"{name}.md").write_text(TEXT)

    class Written(night_contract):
        model: ModelPin
        prompt_id: PromptId

    @step
    async def write(n: int) -> int:
        served(requested="flash-2026-01", reported="flash-2026-01", fingerprint=f"fp{n % 2}")
        served(requested="latest", reported="latest", provider="p")
        return n

    @job
    async def writing(contract: Written) -> int:
        assert prompt("weekly@7", folder=folder).text == TEXT
        assert prompt("extra@1", folder=folder).text == TEXT
        for n in range(3):
            await write(n)
        await artifact("out.txt", "x")
        return 1

    pin = ModelPin(id="flash", pinned_version="flash-2026-01")
    outcome = quiet.run(writing, Written(model=pin, prompt_id="weekly@7"))
    document = json.loads(Path(outcome.artifacts[0]["manifest"]).read_bytes())
    predicate = document["predicate"]
    told = {one["requested"]: one for one in metadata(outcome)["models"]}
    assert told["flash-2026-01"] | {"steps": 0} == {
        "provider": "", "requested": "flash-2026-01", "reported": "flash-2026-01",
        "status": "matched", "pin": "flash", "label": "asserted", "answers": 3, "steps": 0,
        "fingerprints": ["fp0", "fp1"],
    }  # fmt: skip
    assert (told["latest"]["status"], told["latest"]["label"]) == ("alias echoed", "unverified")
    digest = sha256_hex(TEXT.encode())
    assert [(one["id"], one["sha256"]) for one in metadata(outcome)["prompts"]] == [
        ("extra@1", digest), ("weekly@7", digest),
    ]  # fmt: skip
    found = {
        one["name"]: (one["annotations"]["label"], one.get("digest", {}).get("sha256"))
        for one in predicate["buildDefinition"]["resolvedDependencies"]
    }
    assert found == {
        "flash": ("asserted", None),
        "weekly@7": ("witnessed", digest),
        "extra@1": ("witnessed", digest),
    }
    labels = predicate["labels"]
    assert "/predicate/runDetails/metadata/models/0" in labels["asserted"]
    assert "/predicate/runDetails/metadata/models/1" in labels["unverified"]
    assert verified(quiet, outcome) == []


def test_times_waits_and_signals_are_listed(quiet, night_contract):
    """A time as it was recorded; of a signal the digest of its payload."""
    go = []

    @job
    async def taking(contract: night_contract) -> int:
        now()
        if not go:
            raise ValueError("no signal yet")
        with pytest.raises(TimeoutError):
            await wait_for("never", int, timeout=0.001)
        await wait_for("price", int)
        await artifact("out.txt", "x")
        return 1

    name = quiet.run(taking).name
    go.append(1)
    quiet.send(name, "price", b"42")
    outcome = quiet.run(taking)
    items = {one["kind"]: one for one in metadata(outcome)["taken"]["items"]}
    assert datetime.fromisoformat(items["value"]["value"])
    assert datetime.fromisoformat(items["wait"]["until"])
    assert items["signal"]["output"] == "sha256:" + sha256_hex(b"42")
    assert verified(quiet, outcome) == []


def test_child_runs_count(quiet, night_contract):
    """What a child read is in the manifest of its parent's artifact."""

    @job
    async def inner(contract: night_contract) -> int:
        note_reads(read("variable", "REGION", digest="sha256:bb"))
        return 1

    @job
    async def outer(contract: night_contract) -> int:
        found = await inner(night_contract(n=7))
        await artifact("out.txt", "x")
        return found

    outcome = quiet.run(outer)
    (found,) = metadata(outcome)["witness"]["undeclared"]["items"]
    assert found["name"] == "REGION"
    assert verified(quiet, outcome) == []


def test_what_the_journal_has_differently_is_found(quiet, night_contract):
    """A forged section; what was noted after the manifests does not count."""

    @job
    async def reading(contract: night_contract) -> int:
        note_reads(read("variable", "REGION", digest="sha256:bb"))
        await artifact("out.txt", "x")
        return 1

    outcome = quiet.run(reading)
    data = Path(outcome.artifacts[0]["manifest"]).read_bytes()
    predicate = json.loads(data)["predicate"]
    predicate["runDetails"]["metadata"]["witness"]["level"] = "L3"

    async def compare(app):
        row = await app.journal.find(outcome.name)
        taken = (await outside(app.journal, app.blobs, row)).sections()
        return differences(predicate, row, await read_steps(app.journal, row), taken)

    (problem,) = quiet.ask(compare)
    assert problem.where == "/predicate/runDetails/metadata/witness"


def test_a_read_that_was_taken_out_is_found(quiet, night_contract):
    """Without a journal too: the list has to fit its count and digest."""

    @job
    async def reading(contract: night_contract) -> int:
        note_reads(read("variable", "REGION", digest="sha256:bb"))
        await artifact("out.txt", "x")
        return 1

    outcome = quiet.run(reading)
    document = json.loads(Path(outcome.artifacts[0]["manifest"]).read_bytes())
    predicate = {k: v for k, v in document["predicate"].items() if k != "seal"}
    predicate["runDetails"]["metadata"]["witness"]["undeclared"]["items"].clear()
    (subject,) = document["subject"]
    sealed = statement(subject["name"], subject["digest"]["sha256"], canonical(predicate))
    (problem,) = check(sealed, "m", None).problems
    assert problem.where == "/predicate/runDetails/metadata/witness/undeclared"
