"""What `import nightproof` costs, and what it drags in."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

HEAVY = (
    "temporalio psycopg starlette uvicorn jinja2 pydantic_ai obstore numpy cryptography "
    "prometheus_client opentelemetry httpx httpx2 requests sqlalchemy typer rich zstandard"
).split()
WATCHED = (
    "ssl http.client urllib.request email subprocess zoneinfo logging concurrent.futures "
    "multiprocessing sqlite3 unittest xml importlib.metadata"
).split()
FLOOR = "asyncio, apsw, pydantic; pydantic.create_model('M', n=(int, 1))"
CODE = """
import json, sys, time
started = time.perf_counter()
import {modules}
seconds = time.perf_counter() - started
print(json.dumps([seconds * 1000, sorted(sys.modules)]))
"""


def _import(modules: str) -> tuple[float, list[str]]:
    code = CODE.format(modules=modules)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    milliseconds, loaded = json.loads(done.stdout)
    return milliseconds, loaded


def seconds(work: Path, modules: str, times: int = 5) -> dict[str, Any]:  # noqa: ARG001
    """Median milliseconds of the import statement alone, in fresh processes."""
    _import(modules)
    return {"value": statistics.median(_import(modules)[0] for _ in range(times))}


def heavy(work: Path, modules: str) -> dict[str, Any]:  # noqa: ARG001
    """How many heavy packages the import loads beyond asyncio, apsw and pydantic.

    The detail names them, and costly modules of the standard library in brackets.
    """
    loaded = set(_import(modules)[1]) - set(_import(FLOOR)[1])
    found = [name for name in HEAVY if name in loaded]
    watched = [name for name in WATCHED if name in loaded]
    return {"value": len(found), "detail": ", ".join(found + [f"({name})" for name in watched])}
