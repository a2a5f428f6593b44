"""What can be done to a run now, by its state."""

import pytest

from nightproof.journal.records import EffectRow, RunRow
from nightproof.model import identity
from nightproof.model.identity import ProcessIdentity
from nightproof.model.states import EffectState, RunStatus
from nightproof.views.actions import actions, awaited, folder, isolation, why_not_resolve

DEAD = ProcessIdentity(identity.here().host, 2**22 + 1, 1)


def row(status, owner=None, **more):
    """A run in a state."""
    given = {
        "id": 1, "name": "main-1", "job": "main", "digest": "d", "replicate": 0, "contract": b"{}",
        "target": "/x.py:main", "code": "", "parent": None, "options": b"{}", "status": status,
        "created": 1, "updated": 1, "finished": None, "wake": None, "waiting": "", "result": None,
        "result_blob": None, "error": None, "token": 1, "owner": owner, "beat": 0,
        "lease_until": 0, "cancel": False, "attempts": 1,
    }  # fmt: skip
    return RunRow(**{**given, **more})


@pytest.mark.parametrize(
    ("run", "offered"),
    [
        (row(RunStatus.RUNNING, identity.here()), ["cancel", "replicate"]),
        (row(RunStatus.RUNNING, DEAD), ["resume", "cancel", "replicate"]),
        (row(RunStatus.RUNNING), ["resume", "cancel", "replicate"]),
        (row(RunStatus.PARKED), ["resume", "cancel", "replicate"]),
        (row(RunStatus.PARKED, waiting="signal 'go'"), ["signal", "resume", "cancel", "replicate"]),
        (row(RunStatus.COMPLETED), ["replicate"]),
        (row(RunStatus.FAILED), ["resume", "replicate"]),
        (row(RunStatus.CANCELLED), ["resume", "replicate"]),
        (row(RunStatus.RUNNING, parent=3), ["cancel"]),
        (row(RunStatus.FAILED, parent=3), []),
        (row(RunStatus.FAILED, target=""), []),
    ],
    ids=lambda one: f"{one.status}-{one.parent}" if isinstance(one, RunRow) else None,
)
def test_only_what_makes_sense_is_offered(run, offered):
    """A page has buttons for these, and refuses the rest."""
    assert [one.act for one in actions(run)] == offered
    assert all(one.query["run"] == "main-1" for one in actions(run))


def test_every_signal_that_is_waited_for_is_offered():
    """By name, also where other things are waited for."""
    run = row(RunStatus.PARKED, waiting="signal 'go'; sleeping; signal 'it''s'")
    assert awaited(run) == ["go", "it''s"]
    assert [one.label for one in actions(run)][:2] == ["Send go", "Send it''s"]
    assert awaited(row(RunStatus.FAILED, waiting="signal 'go'")) == []


def test_only_an_effect_in_doubt_is_decided():
    """And none that the run is about to perform."""

    def effect(state):
        return EffectRow("k", "post", 1, state, b"", b"[]", 1, 1, None, None, "")

    parked = row(RunStatus.PARKED)
    assert why_not_resolve(parked, effect(EffectState.INTENDED)) == ""
    assert why_not_resolve(parked, effect(EffectState.FAILED)) == ""
    assert "confirmed" in why_not_resolve(parked, effect(EffectState.CONFIRMED))
    at_work = row(RunStatus.RUNNING, identity.here())
    assert "at work" in why_not_resolve(at_work, effect(EffectState.INTENDED))


def test_a_replicate_starts_as_the_run_did(tmp_path):
    """At its level of isolation, and where its relative datasets lie."""
    options = b'{"isolate": "L2", "folder": "%s"}' % str(tmp_path).encode()
    assert isolation(row(RunStatus.FAILED, options=options)) == "L2"
    assert folder(row(RunStatus.FAILED, options=options)) is None
    contract = b'{"data": {"uri": "file:a.csv"}}'
    assert folder(row(RunStatus.FAILED, options=options, contract=contract)) == str(tmp_path)
    gone = b'{"folder": "/no/such/folder"}'
    assert folder(row(RunStatus.FAILED, options=gone, contract=contract)) is None
