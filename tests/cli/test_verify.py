"""`nightproof verify` and `keys`: the command with files, runs and keys."""

import json
import shutil
from pathlib import Path

import pytest

from nightproof.provenance import signing


@pytest.fixture
def ran(np):
    """A run with one artifact: its document."""
    np.env["XDG_CONFIG_HOME"] = str(np.folder / "config")
    return np("run", "jobs.py:work", np.contract(), "--json").json


def paths(ran) -> tuple[Path, Path]:
    (one,) = ran["artifacts"]
    return Path(one["path"]), Path(one["manifest"])


def test_run_and_show_name_the_manifest(np, ran):
    """In both documents, and the same when the run is answered from the record."""
    (one,) = ran["artifacts"]
    assert one["manifest"] == one["path"] + ".manifest.json"
    again = np("run", "jobs.py:work", np.contract(), "--json").json
    assert again["artifacts"] == ran["artifacts"]
    assert np("show", ran["run"], "--json").json["artifacts"][0]["manifest"] == one["manifest"]


def test_verify_takes_an_artifact_a_manifest_or_a_run(np, ran):
    """All three are fine, and say that nothing was signed."""
    artifact, manifest = paths(ran)
    for target in (str(artifact), str(manifest), ran["run"], ran["run"][:-2]):
        ended = np("verify", target)
        assert (ended.code, ended.err) == (0, "")
        assert ended.out == f"ok  {artifact}\n  not signed: this shows damage, not forgery\n"
        found = np("verify", target, "--json").json
        assert (found["target"], found["ok"]) == (target, True)
        assert found["artifacts"][0]["sha256"] == ran["artifacts"][0]["sha256"]
        assert found["artifacts"][0]["signature"] == "none"


def test_verify_takes_the_name_of_a_replicate(np, ran):
    """Its number is no file's suffix; and a very long name is only unknown."""
    again = np("run", "jobs.py:work", np.contract(), "--replicate", "--json").json
    assert np("verify", again["run"], "--json").json["run"] == again["run"] == ran["run"] + ".1"
    ended = np("verify", "x" * 5000)
    assert (ended.code, "there is no run" in ended.err) == (2, True)


def test_verify_needs_nothing_but_the_files_and_the_public_key(np, ran, tmp_path):
    """Elsewhere there is no journal; the path of the artifact is another."""
    np("keys", "new", "--dir", "keys")
    signed = np(
        "run", "jobs.py:work", np.contract(), "--replicate", "--json", NIGHTPROOF_KEYS="keys"
    ).json
    there = tmp_path / "elsewhere"
    there.mkdir()
    for path in paths(signed):
        shutil.copy(path, there)
    shutil.copy(np.folder / "keys" / "signing.pub", there)
    np.folder = there
    ended = np("verify", "squares.txt", "--key", "signing.pub")
    keyid = signing.verifier(there / "signing.pub").keyid
    assert (ended.code, ended.out) == (0, f"ok  squares.txt\n  signed by key {keyid}\n")
    unchecked = np("verify", "squares.txt")
    assert "not checked: give --key" in unchecked.out
    assert sorted(path.name for path in there.iterdir()) == [
        "signing.pub", "squares.txt", "squares.txt.manifest.json",
    ]  # fmt: skip


def test_a_changed_artifact_is_a_mismatch(np, ran):
    """Exit 3, and both digests are named."""
    artifact, _ = paths(ran)
    artifact.write_text("0 1 5")
    for target in (str(artifact), ran["run"]):
        ended = np("verify", target)
        assert ended.code == 3
        assert ran["artifacts"][0]["sha256"] in ended.out
        found = np("verify", target, "--json")
        assert found.code == 3
        assert found.json["ok"] is False
    where = [one["where"] for one in found.json["artifacts"][0]["problems"]]
    assert where == ["artifact", "/subject/0/digest"]


def forge(manifest: Path, change) -> None:
    """Edit a manifest and make every digest in it fit, as a forger would."""
    from nightproof.model.canonical import canonical
    from nightproof.provenance.manifest import statement as form

    document = json.loads(manifest.read_bytes())
    predicate = document["predicate"]
    del predicate["seal"]
    listed = predicate["runDetails"]["byproducts"][0]
    change(predicate, listed["annotations"]["steps"])
    listed["annotations"]["count"] = len(listed["annotations"]["steps"])
    listed["digest"]["sha256"] = form.step_list(listed["annotations"]["steps"])[0]
    predicate["comparable"]["sha256"] = form.comparable(
        predicate["buildDefinition"], listed["digest"]["sha256"]
    )
    (subject,) = document["subject"]
    manifest.write_bytes(
        form.statement(subject["name"], subject["digest"]["sha256"], canonical(predicate))
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda p, steps: steps.pop(), "is in the journal, and missing here"),
        (
            lambda p, steps: steps[0].update(output="sha256:" + "0" * 64),
            f"output sha256:{'0' * 64}, not sha256:",
        ),
        (lambda p, steps: steps.append({**steps[0], "fingerprint": "ff" * 16}), "not in the"),
        (lambda p, steps: steps.reverse(), "the order of the list"),
        (
            lambda p, steps: p["runDetails"]["metadata"].update(replicate=7),
            "7, where the journal has 0",
        ),
        (
            lambda p, steps: p["runDetails"]["metadata"].update(finishedOn="2020-01-01T00:00:00Z"),
            "not the one that the journal says was written",
        ),
    ],
)
def test_a_forged_manifest_does_not_fit_the_journal(np, ran, change, says: str):
    """Without a signature only the journal can tell; it names the step."""
    artifact, manifest = paths(ran)
    forge(manifest, change)
    assert np("verify", str(artifact)).code == 0
    ended = np("verify", ran["run"])
    assert ended.code == 3
    assert says in ended.out


