"""The same job on DBOS: `python dbos_job.py DIR N`; recovers what the last process left."""

import sqlite3
import sys
from pathlib import Path

from dbos import DBOS, SetWorkflowID
from mark import mark_or_die

if not Path("dbos.sqlite").exists():
    connection = sqlite3.connect("dbos.sqlite")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
DBOS(
    config={
        "name": "bench",
        "system_database_url": "sqlite:///dbos.sqlite",
        "log_level": "ERROR",
        "application_version": "bench",
    }
)


@DBOS.step()
def one(i: int) -> int:
    mark_or_die(i)
    return i


@DBOS.workflow()
def start(n: int) -> int:
    return sum(one(i) for i in range(n))


DBOS.launch()
with SetWorkflowID(f"run-{sys.argv[2]}"):
    DBOS.start_workflow(start, int(sys.argv[2])).get_result()
DBOS.destroy()
