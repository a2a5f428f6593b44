"""What a step has used of its quotas, where that is known only afterwards."""

from __future__ import annotations

from nightproof.durable.context import any_runtime
from nightproof.errors import MisuseError


def spend(*, tokens: float | None = None, money: float | None = None) -> None:
    """Count tokens or money that the step around the caller has used.

    They go onto those of the step's quotas that limit them, and into the run's own
    record, with the step's result: a replay costs nothing, a step that had to run
    twice has cost twice. Outside a run nothing is counted. Raises MisuseError for an
    amount that is not a number from 0 on, and in the body of a job.
    """
    amounts = {
        what: amount
        for what, amount in (("tokens", tokens), ("money", money))
        if amount is not None
    }
    for what, amount in amounts.items():
        given: object = amount
        known = isinstance(given, (int, float)) and not isinstance(given, bool)
        if not known or not 0 <= amount < float("inf"):
            raise MisuseError(f"spend({what}=...): expected a number from 0 on, got {amount!r}")
    if amounts and (found := any_runtime()) is not None:
        found.spend(amounts)