def test_missing_files_are_a_mismatch_of_a_run(np, ran):
    """The journal says that they were written."""
    artifact, manifest = paths(ran)
    manifest.unlink()
    ended = np("verify", ran["run"])
    assert (ended.code, "manifest: it cannot be read" in ended.out) == (3, True)
    artifact.unlink()
    ended = np("verify", ran["run"])
    assert (ended.code, "artifact: it cannot be read" in ended.out) == (3, True)


def test_a_truncated_manifest_of_a_run_is_a_mismatch(np, ran):
    """And bad input where only the file is known."""
    artifact, manifest = paths(ran)
    manifest.write_bytes(manifest.read_bytes()[:-20])
    assert np("verify", ran["run"]).code == 3
    ended = np("verify", str(artifact))
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (f"nightproof: {manifest} is not JSON\n  It is damaged or not whole.\n")


def test_bad_input_is_one_message(np, ran):
    """Exit 2 and nothing on stdout: no such file, run, manifest, key or version."""
    artifact, manifest = paths(ran)
    loose = np.folder / "loose.txt"
    loose.write_text("x")
    document = json.loads(manifest.read_bytes())
    document["predicateType"] = "https://nightproof.dev/manifest/v2"
    other = np.folder / "other.txt.manifest.json"
    other.write_text(json.dumps(document))
    other.with_name("other.txt").write_text("x")
    for given, says in (
        (("nowhere/report.md",), "there is no file nowhere/report.md"),
        (("nowhere.md",), "there is no file nowhere.md"),
        (("nothing-1234",), "there is no run 'nothing-1234'"),
        ((str(loose),), "loose.txt.manifest.json cannot be read"),
        ((str(np.folder),), "cannot be read"),
        ((str(other),), "is a manifest of another version"),
        ((str(artifact), "--key", "no.pub"), "the key no.pub cannot be read"),
        ((str(artifact), "--key", "loose.txt"), "not an Ed25519 public key"),
    ):
        ended = np("verify", *given)
        assert (ended.code, ended.out) == (2, ""), given
        assert says in ended.err
        assert "unexpected" not in ended.err


def test_a_run_that_is_not_complete_has_no_manifests(np, ran):
    """Nor one in a store that does not exist."""
    np("run", "jobs.py:work", np.contract(n=0 + 4, boom="jobs.py"))
    failed = next(one for one in np("runs", "--json").json["runs"] if one["status"] == "failed")
    ended = np("verify", failed["run"])
    assert (ended.code, "manifests are written when a run completes" in ended.err) == (2, True)
    ended = np("verify", "work-1", "--store", "sqlite:///none.db")
    assert (ended.code, "'work-1' is no file" in ended.err) == (2, True)
    assert not (np.folder / "none.db").exists()


def test_keys_new_says_where_they_are(np):
    """The private half for its owner alone; a second time is refused."""
    made = np("keys", "new", "--json", XDG_CONFIG_HOME=str(np.folder / "config")).json
    assert Path(made["private"]).parent == np.folder / "config" / "nightproof"
    assert Path(made["private"]).stat().st_mode & 0o777 == 0o600
    again = np("keys", "new", XDG_CONFIG_HOME=str(np.folder / "config"))
    assert (again.code, "is not overwritten" in again.err) == (2, True)


def test_a_run_with_a_key_that_others_may_read_says_so(np):
    """Exit 2, before anything is done; it runs when that is put right."""
    np("keys", "new", "--dir", "keys")
    key = np.folder / "keys" / "signing.key"
    key.chmod(0o644)
    ended = np("run", "jobs.py:work", np.contract(), NIGHTPROOF_KEYS="keys")
    assert (ended.code, "(mode 0644)" in ended.err) == (2, True)
    assert np("runs", "--json").json["runs"] == []
    key.chmod(0o600)
    ended = np("run", "jobs.py:work", np.contract(), NIGHTPROOF_KEYS="keys")
    assert (ended.code, "0 executed" in ended.out) == (0, False)
    assert np.told() == ["3 5"]
