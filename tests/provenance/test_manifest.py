"""Manifests: written beside artifacts, alike for replicates, and damage in them is found."""

import json
from pathlib import Path

import pytest

from nightproof import Contract, Dataset, ModelPin, artifact, effect, job, now, step
from nightproof.contract.pins import PromptId
from nightproof.errors import UsageError
from nightproof.model.canonical import canonical, sha256_hex
from nightproof.model.states import Kind, RunStatus
from nightproof.provenance.manifest import statement as form
from nightproof.provenance.manifest.checking import check, check_artifact

pytestmark = pytest.mark.sqlite_only


@step
def square(i: int) -> int:
    return i * i


@effect(key="manifest/{n}")
def tell(n: int) -> str:
    return "told"


@job
async def report(contract: Contract) -> int:
    squares = await square.map(range(contract.n), key=str)
    now()
    await artifact("report.md", f"# {sum(squares)}")
    await artifact("data/squares.json", json.dumps(squares))
    await tell(contract.n)
    return sum(squares)


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """No key of the machine's user signs anything here."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def made(night, night_contract):
    """A job with artifacts, and its outcome."""
    return night.run(report, night_contract(n=3))


def manifest_of(outcome, index: int = 0) -> Path:
    return Path(outcome.artifacts[index]["manifest"])


def loaded(outcome, index: int = 0) -> dict:
    return json.loads(manifest_of(outcome, index).read_bytes())


def test_every_artifact_has_a_manifest_beside_it(made):
    """Its path is the artifact's with a suffix, and it is about that artifact's bytes."""
    for index, one in enumerate(made.artifacts):
        assert one["manifest"] == one["path"] + ".manifest.json"
        (subject,) = loaded(made, index)["subject"]
        assert subject["digest"] == {"sha256": one["sha256"]}
        assert sha256_hex(Path(one["path"]).read_bytes()) == one["sha256"]
    assert loaded(made, 1)["subject"][0]["name"] == "data/squares.json"


def test_it_is_an_in_toto_statement_with_slsa_s_fields(made):
    """Type, predicate type, definition, details: as others expect to find them."""
    document = loaded(made)
    assert document["_type"] == "https://in-toto.io/Statement/v1"
    assert document["predicateType"] == "https://nightproof.dev/manifest/v1"
    asked = document["predicate"]["buildDefinition"]
    assert asked["externalParameters"]["contract"] == {
        "contractVersion": "1", "task": "night", "n": 3, "names": [],
    }  # fmt: skip
    assert asked["externalParameters"]["jobCode"] == report.code
    done = document["predicate"]["runDetails"]
    assert done["metadata"]["invocationId"] == made.name
    assert [one["outcome"] for one in done["metadata"]["attempts"]] == ["completed"]
    steps, effects = done["byproducts"]
    assert {one["key"] for one in steps["annotations"]["steps"]} == {"0", "1", "2"}
    assert [one["name"] for one in effects["annotations"]["steps"]] == ["tell"]
    assert document["predicate"]["labels"]["unverified"] == []


def test_it_is_canonical_and_the_check_passes(made):
    """What is written is RFC 8785, and needs only the artifact to be checked."""
    data = manifest_of(made).read_bytes()
    assert canonical(json.loads(data)) == data
    checked = check(data, "m", None)
    content = Path(made.artifacts[0]["path"]).read_bytes()
    assert checked.problems + check_artifact(checked, "report.md", content) == []
    assert (checked.signature, checked.keyid) == ("none", "")


def test_replicates_share_the_comparable_part(night, night_contract, made):
    """Names of runs and times differ; what was asked and done does not."""
    again = night.run(report, night_contract(n=3), replicate=-1)
    first, second = loaded(made)["predicate"], loaded(again)["predicate"]
    assert again.name != made.name
    assert first["buildDefinition"] == second["buildDefinition"]
    assert first["runDetails"]["byproducts"][0] == second["runDetails"]["byproducts"][0]
    assert first["comparable"] == second["comparable"]
    other = night.run(report, night_contract(n=2))
    assert loaded(other)["predicate"]["comparable"] != first["comparable"]


def test_the_environment_of_the_last_attempt_is_named(night, made):
    """By the digests of its snapshot, as the journal has them."""
    (said,) = night.notes(made.name, "snapshot")
    said = {name: said[name] for name in ("strict", "numeric", "host", "items")}
    assert loaded(made)["predicate"]["runDetails"]["metadata"]["environment"] == said


def test_an_interrupted_run_has_the_same_steps(night, night_contract, killed, made):
    """What failed or died on the way is not in the list of what counts."""
    deaths = [None]

    @step
    def fragile(i: int) -> int:
        if deaths:
            deaths.pop()
            raise killed
        return i

    @job
    async def dying(contract: night_contract) -> int:
        value = await fragile(1) + await square(2)
        await artifact("out.txt", str(value))
        return value

    night.die(dying)
    resumed = night.run(dying)
    smooth = night.run(dying, replicate=-1)
    assert loaded(resumed)["predicate"]["comparable"] == loaded(smooth)["predicate"]["comparable"]
    attempts = loaded(resumed)["predicate"]["runDetails"]["metadata"]["attempts"]
    assert [one["outcome"] for one in attempts] == ["died", "completed"]
    assert ["finishedOn" in one for one in attempts] == [False, True]


def test_a_failure_that_was_tried_again_does_not_count(night, night_contract):
    """The list has the last outcome of each call; a failure that was caught stays one."""
    broken = [None]

    @step
    def shaky() -> int:
        if broken:
            raise ValueError("broken")
        return 1

    @step
    def hopeless() -> int:
        raise TypeError("never")

    @job
    async def caught(contract: night_contract) -> int:
        try:
            await hopeless()
        except Exception:
            await artifact("out.txt", "caught")
        return await shaky()

    assert night.run(caught).status is RunStatus.FAILED
    broken.clear()
    listed = loaded(night.run(caught))["predicate"]["runDetails"]["byproducts"][0]
    states = {one["name"].split(".")[-1]: one["state"] for one in listed["annotations"]["steps"]}
    assert states == {"shaky": "done", "hopeless": "failed"}


def test_the_record_knows_the_manifests(night, night_contract, made):
    """A completed run that is asked for again names the same files."""
    again = night.run(report, night_contract(n=3))
    assert again.from_record
    assert again.artifacts == made.artifacts


def test_a_run_without_artifacts_writes_nothing(night, night_contract):
    """Neither a file nor a line in the log."""

    @job
    async def bare(contract: night_contract) -> int:
        return await square(3)

    outcome = night.run(bare)
    assert night.notes(outcome.name, "manifest") == []
    assert list(night.folder.rglob("*.manifest.json")) == []


def test_a_manifest_never_replaces_an_artifact(night, night_contract):
    """Where an artifact has the name that a manifest would have, the artifact stays."""

    @job
    async def clash(contract: night_contract) -> int:
        await artifact("a", "1")
        await artifact("a.manifest.json", "mine")
        return 1

    outcome = night.run(clash)
    first, second = outcome.artifacts
    assert first["manifest"] is None
    assert Path(second["path"]).read_text() == "mine"
    assert Path(second["manifest"]).name == "a.manifest.json.manifest.json"
    assert night.run(clash).artifacts == outcome.artifacts


def test_a_file_written_twice_has_one_manifest(night, night_contract):
    """It is about what the file holds in the end."""

    @job
    async def twice(contract: night_contract) -> int:
        await artifact("a.txt", "draft")
        await artifact("a.txt", "final")
        return 1

    outcome = night.run(twice)
    assert [one["manifest"] is None for one in outcome.artifacts] == [True, False]
    assert loaded(outcome, 1)["subject"][0]["digest"]["sha256"] == sha256_hex(b"final")


def test_what_an_earlier_attempt_delivered_has_no_manifest(night, night_contract, killed):
    """The record names manifests only where the attempt that completed wrote them."""
    name = ["first.txt"]

    @job
    async def moving(contract: night_contract) -> int:
        await artifact(name[0], name[0])
        if name[0] != "last.txt":
            raise killed
        return 1

    night.die(moving)
    name[0] = "last.txt"
    night.run(moving)
    found = {Path(one["path"]).name: one["manifest"] for one in night.run(moving).artifacts}
    assert found["first.txt"] is None
    assert Path(found["last.txt"]).exists()


def test_what_the_contract_names_is_labelled(night, tmp_path):
    """Datasets are witnessed, prompts asserted, the versions of models unverified."""
    data = tmp_path / "d.csv"
    data.write_bytes(b"1,2")

    class Full(Contract):
        task: str = "full"
        data: Dataset
        model: ModelPin
        prompt_id: PromptId
        limit: float = 1e17

    @job
    async def full(contract: Full) -> int:
        await artifact("out.txt", "x")
        return 1

    contract = Full(
        data=Dataset(uri=data.as_uri(), sha256=sha256_hex(b"1,2")),
        model=ModelPin(id="writer", pinned_version="writer-2026-01-15", temperature=0.0),
        prompt_id="weekly-report@7",
    )
    outcome = night.run(full, contract)
    predicate = loaded(outcome)["predicate"]
    found = predicate["buildDefinition"]["resolvedDependencies"]
    for index, one in enumerate(found):
        where = f"/predicate/buildDefinition/resolvedDependencies/{index}"
        assert where in predicate["labels"][one["annotations"]["label"]]
    assert {one["annotations"]["kind"]: one["annotations"]["label"] for one in found} == {
        "dataset": "witnessed", "model": "unverified", "prompt": "asserted",
    }  # fmt: skip
    assert check(manifest_of(outcome).read_bytes(), "m", None).problems == []


def test_a_long_list_of_steps_is_kept_as_a_blob(night, night_contract, monkeypatch):
    """The manifest has its digest and count; the blob is the run's, and complete."""
    monkeypatch.setattr("nightproof.engines.attempt.stamping.INLINE_STEPS", 2)
    outcome = night.run(report, night_contract(n=3))
    listed = loaded(outcome)["predicate"]["runDetails"]["byproducts"][0]
    assert listed["annotations"] == {"count": 3}
    digest = "sha256:" + listed["digest"]["sha256"]
    assert listed["uri"] == "blob:" + digest
    lines = night.ask(lambda app: _blob(app, digest)).splitlines()
    assert {json.loads(line)["key"] for line in lines} == {"0", "1", "2"}
    assert night.ask(lambda app: app.journal.referenced([digest])) == {digest}
    assert check(manifest_of(outcome).read_bytes(), "m", None).problems == []


