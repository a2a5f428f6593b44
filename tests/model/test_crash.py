"""Crash points: inert by default, and a real kill -9 where one is asked for."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nightproof.errors import ConfigError
from nightproof.model import crash

PROGRAM = """
import sys
from nightproof.model import crash
crash.arm_from_environment()
def reach(point, detail=""):
    if crash.armed:
        crash.hit(point, detail)
    print(point, detail, flush=True)
reach("step:before", "load")
reach("step:mid", "load")
reach("step:after", "load")
for key in ("US", "JP", "DE"):
    reach("item:before", f"fetch[{key}]")
    reach("item:after", f"fetch[{key}]")
for moment in ("before", "intend", "act", "confirm"):
    reach(f"effect:{moment}", "post")
reach("complete:before", "night")
reach("complete:after", "night")
"""


@pytest.fixture(autouse=True)
def inert() -> Iterator[None]:
    """Leave no point armed."""
    yield
    crash.disarm()


def run(**environ: str) -> tuple[int, list[str]]:
    """Exit code and printed points of PROGRAM in a real process."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PYTHONPATH": ":".join(sys.path), **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in ran.stderr, ran.stderr
    return ran.returncode, ran.stdout.split("\n")[:-1]


def test_points_are_inert_without_the_variables() -> None:
    """Nothing is armed by import, nor by an environment that asks for nothing."""
    assert crash.armed is False
    crash.arm_from_environment({})
    assert crash.armed is False


@pytest.mark.parametrize(
    ("fail_at", "last"),
    [
        ("load:before", None),
        ("load:mid", "step:before load"),
        ("load:after", "step:mid load"),
        ("fetch[JP]:before", "item:after fetch[US]"),
        ("item fetch:after#2", "item:before fetch[JP]"),
        ("fetch:before", "step:after load"),
        ("fetch:after#3", "item:before fetch[DE]"),
        ("item:before#3", "item:after fetch[JP]"),
        ("post:before", "item:after fetch[DE]"),
        ("post:intend", "effect:before post"),
        ("effect post:act", "effect:intend post"),
        ("post:mid", "effect:intend post"),
        ("post:after", "effect:act post"),
        ("complete:before", "effect:confirm post"),
        ("step:before#1", None),
    ],
)
def test_the_process_is_killed_at_the_point(fail_at: str, last: str | None) -> None:
    """SIGKILL, at that point and not one later: what came before was printed."""
    code, printed = run(NIGHTPROOF_FAIL_AT=fail_at)
    assert code == -signal.SIGKILL
    assert (printed[-1].strip() if printed else None) == last


@pytest.mark.parametrize(
    "fail_at",
    ["load:before#2", "step fetch:before", "other:after", "night:after", "fetch[FR]:after"],
)
def test_a_point_that_is_not_reached_kills_nobody(fail_at: str) -> None:
    """A name, a key or a count that does not occur leaves the process alone."""
    code, printed = run(NIGHTPROOF_FAIL_AT=fail_at)
    assert code == 0
    assert printed[-1] == "complete:after night"


def test_a_trace_enumerates_the_points_and_each_can_be_failed_at(tmp_path: Path) -> None:
    """Every line of a trace becomes a fail-at that dies exactly there."""
    trace = tmp_path / "trace"
    assert run(NIGHTPROOF_CRASH_TRACE=str(trace))[0] == 0
    points = [json.loads(line) for line in trace.read_text().splitlines()]
    assert len(points) == 15
    assert points[3] == {"point": "item:before", "detail": "fetch[US]", "n": 1}
    for index in (0, 6, 10, 14):
        code, printed = run(NIGHTPROOF_FAIL_AT=crash.exactly(**points[index]))
        assert (code, len(printed)) == (-signal.SIGKILL, index)


def test_the_trace_holds_the_point_that_killed(tmp_path: Path) -> None:
    """The line is written before the process dies, and a second process appends."""
    trace = tmp_path / "trace"
    for _ in range(2):
        run(NIGHTPROOF_FAIL_AT="load:mid", NIGHTPROOF_CRASH_TRACE=str(trace))
    points = [json.loads(line)["point"] for line in trace.read_text().splitlines()]
    assert points == ["step:before", "step:mid"] * 2


@pytest.mark.parametrize(
    "text",
    [
        "load",
        ":before",
        "load:",
        "load:during",
        "load:before#0",
        "load:before#x",
        "load:before#",
        "load:before#-1",
        "step load:act",
        "complete:mid",
        "batch:mid",
        "artifact a.md:act",
    ],
)
def test_nonsense_is_refused(text: str) -> None:
    """A fail-at without meaning is an error that repeats it, not a point never reached."""
    with pytest.raises(ConfigError, match="NIGHTPROOF_FAIL_AT=") as caught:
        crash.arm_from_environment({"NIGHTPROOF_FAIL_AT": text})
    assert text in caught.value.message
    assert crash.armed is False


def test_a_key_may_hold_anything() -> None:
    """Colons, brackets and hashes in an item's key do not confuse the grammar."""
    key = "fetch[a:b#2 [x]]"
    again = crash.parse(crash.exactly("item:after", key, 3))
    assert again == crash.FailAt("item", key, "after", 3)
    assert again.matches("item:after", key)
    assert not again.matches("item:after", "fetch[a]")


def test_a_step_may_be_called_like_a_place() -> None:
    """`step step:before` is the step named step, and no other."""
    found = crash.parse("step step:before")
    assert found.matches("step:before", "step")
    assert not found.matches("step:before", "load")


def test_batches_are_counted_and_never_meant_by_a_bare_name() -> None:
    """`batch:after#3` is the third commit; a step called batch is another thing."""
    assert crash.parse("batch:after#3") == crash.FailAt("batch", "", "after", 3)
    assert not crash.parse("load:after").matches("batch:after", "")
    assert crash.parse(crash.exactly("batch:before", "", 2)).matches("batch:before", "")


def test_a_lazy_point_says_so_in_the_trace(tmp_path: Path) -> None:
    """What a pure step has recorded may be lost: the trace tells it apart."""
    crash.arm_from_environment({"NIGHTPROOF_CRASH_TRACE": str(tmp_path / "trace")})
    crash.hit("step:after", "sum", lazy=True)
    crash.hit("step:after", "load")
    lines = [json.loads(line) for line in (tmp_path / "trace").read_text().splitlines()]
    assert [line.get("lazy", False) for line in lines] == [True, False]


def test_acts_are_counted_only_where_a_drill_asks(tmp_path: Path) -> None:
    """One line an act in the ledger, none without one."""
    crash.acted("post", "post/1", "hold", "abc", b"\x01", b"7")
    crash.arm_from_environment({"NIGHTPROOF_DRILL_LEDGER": str(tmp_path / "ledger")})
    assert crash.armed
    crash.acted("post", "post/1", "hold", "abc", b"\x01", b'{"id":7}')
    (line,) = (tmp_path / "ledger").read_text().splitlines()
    assert json.loads(line) == {
        "effect": "post",
        "key": "post/1",
        "policy": "hold",
        "idempotencyKey": "abc",
        "digest": "01",
        "output": '{"id":7}',
    }


@pytest.mark.parametrize("variable", ["NIGHTPROOF_CRASH_TRACE", "NIGHTPROOF_DRILL_LEDGER"])
def test_an_unwritable_trace_is_a_clear_error(tmp_path: Path, variable: str) -> None:
    """The error names the variable and the path."""
    path = str(tmp_path / "no" / "trace")
    with pytest.raises(ConfigError, match=f"{variable}="):
        crash.arm_from_environment({variable: path})
