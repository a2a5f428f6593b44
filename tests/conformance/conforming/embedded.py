"""The embedded engine: in the test's own process, and in a real one where that is to die."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from pathlib import Path
from typing import Any

from conforming.combination import PATIENCE, Combination
from nightproof.app import App
from nightproof.durable.job import Job
from nightproof.engines.attempt import Options, Outcome
from nightproof.model.crash import FAIL_AT
from nightproof.testing.children import COMMAND


class Embedded(Combination):
    """The embedded engine on the store that NIGHTPROOF_STORE names."""

    def stop(self) -> None:
        """Nothing runs between two calls."""

    def run(self, job: Job[Any, Any], contract: Any, **how: Any) -> Outcome:
        """One attempt, in a loop of its own."""
        return asyncio.run(self._attempt(job, contract, **how))

    async def _attempt(
        self,
        job: Job[Any, Any],
        contract: Any,
        *,
        replicate: int = 0,
        **options: Any,
    ) -> Outcome:
        app = App(self.settings)
        try:
            return await app.run(job, contract, replicate=replicate, options=Options(**options))
        finally:
            await app.close()

    def crash(self, job: Job[Any, Any], contract: Any, at: str, **environ: str) -> None:
        """The command, in a process of its own."""
        ended = subprocess.run(
            [*COMMAND, "run", job.target, contract.to_json(), "--json"],
            env={**self.environ, FAIL_AT: at, **environ},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
        )
        with (self.folder / "log").open("ab") as log:
            log.write(ended.stdout + ended.stderr)
        assert ended.returncode == -signal.SIGKILL, (ended.stdout + ended.stderr).decode()

    def written(self) -> bytes:
        """The session's folder; a store elsewhere adds what is there."""
        return read_all(self.folder)


def read_all(folder: Path) -> bytes:
    """The content of every file, and of what is compressed in it."""
    import zstandard

    found = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        data = path.read_bytes()
        found.append(data)
        if path.suffix == ".zst" or data[:4] == b"\x28\xb5\x2f\xfd":
            found.append(zstandard.ZstdDecompressor().decompress(data, max_output_size=2**26))
    return b"\n".join(found)
