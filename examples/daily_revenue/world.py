"""What a drill of the pipeline acts on: a simulator and a schema of Postgres for every case.

::

    nightproof drill job.py:daily_revenue contract.json --outside world.py:world

``DATABASE_URL`` names a Postgres in which schemas can be made and dropped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from nightproof.testing.outside import Outside

from .simulator import Simulator

ROWS = "SELECT date::text, country, app, ads_micros, installs FROM daily_revenue ORDER BY 1, 2, 3"


@contextmanager
def world(folder: Path) -> Iterator[Outside]:
    """One case's own; what has arrived there in the end is compared."""
    url, schema = os.environ["DATABASE_URL"], f"drill_{uuid4().hex[:12]}"
    own = f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3D{schema}"
    with Simulator() as sim, psycopg.connect(url, autocommit=True) as admin:
        # The same first timestamp in every case: it is part of the result.
        sim.world.slack_epoch = 1_790_000_000.0
        admin.execute(f"CREATE SCHEMA {schema}")
        try:
            environ = {**sim.environment(folder / "secrets"), "DATABASE_URL": own}
            yield Outside(environ, lambda: _arrived(sim, own))
        finally:
            admin.execute(f"DROP SCHEMA {schema} CASCADE")


def _arrived(sim: Simulator, url: str) -> dict[str, Any]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(ROWS).fetchall()
    acts = sim.counts()["acts"]
    return {
        "messages": [one["message"]["text"] for one in sim.messages()],
        "posts": {key: n for key, n in acts.items() if key.startswith("slack/")},
        "rows": [list(row) for row in rows],
    }
