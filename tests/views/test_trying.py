"""Who has to decide about an effect: nobody while a process may be at it."""

import pytest

from nightproof.journal.records import EffectRow, RunRow
from nightproof.journal.trying import Trying
from nightproof.model import clock, identity
from nightproof.model.identity import ProcessIdentity
from nightproof.model.states import EffectState, RunStatus
from nightproof.views.actions import why_not_resolve
from nightproof.views.trying import tried, undecided

HERE = identity.here()
DEAD = ProcessIdentity(HERE.host, 2**22 + 1, 1)
FAR = ProcessIdentity("elsewhere/boot/ns", 7, 7)
WORKFLOW = ProcessIdentity(f"{identity.WORKFLOW}main-1", 0, 1)


def effect(state, who=None):
    """An effect in a state, with the process that its intent names."""
    named = None if who is None else Trying(who, 1).encode()
    return EffectRow("k", "post", 1, state, b"", b"[]", 1, 1, None, None, "", "main-1", named)


def run(status, owner=None):
    """A run in a state; its lease is out."""
    until = clock.now_ms() - 60_000
    return RunRow(
        1, "main-1", "main", "d", 0, b"{}", "/x.py:main", "", None, b"{}", status, 1, 1, None,
        None, "", None, None, None, 1, owner, until, until, False, 1,
    )  # fmt: skip


INTENDED, FAILED = EffectState.INTENDED, EffectState.FAILED
RUNNING, PARKED = RunStatus.RUNNING, RunStatus.PARKED


@pytest.mark.parametrize(
    ("state", "who", "of", "at_it"),
    [
        # What the intent names counts where this machine can see it.
        (INTENDED, HERE, run(PARKED), True),
        (INTENDED, HERE, run(RUNNING, DEAD), True),
        (INTENDED, HERE, None, True),
        (INTENDED, DEAD, run(PARKED), False),
        (INTENDED, DEAD, run(RUNNING, DEAD), False),
        # Another process has taken the run over, or Temporal has: it meets the effect.
        (INTENDED, DEAD, run(RUNNING, HERE), True),
        (INTENDED, DEAD, run(RUNNING, WORKFLOW), True),
        # Elsewhere, or by an older version: the run tells.
        (INTENDED, FAR, run(PARKED), False),
        (INTENDED, FAR, run(RUNNING, FAR), True),
        (INTENDED, None, run(RUNNING, HERE), True),
        (INTENDED, None, run(RUNNING, DEAD), False),
        (INTENDED, FAR, None, False),
        # Held: a process in which it is leaves soon, a workflow goes on beside it.
        (FAILED, None, run(RUNNING, HERE), True),
        (FAILED, None, run(RUNNING, WORKFLOW), False),
        (FAILED, None, run(PARKED, WORKFLOW), False),
        (FAILED, None, run(PARKED), False),
    ],
)
def test_who_is_at_an_effect(state, who, of, at_it):
    """Then it is not in doubt, and a decision is refused."""
    one = effect(state, who)
    assert tried(one, of) is at_it
    assert undecided(one, of) is not at_it
    if of is not None:
        assert why_not_resolve(of, one) == ("the run is at work on it now" if at_it else "")


def test_what_is_settled_is_nobodys_to_decide():
    """Whatever the run does."""
    for state in (EffectState.CONFIRMED, EffectState.CLEAR, EffectState.SKIPPED):
        assert not undecided(effect(state), run(PARKED))
        assert "nothing to decide" in why_not_resolve(run(PARKED), effect(state))
