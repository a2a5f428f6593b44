"""Who is told when a worker begins or ends a run: pings, metrics."""

from __future__ import annotations

from typing import Any, Protocol

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from nightproof.engines.temporal.messages import BEGIN, END


class Beside(Protocol):
    """Goes with the runs of a worker; must not raise, and not wait for anything."""

    def begun(self, run: str) -> None:
        """An attempt at the run has begun (not one that only goes on)."""
        ...

    def ended(self, run: str, status: str, told: str) -> None:
        """It has ended; `told` says why where it failed."""
        ...


class Telling(Interceptor):
    """Listens to the two activities between which a run is."""

    def __init__(self, beside: Beside) -> None:
        self._beside = beside

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Inbound(next, self._beside)


class _Inbound(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, beside: Beside) -> None:
        super().__init__(next)
        self._beside = beside

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        answer = await super().execute_activity(input)
        name = activity.info().activity_type
        if name == BEGIN and "run" in answer and not input.args[0].get("token"):
            self._beside.begun(answer["run"]["name"])
        elif name == END and "status" in answer and "refused" not in answer:
            error = answer.get("error") or {}
            told = f"{error.get('type')}: {error.get('message')}" if error else ""
            self._beside.ended(input.args[0]["head"]["name"], answer["status"], told)
        return answer
