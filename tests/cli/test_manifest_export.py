"""`nightproof manifest`: a run in SLSA's and CycloneDX's words."""

import base64
import json
from pathlib import Path

import pytest

from nightproof.provenance.manifest.exports import cyclonedx, slsa
from nightproof.provenance.snapshot import Snapshot


@pytest.fixture
def ran(np):
    """A run with one artifact: its document."""
    np.env["XDG_CONFIG_HOME"] = str(np.folder / "config")
    return np("run", "jobs.py:work", np.contract(), "--json").json


def test_in_toto_is_the_statement_of_the_manifest(np, ran):
    """By the run, the artifact or the manifest; out of its envelope where it is signed."""
    (one,) = ran["artifacts"]
    statement = json.loads(Path(one["manifest"]).read_bytes())
    for target in (ran["run"], one["path"], one["manifest"]):
        assert json.loads(np("manifest", target).out) == statement
    np("keys", "new", "--dir", "keys")
    signed = np(
        "run", "jobs.py:work", np.contract(), "--replicate", "--json", NIGHTPROOF_KEYS="keys"
    ).json
    document = json.loads(np("manifest", signed["run"]).out)
    assert document["_type"] == "https://in-toto.io/Statement/v1"


def test_slsa_has_the_fields_of_its_provenance(np, ran):
    """Nothing that SLSA does not know outside of byproducts, and every subject."""
    ended = np("manifest", ran["run"], "--format", "slsa")
    assert ended.code == 0
    found = json.loads(ended.out)
    assert found["predicateType"] == "https://slsa.dev/provenance/v1"
    (one,) = ran["artifacts"]
    (subject,) = found["subject"]
    assert subject["digest"] == {"sha256": one["sha256"]}
    predicate = found["predicate"]
    assert set(predicate) == {"buildDefinition", "runDetails"}
    assert set(predicate["buildDefinition"]) == {
        "buildType", "externalParameters", "internalParameters", "resolvedDependencies",
    }  # fmt: skip
    assert set(predicate["runDetails"]) == {"builder", "metadata", "byproducts"}
    assert set(predicate["runDetails"]["metadata"]) == {
        "invocationId", "startedOn", "finishedOn",
    }  # fmt: skip
    assert predicate["runDetails"]["builder"]["version"]["nightproof"]
    extra = {one["name"]: one for one in predicate["runDetails"]["byproducts"]}
    assert {"steps", "effects", "environment", "attempts"} <= set(extra)
    kept = json.loads(base64.b64decode(extra["environment"]["content"]))
    assert kept["strict"].startswith("sha256:")


def test_every_dependency_of_slsa_can_be_found_or_compared():
    """A descriptor has to have an address or a digest; a model's version is put into one."""
    notes = {"kind": "model", "requested": "flash 2", "label": "unverified"}
    dependencies = [
        {"name": "writer/a", "annotations": notes},
        {"name": "w@7", "annotations": {"kind": "prompt", "label": "asserted"}},
        {"name": "/d", "uri": "file:///d", "digest": {"sha256": "aa"}, "annotations": {}},
    ]
    asked = {"internalParameters": {"versions": {}}, "resolvedDependencies": dependencies}
    metadata = {"invocationId": "x", "startedOn": "", "finishedOn": ""}
    done = {"builder": {"id": "b"}, "metadata": metadata, "byproducts": []}
    found = slsa({"buildDefinition": asked, "runDetails": done}, {"a": "00", "b": "11"})
    assert [
        one["uri"] for one in found["predicate"]["buildDefinition"]["resolvedDependencies"]
    ] == [
        "urn:nightproof:model:writer%2Fa:flash%202",
        "urn:nightproof:prompt:w@7",
        "file:///d",
    ]
    assert [one["name"] for one in found["subject"]] == ["a", "b"]


def test_cyclonedx_lists_packages_code_and_the_interpreter(np, ran):
    """Names, versions, purls and hashes; the rest of the environment is properties."""
    ended = np("manifest", ran["run"], "--format", "cyclonedx")
    assert ended.code == 0
    found = json.loads(ended.out)
    assert (found["bomFormat"], found["specVersion"], found["version"]) == ("CycloneDX", "1.6", 1)
    by_name = {one["name"]: one for one in found["components"]}
    pydantic = by_name["pydantic"]
    assert pydantic["purl"] == f"pkg:pypi/pydantic@{pydantic['version']}"
    assert len(pydantic["hashes"][0]["content"]) == 64
    assert by_name["jobs.py"]["type"] == "file"
    assert by_name["cpython"]["type"] == "platform"
    refs = [one["bom-ref"] for one in found["components"]]
    assert len(set(refs)) == len(refs)
    properties = {one["name"]: one["value"] for one in found["metadata"]["properties"]}
    assert properties["nightproof:run"] == ran["run"]
    assert {"nightproof:tz", "nightproof:numeric/libc"} <= set(properties)
    again = np("manifest", ran["run"], "--format", "cyclonedx")
    assert again.out == ended.out


def test_cyclonedx_says_what_is_special_about_a_package():
    """Edited files, editable installs, a local version, a package without a digest."""
    strict = {
        "package/torch": "2.0+cpu sha256:" + "a" * 64,
        "package/own": "0.1 editable sha256:" + "b" * 64,
        "package/old": "0.3",
        "edited/torch/torch/x.py": "sha256:" + "c" * 64,
        "code/…": "more files, not looked at",
    }
    found = cyclonedx(Snapshot(strict, {}, {}), "job", "job-1", "2026-01-01T00:00:00Z", "1")
    by_name = {one["name"]: one for one in found["components"]}
    assert by_name["torch"]["purl"] == "pkg:pypi/torch@2.0%2Bcpu"
    assert {"name": "nightproof:edited/torch/torch/x.py", "value": "sha256:" + "c" * 64} in by_name[
        "torch"
    ]["properties"]
    assert "editable" in by_name["own"]["properties"][0]["value"]
    assert "hashes" not in by_name["old"]
    assert "…" not in by_name


def test_mistakes_are_one_message(np, ran):
    """A format that is none, a file without a manifest, several of them, an edited one."""
    (one,) = ran["artifacts"]
    assert "no format 'x'" in np("manifest", ran["run"], "--format", "x").err
    assert "has no manifest beside it" in np("manifest", "jobs.py").err
    assert "Give the name of the run" in np(
        "manifest", one["path"], "--format", "cyclonedx"
    ).err  # fmt: skip
    assert "no run" in np("manifest", "nobody").err
    manifest = Path(one["manifest"])
    data = manifest.read_bytes()
    manifest.write_bytes(data.replace(b'"n":', b'"m":', 1))
    edited = np("manifest", one["path"], "--format", "slsa")
    assert (edited.code, edited.out) == (3, "")
    assert "is not as it was written" in edited.err
    manifest.write_bytes(data[:100])
    cut = np("manifest", one["path"])
    assert (cut.code, cut.out, "is not JSON" in cut.err) == (2, "", True)
    manifest.unlink()
    gone = np("manifest", ran["run"])
    assert (gone.code, "is gone" in gone.err) == (2, True)
