"""What people had done is on record: before the act, and with what came of it."""

from nightproof.views.audit import ACTOR


def trail(np, *words):
    """The acts, the oldest first, without what differs from machine to machine."""
    acts = np("audit", *words, "--json").json["acts"]
    assert all("@" in one["who"] and one["at"] for one in acts)
    return [
        (one["act"], one["run"], one["state"], one["outcome"], one["command"])
        for one in reversed(acts)
    ]


def test_signal_resume_and_cancel_are_on_record(np):
    """With the command that does the same again; nothing for what was refused before it began."""
    assert np("run", "jobs.py:waiting", np.contract(), NIGHTPROOF_PARK_AFTER="0.01").code == 75
    [run] = [one["run"] for one in np("runs", "--json").json["runs"]]
    assert np("signal", run[:10], "go", '"you"').code == 0
    assert np("resume", run).code == 0
    assert np("cancel", run).code == 2
    assert trail(np) == [
        ("signal", run, "done", "'go' sent", f"nightproof signal {run} go '\"you\"'"),
        ("resume", run, "done", "completed", f"nightproof resume {run}"),
    ]
    other = np("run", "jobs.py:waiting", np.contract(n=4), NIGHTPROOF_PARK_AFTER="0.01")
    assert other.code == 75
    parked = np("runs", "--status", "parked", "--json").json["runs"][0]["run"]
    np("cancel", parked)
    assert trail(np, parked) == [
        ("cancel", parked, "done", "cancelled", f"nightproof cancel {parked}")
    ]
    assert [line.split()[3] for line in np("audit").out.splitlines()[1:]] == [
        "cancel", "resume", "signal",
    ]  # fmt: skip


def test_a_decision_is_on_record_once(np):
    """Also the resume that parks again; what the dashboard has written is not written twice."""
    np("run", "jobs.py:doubt", np.contract())
    [run] = [one["run"] for one in np("runs", "--json").json["runs"]]
    np("resolve", run, "doubtful", "--retry", **{ACTOR: "the dashboard"})
    assert trail(np) == []
    assert np("resume", run).code == 75
    np("resolve", run, "doubtful", '"sent"', "--happened")
    acts = trail(np)
    assert [one[:3] for one in acts] == [("resume", run, "done"), ("resolve", run, "done")]
    assert acts[0][3] == "parked"
    assert acts[1][4] == f"nightproof resolve --happened {run} doubt/3 '\"sent\"'"


def test_a_failed_resume_says_why(np):
    """The exit code and the message are the outcome."""
    np("run", "jobs.py:waiting", np.contract(), NIGHTPROOF_PARK_AFTER="0.01")
    [run] = [one["run"] for one in np("runs", "--json").json["runs"]]
    (np.folder / "jobs.py").rename(np.folder / "other.py")
    assert np("resume", run).code == 2
    [act] = np("audit", "--json").json["acts"]
    assert (act["state"], act["code"]) == ("failed", 2)
    assert "not there any more" in act["outcome"]


def test_pages_of_the_trail(np):
    """`next` leads to what was before; an empty trail says so."""
    np("run", "jobs.py:waiting", np.contract(), NIGHTPROOF_PARK_AFTER="0.01")
    assert "nobody" in np("audit").err
    [run] = [one["run"] for one in np("runs", "--json").json["runs"]]
    for n in range(3):
        np("signal", run, f"s{n}")
    first = np("audit", "-n", "2", "--json").json
    assert [one["outcome"] for one in first["acts"]] == ["'s2' sent", "'s1' sent"]
    rest = np("audit", "--before", str(first["next"]), "--json").json
    assert ([one["outcome"] for one in rest["acts"]], rest["next"]) == (["'s0' sent"], None)


def test_the_trail_is_salvaged(np):
    """With the rest of a damaged journal."""
    np("run", "jobs.py:waiting", np.contract(), NIGHTPROOF_PARK_AFTER="0.01")
    [run] = [one["run"] for one in np("runs", "--json").json["runs"]]
    np("signal", run, "go")
    np("doctor", "--salvage", "new.db")
    new = ["--store", "sqlite:///new.db", "--json"]
    assert np("audit", *new).json == np("audit", "--json").json
