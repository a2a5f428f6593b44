"""What a person tells a run is answered with what the run expects."""


def parked(np):
    """A run that waits for a signal that brings text."""
    assert np("run", "jobs.py:waiting", np.contract(), NIGHTPROOF_PARK_AFTER="0.01").code == 75
    (run,) = np("runs", "--json").json["runs"]
    return run["run"]


def test_a_signal_is_answered_with_what_the_run_expects(np):
    """The kind of value where the job says so; the name where it is not waited for."""
    run = parked(np)
    assert "waits     for signal 'go' (text)" in np("show", run).out
    told = np("signal", run, "go", "3")
    assert "the run expects: text" in told.out
    assert np("signal", run, "go", "--json").json["expects"] == "text"
    other = np("signal", run, "stop")
    assert "does not wait for 'stop' now: it waits for go" in other.out
    assert np("signal", run, "stop", "--json").json["expects"] is None


def test_what_does_not_fit_is_said_in_show_and_logs(np):
    """The run is resumed and parks again; the log has the value, what it waits for has not."""
    run = parked(np)
    np("signal", run, "go", "3")
    again = np("resume", run, "--json")
    assert again.code == 75
    assert "what came last did not fit: Input should be a valid string" in np("show", run).out
    assert f"nightproof signal {run} 'go'" in np("show", run).out
    lines = np("logs", run, "--json").json["log"]
    (line,) = [one for one in lines if one["kind"] == "signal-misfit"]
    assert "is not text and was put aside" in line["text"]
    assert line["text"].endswith("(got 3)")
    np("signal", run, "go", '"you"')
    assert np("resume", run).code == 0
    assert np("show", run, "--json").json["result"] == "heard you"
