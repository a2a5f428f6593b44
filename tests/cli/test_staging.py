"""What the process of an experiment sees in the place of today's files and time."""

import subprocess
import sys

import pytest

FILES = """
import os, subprocess, sys
from pathlib import Path
from nightproof.cli import staged_files
from nightproof.errors import UsageError

folder, scratch = Path(sys.argv[1]), Path(sys.argv[2])
os.chdir(folder / "work")
try:
    staged_files.stage(
        {
            str(folder / "work" / "rates.txt"): b"yesterday",
            str(folder / "work" / "cache.txt"): None,
            str(folder / "home" / ".config" / "tool" / "set.ini"): b"[set]",
        },
        scratch,
    )
except UsageError as error:
    print("refused", error)
    sys.exit(0)
print(Path("rates.txt").read_text())
print(subprocess.run(["cat", "rates.txt"], capture_output=True, text=True).stdout)
print(sorted(path.name for path in Path().iterdir()))
print((folder / "home" / ".config" / "tool" / "set.ini").read_text())
Path("cache.txt").write_text("left by a run")
staged_files.write({str(folder / "work" / "cache.txt"): None})
print(Path("cache.txt").exists())
"""

CLOCK = """
import sys
from nightproof.cli import staged_clock
from datetime import date, datetime, UTC
import time

begin = staged_clock.stage(1_000_000_000.0, still=sys.argv[1] == "still")
from time import time as imported
begin()
assert 0 <= imported() - 1e9 < 5
assert 0 <= time.time_ns() / 1e9 - 1e9 < 5
assert datetime.now(UTC).isoformat()[:16] == "2001-09-09T01:46"
assert datetime.now().astimezone(UTC).year == date.today().year == time.localtime().tm_year == 2001
assert datetime.utcnow().year == datetime.today().year == 2001
assert time.strftime("%Y") == time.ctime()[-4:] == "2001"
assert isinstance(datetime.now(), datetime)
assert type(datetime.now()) is datetime
assert datetime(2020, 1, 1).year == time.gmtime(1.6e9).tm_year == 2020
begin()
a = [time.time() for _ in range(3)]
begin()
b = [time.time() for _ in range(3)]
print(a == b)
"""


def python(source, *words):
    """What a process prints."""
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", source, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


ENDING = """
import threading, time
threading.Thread(target=time.sleep, args=(0.2,)).start()
"""


@pytest.mark.parametrize("before", ["", ENDING], ids=["alone", "beside a thread that ends"])
def test_files_are_staged_for_programs_too(tmp_path, before):
    """Changed, hidden and new ones, in that process alone."""
    work, home, scratch = (tmp_path / name for name in ("work", "home", "scratch"))
    for folder in (work, home, scratch):
        folder.mkdir()
    (work / "rates.txt").write_text("today")
    (work / "cache.txt").write_text("cached")
    (work / "other.txt").write_text("other")
    told = python(before + FILES, tmp_path, scratch)
    if told.startswith("refused") and "Invalid argument" not in told:  # that is of threads
        pytest.skip(told)
    assert told.splitlines() == [
        "yesterday", "yesterday", "['other.txt', 'rates.txt']", "[set]", "False",
    ]  # fmt: skip
    assert (work / "rates.txt").read_text() == "today"
    assert (work / "cache.txt").read_text() == "cached"
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(("how", "repeats"), [("going", "False"), ("still", "True")])
def test_clock_is_another_one(how, repeats):
    """Everything in Python that tells the time agrees; a still one tells the same each time."""
    assert python(CLOCK, how).strip() == repeats
