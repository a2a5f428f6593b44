"""Signed manifests: envelopes, keys, and what is no key."""

import json
import os
import stat
from pathlib import Path

import pytest

from nightproof import Contract, artifact, job, step
from nightproof.errors import ConfigError, UsageError
from nightproof.model.canonical import canonical, sha256_hex
from nightproof.model.states import RunStatus
from nightproof.provenance import signing
from nightproof.provenance.manifest import statement as form
from nightproof.provenance.manifest.checking import check, check_artifact

pytestmark = pytest.mark.sqlite_only


@step
def square(i: int) -> int:
    return i * i


@job
async def report(contract: Contract) -> int:
    squares = await square.map(range(contract.n), key=str)
    await artifact("report.md", f"# {sum(squares)}")
    return sum(squares)


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """No key of the machine's user signs anything here."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def manifest_of(outcome) -> Path:
    return Path(outcome.artifacts[0]["manifest"])


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def passes(data: bytes, content: bytes, key: signing.Verifier | None = None) -> bool:
    try:
        checked = check(data, "m", key)
    except UsageError:
        return False
    return not (checked.problems or check_artifact(checked, "report.md", content))


def test_any_flipped_byte_of_an_envelope_is_found(tmp_path):
    """Spare bits of base64 included."""
    keys = signing.new_keys(tmp_path / "keys")
    facts = form.Facts(
        "r", "j", "c", 0, {"task": "x"}, "sha256:" + sha256_hex(b'{"task":"x"}'), "5", {}, [], [], None,
        "a", "b", form.Steps([], []), {},
    )  # fmt: skip
    plain = form.statement("report.md", sha256_hex(b"x"), form.predicate(facts, inline=True)[0])
    data = signing.signer(tmp_path / "keys").envelope(plain)
    verifier = signing.verifier(keys.public)
    assert passes(data, b"x", verifier)
    for at in range(len(data)):
        assert not passes(_flipped(data, at), b"x", verifier), f"byte {at}"


def test_runs_sign_where_there_is_a_key(night, night_contract):
    """The envelope is verified with the public half; the journal names the key."""
    keys = signing.new_keys(night.folder / "keys")
    outcome = night.run(report, night_contract(n=3), keys=str(night.folder / "keys"))
    document = json.loads(manifest_of(outcome).read_bytes())
    assert document["payloadType"] == "application/vnd.in-toto+json"
    checked = check(manifest_of(outcome).read_bytes(), "m", signing.verifier(keys.public))
    assert (checked.signature, checked.keyid, checked.problems) == ("verified", keys.keyid, [])
    assert night.notes(outcome.name, "manifest")[0]["keyid"] == keys.keyid


def test_a_foreign_signature_is_found(night, night_contract, tmp_path):
    """Another key, or none, is not the key that was asked for."""
    foreign = signing.verifier(signing.new_keys(tmp_path / "foreign").public)
    signing.new_keys(tmp_path / "own")
    outcome = night.run(report, night_contract(n=1), keys=str(tmp_path / "own"))
    checked = check(manifest_of(outcome).read_bytes(), "m", foreign)
    assert checked.signature == "refused"
    assert "not by " + foreign.keyid in checked.problems[0].message
    document = json.loads(manifest_of(outcome).read_bytes())
    document["signatures"][0]["keyid"] = foreign.keyid
    said = check(canonical(document), "m", foreign).problems
    assert [problem.message for problem in said] == ["the signature does not fit what it signs"]
    plain = night.run(report, night_contract(n=2))
    said = check(manifest_of(plain).read_bytes(), "m", foreign).problems
    assert [problem.message for problem in said] == ["it is not signed, and a key was given"]


def test_a_key_that_others_may_read_is_refused_before_the_run(night, night_contract):
    """Nothing is done with it, and nothing recorded."""
    keys = signing.new_keys(night.folder / "keys")
    keys.private.chmod(0o640)
    with pytest.raises(ConfigError, match="mode 0640"):
        night.run(report, night_contract(n=3), keys=str(night.folder / "keys"))
    assert list(night.folder.rglob("*.manifest.json")) == []


def test_a_key_that_is_spoilt_meanwhile_stops_the_run_before_its_end(night, night_contract):
    """All work is recorded; with the permissions put right, a resume does nothing again."""
    keys = signing.new_keys(night.folder / "keys")

    @job(name="spoilt")
    async def main(contract: night_contract) -> None:
        await artifact("a.txt", "a")
        keys.private.chmod(0o640)

    refused = night.run(main, night_contract(n=3), keys=str(night.folder / "keys"))
    assert isinstance(refused.error, ConfigError)
    assert refused.status is RunStatus.RUNNING
    assert list(night.folder.rglob("*.manifest.json")) == []
    keys.private.chmod(0o600)

    @job(name="spoilt")
    async def again(contract: night_contract) -> None:
        await artifact("a.txt", "a")

    outcome = night.run(again, night_contract(n=3), keys=str(night.folder / "keys"))
    assert (outcome.status, outcome.executed) == (RunStatus.COMPLETED, 0)
    assert manifest_of(outcome).exists()


def test_new_keys_are_private_and_never_overwritten(tmp_path):
    """0600 whatever the umask; a second key in the same place is refused."""
    before = os.umask(0)
    try:
        keys = signing.new_keys(tmp_path / "keys")
    finally:
        os.umask(before)
    assert stat.S_IMODE(keys.private.stat().st_mode) == 0o600
    kept = keys.private.read_bytes()
    with pytest.raises(ConfigError, match="already"):
        signing.new_keys(tmp_path / "keys")
    keys.private.unlink()
    with pytest.raises(ConfigError, match="already"):
        signing.new_keys(tmp_path / "keys")
    assert not keys.private.exists()
    assert b"PRIVATE" in kept


def test_what_is_no_key_is_refused(tmp_path):
    """Another text, a private key for a public one, a missing file."""
    keys = signing.new_keys(tmp_path / "keys")
    with pytest.raises(ConfigError, match="is a private key"):
        signing.verifier(keys.private)
    (tmp_path / "text.pub").write_text("hello")
    with pytest.raises(ConfigError, match="not an Ed25519 public key"):
        signing.verifier(tmp_path / "text.pub")
    with pytest.raises(ConfigError, match="cannot be read"):
        signing.verifier(tmp_path / "missing.pub")
    keys.private.write_text("hello")
    with pytest.raises(ConfigError, match="not an Ed25519 private key"):
        signing.signer(tmp_path / "keys")
    assert signing.signer(tmp_path / "nowhere") is None


def test_without_cryptography_the_extra_is_named(tmp_path, monkeypatch):
    """And only where a key is used: runs without one do not need it."""
    signing.new_keys(tmp_path / "keys")
    monkeypatch.setitem(__import__("sys").modules, "cryptography.hazmat.primitives", None)
    with pytest.raises(ConfigError) as caught:
        signing.signer(tmp_path / "keys")
    assert "nightproof[sign]" in caught.value.hint
    assert signing.signer(tmp_path / "nowhere") is None


def test_the_encoding_is_dsse_s():
    """The example of the protocol's own text."""
    found = signing.encoded("http://example.com/HelloWorld", b"hello world")
    assert found == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_a_manifest_that_cannot_be_written_leaves_the_run_resumable(night, night_contract):
    """As with an artifact that cannot be written."""
    blocked = [True]

    @job
    async def blocking(contract: night_contract) -> int:
        made = await artifact("a.txt", "1")
        if blocked:
            Path(made.path + ".manifest.json").mkdir()
        return 1

    refused = night.run(blocking)
    assert refused.status is RunStatus.RUNNING
    assert "a.txt.manifest.json cannot be written" in str(refused.error)
    blocked.clear()
    next(night.folder.rglob("*.manifest.json")).rmdir()
    assert night.run(blocking).status is RunStatus.COMPLETED
