"""Reading schedules in a child process: a server imports nobody's code."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Sequence
from pathlib import Path

from nightproof.errors import TargetError
from nightproof.serving.children import command
from nightproof.serving.plan import Planned, planned

PATIENCE_SECONDS = 120.0


class Targets:
    """The schedules of some targets; `files` are those whose change is noticed."""

    def __init__(self, targets: Sequence[str], files: Sequence[Path]) -> None:
        self._targets = list(targets)
        self._files = files
        self._stamps = self._stamped()
        self.again = False
        """Set to read them again at the next round."""

    def changed(self) -> bool:
        """See :class:`nightproof.serving.server.Source`."""
        stamps = self._stamped()
        if stamps == self._stamps and not self.again:
            return False
        self._stamps, self.again = stamps, False
        return True

    def _stamped(self) -> list[tuple[int, int] | None]:
        return [_stamp(file) for file in self._files]

    async def read(self) -> list[Planned]:
        """See :class:`nightproof.serving.server.Source`. Raises TargetError."""
        if not self._targets:
            return []
        process = await asyncio.create_subprocess_exec(
            *command(), "schedule", "show", *self._targets, "--json", "--no-deployed",
            stdin=DEVNULL, stdout=PIPE, stderr=PIPE, start_new_session=True,
        )  # fmt: skip
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                out, err = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise TargetError(
                f"the schedules of {', '.join(self._targets)} could not be read within "
                f"{PATIENCE_SECONDS:.0f} s",
                "Importing a target must not wait for anything.",
            ) from None
        if process.returncode:
            told = err.decode("utf-8", "replace").strip().removeprefix("nightproof: ")
            message, _, hint = told.partition("\n")
            raise TargetError(message or "the schedules could not be read", hint.strip())
        return [planned(one) for one in json.loads(out)["schedules"]]


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
