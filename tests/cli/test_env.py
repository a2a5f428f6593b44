"""`nightproof env`: what a run was worked on in, and what differs."""

import base64
import hashlib
import os
import sys

import pytest


@pytest.fixture
def two(np):
    """The names of two runs that differ in their time zone and in a listed variable."""
    (np.folder / "nightproof.toml").write_text('variables = ["REGION", "MY_TOKEN"]\n')
    found = []
    for n, zone in enumerate(["UTC", "Asia/Tokyo"]):
        ran = np(
            "run", "jobs.py:work", np.contract(n=n), "--json",
            TZ=zone, REGION="eu", MY_TOKEN=f"hunter2-{n}", LC_ALL="C.UTF-8",
        )  # fmt: skip
        found.append(ran.json["run"])
    return found


def test_show_tells_the_environment_of_a_run(np, two):
    """Digests and items; a secret's value is nowhere."""
    shown = np("env", "show", two[0], "--json")
    assert shown.code == 0
    assert shown.json["run"] == two[0]
    assert shown.json["strict"]["tz"] == "UTC"
    assert shown.json["strict"]["variable/REGION"] == "eu"
    assert shown.json["strict"]["code/jobs.py"].startswith("sha256:")
    assert shown.json["strict"]["package/pydantic"].partition(" sha256:")[2]
    assert set(shown.json["digests"]) == {"strict", "numeric", "host"}
    assert "hunter2" not in shown.out
    text = np("env", "show", two[0]).out
    assert f"strict  {shown.json['digests']['strict']}" in text
    assert "  tz  UTC" in text


def test_show_without_a_run_is_here_and_now(np):
    """No journal is needed for it, and none is made."""
    shown = np("env", "show", "--json", TZ="Asia/Tokyo")
    assert (shown.code, shown.json["run"]) == (0, None)
    assert shown.json["strict"]["tz"] == "Asia/Tokyo"
    assert not (np.folder / ".nightproof").exists()


def test_diff_names_what_differs_and_exits_3(np, two):
    """Between two runs only the zone differs: of the secret only the name counts."""
    found = np("env", "diff", *two, "--json")
    assert found.code == 3
    assert found.json["differs"] == {"strict": True, "numeric": False}
    assert found.json["items"] == [
        {"part": "strict", "item": "tz", "a": "UTC", "b": "Asia/Tokyo"},
    ]
    text = np("env", "diff", *two)
    assert text.code == 3
    assert "Asia/Tokyo" in text.out


def test_diff_with_here_sees_an_edit(np, two):
    """The run against this process: the same until a file of the job is edited."""
    env = {"TZ": "UTC", "REGION": "eu", "MY_TOKEN": "x", "LC_ALL": "C.UTF-8"}
    same = np("env", "diff", two[0], "here", **env)
    assert (same.code, "are the same" in same.out) == (0, True)
    with (np.folder / "jobs.py").open("a") as file:
        file.write("\n# edited\n")
    edited = np("env", "diff", two[0], "here", "--json", **env)
    assert edited.code == 3
    assert [one["item"] for one in edited.json["items"]] == ["code/jobs.py"]


def test_mistakes_are_one_message(np, two):
    """Both sides here, a run that is not there, a run whose items are gone."""
    assert np("env", "diff", "here", "here").code == 2
    assert "no run" in np("env", "show", "nothing").err
    for blob in (np.folder / ".nightproof/blobs/sha256").rglob("*"):
        if blob.is_file():
            blob.unlink()
    gone = np("env", "show", two[0])
    assert gone.code == 1
    assert "Traceback" not in gone.err


def test_a_resume_elsewhere_is_shown_and_refused_under_strict(np):
    """`show` and `logs` name the item; `--strict` refuses before anything runs."""
    (np.folder / "boom").touch()
    first = np("run", "jobs.py:work", np.contract(boom="boom"), TZ="UTC")
    assert first.code == 1
    (np.folder / "boom").unlink()
    name = np.name()
    before = np.calls()
    refused = np("resume", name, "--strict", TZ="Asia/Tokyo")
    assert refused.code == 2
    assert "tz (UTC -> Asia/Tokyo)" in refused.err
    assert np.calls() == before
    resumed = np("resume", name, TZ="Asia/Tokyo")
    assert resumed.code == 0
    assert "differs   the environment has changed since the last attempt: tz (UTC" in resumed.out
    shown = np("show", name, "--json").json
    assert shown["environmentChanges"][0]["items"][0]["item"] == "tz"
    assert shown["environment"]["strict"].startswith("sha256:")
    assert "tz (UTC -> Asia/Tokyo)" in np("show", name).out
    assert "environment has changed" in np("logs", name).out


def test_verify_finds_an_edit_that_time_and_size_hide(np, monkeypatch):
    """Every installed file is hashed; an edited one is named, and the command exits 3."""
    data = b"PHASE = 1\n"
    hashed = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    site = np.folder / "site"
    info = site / "moon-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "moon.py").write_bytes(b"PHASE = 2\n")
    (info / "RECORD").write_text(f"moon.py,sha256={hashed},{len(data)}\n")
    os.utime(site / "moon.py", ns=(1, 1))
    # Here, and without what else is installed: to hash all of that takes seconds.
    np.here("env", "show", "--json")  # loads what the command needs
    slim = [str(site), *(path for path in sys.path if "site-packages" not in path)]
    monkeypatch.setattr(sys, "path", slim)
    quick = np.here("env", "show", "--json")
    assert (quick.code, "package/moon" in quick.json["strict"]) == (0, True)
    assert "edited/moon/moon.py" not in quick.out
    full = np.here("env", "show", "--verify", "--json")
    assert full.code == 3
    assert full.json["strict"]["edited/moon/moon.py"].startswith("sha256:")
    assert np("env", "show", "some-run", "--verify").code == 2
