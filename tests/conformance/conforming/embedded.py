"""The embedded engine: in the test's own process, and in a real one where that is to die."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conforming.combination import PATIENCE, Combination
from conforming.zygote import RUNS, Zygote
from nightproof.app import App
from nightproof.durable.job import Job
from nightproof.engines.attempt import Options, Outcome
from nightproof.model import clock
from nightproof.model.crash import FAIL_AT


class Embedded(Combination):
    """The embedded engine on the store that NIGHTPROOF_STORE names."""

    _zygote: Zygote | None = None
    _numbers = itertools.count(1)

    def stop(self) -> None:
        """Nothing runs between two calls."""
        if self._zygote is not None:
            self._zygote.close()

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
        processes, pid, log = self._started(job, contract, {FAIL_AT: at, **environ})
        code = processes.wait(pid, PATIENCE)
        assert code == -signal.SIGKILL, f"{at} was not reached (exit {code}): {log.read_text()}"

    def _started(
        self, job: Job[Any, Any], contract: Any, environ: dict[str, str]
    ) -> tuple[Zygote, int, Path]:
        if self._zygote is None:
            self._zygote = Zygote(self.environ, self.folder / "log", RUNS)
        log = self.folder / f"process-{next(self._numbers)}"
        asked = ["run", job.target, contract.to_json(), "--json"]
        return self._zygote, self._zygote.start(asked, self.environ | environ, log), log

    def freeze(
        self, job: Job[Any, Any], contract: Any, when: Callable[[], object]
    ) -> Callable[[], None]:
        """The command, with a lease of a second."""
        self.environ["NIGHTPROOF_LEASE"] = "1"
        processes, pid, log = self._started(job, contract, {})
        self.until(when)
        os.kill(pid, signal.SIGSTOP)
        clock.block(1.2)

        def thaw() -> None:
            del self.environ["NIGHTPROOF_LEASE"]
            os.kill(pid, signal.SIGCONT)
            assert processes.wait(pid, PATIENCE) == 1, log.read_text()
            assert "LeaseLost" in log.read_text()

        return thaw

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
