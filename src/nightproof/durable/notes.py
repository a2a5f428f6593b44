"""What a run says about itself: measures, expectations, decisions, artifacts."""

from __future__ import annotations

from typing import Any

from nightproof.durable.context import Artifact, any_runtime, runtime
from nightproof.errors import ExpectationFailed, MisuseError


def measure(name: str, value: float) -> None:
    """Record a number about the run's output, to be compared with its job's history.

    May be called anywhere; outside a run it does nothing.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise MisuseError(f"measure('{name}', ...): expected a number, got {value!r}")
    if (found := any_runtime()) is not None:
        found.note("measure", {"name": name, "value": value})


def expect(condition: object, message: str) -> None:
    """Fail the run with `message` when `condition` is false.

    A run that did nothing is a failed run. Raises ExpectationFailed.
    """
    if not condition:
        raise ExpectationFailed(f"expectation not met: {message}")


def decide(what: str, *, because: str) -> None:
    """Record a decision of the job and its reason in the run's log."""
    if (found := any_runtime()) is not None:
        found.note("decision", {"message": what, "because": because})


async def artifact(path: str, content: str | bytes, *, media_type: str | None = None) -> Artifact:
    """Deliver a file: written whole or not at all, stamped with its sha256.

    A relative `path` lies in the run's own artifact folder; text is written as UTF-8.
    """
    data: Any = content
    if not isinstance(data, (str, bytes)):
        raise MisuseError(
            f"artifact('{path}', ...): expected text or bytes, got {type(data).__name__}"
        )
    return await runtime("artifact()").artifact(path, data, media_type)