async def _blob(app, digest: str) -> bytes:
    return app.blobs.get(digest)


def test_any_flipped_byte_is_found(made):
    """In the artifact or in the manifest, signed or not: no byte is without effect."""
    data, content = manifest_of(made).read_bytes(), Path(made.artifacts[0]["path"]).read_bytes()
    for at in range(len(data)):
        assert not passes(_flipped(data, at), content), f"byte {at} of the manifest"
    for at in range(len(content)):
        assert not passes(data, _flipped(content, at)), f"byte {at} of the artifact"
    assert passes(data, content)


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def passes(data: bytes, content: bytes) -> bool:
    try:
        checked = check(data, "m", None)
    except UsageError:
        return False
    return not (checked.problems or check_artifact(checked, "report.md", content))


def resealed(document: dict) -> bytes:
    """A forger's manifest: edited, and sealed again."""
    predicate = {k: v for k, v in document["predicate"].items() if k != "seal"}
    (subject,) = document["subject"]
    return form.statement(subject["name"], subject["digest"]["sha256"], canonical(predicate))


def test_a_missing_step_is_found(made):
    """Even where the seal was made afresh, the list does not fit its digest and count."""
    document = loaded(made)
    document["predicate"]["runDetails"]["byproducts"][0]["annotations"]["steps"].pop()
    said = [problem.message for problem in check(resealed(document), "m", None).problems]
    assert said == [
        "2 steps are listed, 3 were done",
        "the list of steps is not the one that was recorded",
    ]


