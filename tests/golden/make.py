"""Writes the golden journal of the present schema: ``python -m tests.golden.make``.

Run it once when a schema version is released; what is there is never written again.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
from pathlib import Path

import apsw
from tests.golden.jobs import Died, Night, golden

from nightproof.app import App
from nightproof.config import Settings
from nightproof.engines.attempt import Outcome
from nightproof.journal.records import checksum
from nightproof.stores.sqlite.schema import VERSION

HERE = Path(__file__).parent


async def make(folder: Path) -> None:
    """A run that died before its last step."""
    app = App(Settings(store=f"sqlite:///{folder / 'journal.db'}", park_after=1, witness=False))
    outcome: Outcome = await app.run(golden, Night())
    row = await app.journal.find(outcome.name)
    assert row is not None
    await app.journal.send(row.id, "approved", b'"yes"')
    try:
        await app.run(golden, Night())
    except Died:
        pass
    finally:
        await app.close()


def scrub(path: Path) -> None:
    """No trace of the machine; everything in the one file."""
    db = apsw.Connection(str(path))
    db.execute(
        "UPDATE run SET target = 'jobs.py:golden', owner_host = NULL, "
        "owner_pid = NULL, owner_started = NULL"
    )
    db.execute("UPDATE attempt SET host = 'golden/boot/ns', pid = 1, pid_started = 1")
    for run, seq, fp, output in db.execute(
        "SELECT run, seq, fp, output FROM entry WHERE kind = 6"
    ).fetchall():
        data = json.dumps({**json.loads(output), "path": "/golden/report.txt"}).encode()
        db.execute(
            "UPDATE entry SET output = ?, crc = ? WHERE run = ? AND seq = ?",
            (data, checksum(fp, data, None), run, seq),
        )
    # The environment of whoever ran this is no part of a journal that is kept.
    for (output,) in db.execute("SELECT output FROM entry WHERE kind = 7").fetchall():
        note = json.loads(output)
        if note["kind"] == "snapshot":
            digest = note["items"].removeprefix("sha256:")
            db.execute("DELETE FROM blob_use WHERE digest = ?", (note["items"],))
            for blob in path.parent.rglob(f"*{digest[4:]}*"):
                blob.unlink()
            db.execute("DELETE FROM entry WHERE output = ?", (output,))
    for statement in ("PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA journal_mode=DELETE", "VACUUM"):
        db.execute(statement).fetchall()
    db.close()


def main() -> None:
    """Make it, unless it is there."""
    target = HERE / f"v{VERSION}"
    if target.exists():
        sys.exit(f"{target} is there already, and is never written again")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(make(Path(folder)))
        scrub(Path(folder) / "journal.db")
        target.mkdir()
        shutil.copy(Path(folder) / "journal.db", target / "journal.db")
        shutil.copytree(Path(folder) / "blobs", target / "blobs")
        (target / "blobs" / "lock").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
