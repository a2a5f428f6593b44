"""`resume`, `signal`, `resolve`, `cancel`: what people do with runs that stand still."""

import signal


def test_parked_run_takes_its_signal_and_goes_on(np):
    """Parked is exit 75; a signal is kept until the run takes it."""
    parked = np("run", "jobs.py:waiting", np.contract(), "--json")
    assert parked.code == 75
    assert parked.json["status"] == "parked"
    assert parked.json["error"]["type"] == "RunParked"
    run = parked.json["run"]
    assert np("show", run, "--json").json["next"] == f"nightproof signal {run} 'go'"
    bad = np("signal", run, "go", "not json")
    assert bad.code == 2
    assert "not JSON" in bad.err
    assert np("signal", run, "go", '"you"', "--json").json == {
        "run": run,
        "signal": "go",
        "status": "parked",
        "expects": "text",
    }
    ran = np("resume", "--all", "--json")
    assert ran.code == 0
    assert [one["result"] for one in ran.json["runs"]] == ["heard you"]
    again = np("signal", run, "go")
    assert again.code == 2


def test_resume_all_with_nothing_to_do(np):
    """Exit 0 and an empty list; a failed run is not tried again by itself."""
    np.touch("boom")
    np("run", "jobs.py:work", np.contract(boom="boom"))
    ran = np("resume", "--all", "--json")
    assert (ran.code, ran.json) == (0, {"runs": []})


def test_resume_all_goes_on_behind_one_that_cannot(np):
    """A run whose file is gone is named; the others go on; the exit code says so."""
    jobs = np.folder / "jobs.py"
    (np.folder / "old.py").write_text(jobs.read_text())
    np("run", "old.py:waiting", np.contract(n=1))
    np("run", "jobs.py:waiting", np.contract(n=2))
    for run in np("runs", "--json").json["runs"]:
        np("signal", run["run"], "go", '"you"')
    (np.folder / "old.py").unlink()
    ran = np("resume", "--all", "--json")
    assert ran.code == 2
    assert [one["status"] for one in ran.json["runs"]] == ["failed", "completed"]
    assert "old.py" in ran.err


def test_moved_file_is_said_and_the_new_path_resumes_it(np):
    """The message names the command, and the command works."""
    np.touch("boom")
    contract = np.contract(boom="boom")
    np("run", "jobs.py:work", contract)
    (np.folder / "jobs.py").rename(np.folder / "moved.py")
    (np.folder / "boom").unlink()
    ran = np("resume")
    assert ran.code == 2
    assert "not there any more" in ran.err
    assert "nightproof run NEWPATH:job CONTRACT" in ran.err
    ran = np("run", "moved.py:work", contract, "--json")
    assert ran.json["result"] == 5
    assert np.calls() == ["0", "1", "1", "2"]


def test_changed_contract_class_does_not_start_another_run(np):
    """A new field with a default changes the digest: resume refuses and says so."""
    np.touch("boom")
    np("run", "jobs.py:work", np.contract(boom="boom"))
    jobs = np.folder / "jobs.py"
    jobs.write_text(
        jobs.read_text().replace('    until: str = ""\n', '    until: str = ""\n    m: int = 4\n')
    )
    ran = np("resume")
    assert ran.code == 2
    assert "another run" in ran.err
    assert len(np("runs", "--json").json["runs"]) == 1


def test_resume_keeps_the_contract_s_folder(np):
    """A relative dataset is found again, although the journal alone knows the contract."""
    import hashlib
    import json

    place = np.folder / "contracts"
    place.mkdir()
    (place / "data.csv").write_text("1,2\n")
    window = {"start": "2026-10-19T00:00:00+02:00", "end": "2026-10-20T00:00:00+02:00"}
    document = {
        "contractVersion": "1",
        "task": "full",
        "window": window,
        "data": {"uri": "file:data.csv", "sha256": hashlib.sha256(b"1,2\n").hexdigest()},
        "model": {
            "id": "gemini-3.5-flash",
            "pinnedVersion": "gemini-3.5-flash-002",
            "temperature": 0,
        },
    }
    (place / "c.json").write_text(json.dumps(document))
    jobs = np.folder / "jobs.py"
    good = jobs.read_text()
    jobs.write_text(
        good.replace("    return contract.data.path", "    1 / 0\n    return contract.data.path")
    )
    assert np("run", "jobs.py:full", "contracts/c.json").code == 1
    jobs.write_text(good)
    assert np("resume", "--json").json["result"] == 4


def test_held_effect_is_resolved_by_a_person(np):
    """Held is exit 75 and says the command; the decision is used once and for all."""
    held = np("run", "jobs.py:doubt", np.contract(), "--json")
    assert held.code == 75
    assert held.json["error"]["type"] == "EffectHeld"
    run = held.json["run"]
    assert np("show", run, "--json").json["next"].startswith(f"nightproof resolve {run} 'doubt/3'")
    assert np("resolve", run, "doubt/3").code == 2
    assert np("resolve", run, "no-such-key", "--happened").code == 2
    assert np("resolve", run, "doubtful", '"by hand"', "--happened", "--json").json == {
        "run": run,
        "effect": "doubtful",
        "key": "doubt/3",
        "state": "confirmed",
    }
    ran = np("resume", run, "--json")
    assert ran.code == 0
    assert ran.json["result"] == "by hand"
    assert np("resolve", run, "doubt/3", "--retry").code == 2


def test_cancel_without_an_owner_is_at_once(np):
    """A parked run is cancelled at once, with exit 0; there is nothing to cancel twice."""
    run = np("run", "jobs.py:waiting", np.contract(), "--json").json["run"]
    assert np("cancel", run, "--json").json["status"] == "cancelled"
    assert np("runs", "--json").json["runs"][0]["status"] == "cancelled"
    again = np("cancel", run)
    assert again.code == 2
    assert "cancelled" in again.err


def test_cancel_of_a_killed_run_is_at_once(np):
    """A dead owner cannot heed anything: the run is cancelled for it."""
    child = np.start("run", "jobs.py:work", np.contract(until="go"))
    np.wait_until(lambda: "2" in np.calls())
    child.send_signal(signal.SIGKILL)
    np.ended(child)
    assert np("cancel", np.name(), "--json").json["status"] == "cancelled"
    attempts = np("show", np.name(), "--json").json["attempts"]
    assert [one["outcome"] for one in attempts] == ["died"]


def test_cancel_of_a_live_run_is_heeded_by_its_process(np):
    """The owner ends the run: exit 1, status cancelled."""
    child = np.start("run", "jobs.py:work", np.contract(until="go"), "--json")
    np.wait_until(lambda: "2" in np.calls())
    asked = np("cancel", np.name(), "--json")
    assert asked.json["status"] == "running"
    stopped = np.ended(child)
    assert stopped.code == 1
    assert stopped.json["status"] == "cancelled"


def test_resume_without_a_name_where_several_could(np):
    """It does not guess."""
    np("run", "jobs.py:waiting", np.contract(n=1))
    np("run", "jobs.py:waiting", np.contract(n=2))
    ran = np("resume")
    assert ran.code == 2
    assert "--all" in ran.err