def test_another_contract_under_the_same_digest_is_found(made):
    """The contract inside has to have the digest beside it."""
    document = loaded(made)
    document["predicate"]["buildDefinition"]["externalParameters"]["contract"]["n"] = 4
    where = [problem.where for problem in check(resealed(document), "m", None).problems]
    assert "/predicate/buildDefinition/externalParameters/contract" in where


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not JSON"),
        (b'{"_type":', "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "not an in-toto Statement"),
        (b'{"payloadType":"x"}', "not a whole DSSE envelope"),
        (b'{"_type":"https://in-toto.io/Statement/v0.1"}', "not an in-toto Statement v1"),
        (
            canonical({"_type": form.STATEMENT_TYPE, "predicateType": "https://x.dev/manifest/v2"}),
            "another version",
        ),
        (
            canonical({"_type": form.STATEMENT_TYPE, "predicateType": form.PREDICATE_TYPE}),
            "lacks what a manifest has",
        ),
    ],
)
def test_what_is_no_manifest_is_refused(data: bytes, says: str):
    """One message that says what it is instead."""
    with pytest.raises(UsageError, match=says):
        check(data, "m.json", None)


def test_a_truncated_manifest_is_refused(made):
    """Wherever it was cut."""
    data = manifest_of(made).read_bytes()
    for end in range(0, len(data) - 1, 97):
        with pytest.raises(UsageError):
            check(data[:end], "m", None)


def test_another_spelling_of_the_same_json_is_found(made):
    """Spaces, a null, a large number: the bytes have to be the canonical ones."""
    document = loaded(made)
    for data in (
        json.dumps(document).encode(),
        manifest_of(made).read_bytes() + b"\n",
        canonical(document)[:-1] + b',"x":null}',
        canonical(document)[:-1] + b',"x":NaN}',
        canonical(document)[:-1] + b',"x":12345678901234567890}',
    ):
        said = [problem.message for problem in check(data, "m", None).problems]
        assert any("not canonical JSON" in message for message in said), data[-40:]


def test_the_journal_keeps_one_line_for_all_manifests(night, made):
    """However many artifacts there are."""
    assert len(night.notes(made.name, "manifest")) == 1
    assert len(night.entries(made.name, Kind.ARTIFACT)) == 2
