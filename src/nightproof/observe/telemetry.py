"""OpenTelemetry spans: one of each attempt, and below it one of each step it executed.

Loaded only where the program has loaded OpenTelemetry's SDK; without a configured
tracer provider nothing is recorded. The span of the attempt is open while its body
runs, so spans that steps make (of HTTP or model calls) lie below it. Those of the steps
are made at its end, from what the journal has of them: nothing is done on their way.

Source: OpenTelemetry specification, trace API (timestamps are nanoseconds).
"""

from __future__ import annotations

from typing import Any, Protocol

from opentelemetry import context, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from nightproof.contract.secrets import redact
from nightproof.errors import NightproofError
from nightproof.journal.protocol import Reader
from nightproof.journal.records import Entry, RunRow
from nightproof.model.states import Kind, RunStatus
from nightproof.views.values import parsed

MOST = 1000
"""So many steps of an attempt become spans: failures first, then those that took longest."""
_TOLD = (Kind.RESULT, Kind.FAILURE, Kind.EFFECT, Kind.CHILD)
_WRONG = (RunStatus.FAILED, RunStatus.CANCELLED)
_WORDS = {Kind.RESULT: "step", Kind.FAILURE: "step", Kind.EFFECT: "effect", Kind.CHILD: "child"}


class Ended(Protocol):
    """How an attempt ended, as an engine has it."""

    @property
    def status(self) -> RunStatus: ...
    @property
    def error(self) -> BaseException | None: ...


def tracer() -> Tracer | None:
    """Where spans go; None where no tracer provider of an SDK is configured."""
    provider: Any = trace.get_tracer_provider()
    return provider.get_tracer("nightproof") if hasattr(provider, "add_span_processor") else None


class Trace:
    """The span of one attempt; made in the task that drives it.

    `started` (milliseconds since the epoch) is when the attempt began, where that was not now.
    """

    def __init__(
        self, row: RunRow, last_seq: int, tracer: Tracer, started: int | None = None
    ) -> None:
        self._row = row
        self._after = last_seq
        attributes: dict[str, Any] = {
            "nightproof.run": row.name,
            "nightproof.job": row.job,
            "nightproof.contract": row.digest,
            "nightproof.attempt": row.attempts,
            "nightproof.replicate": row.replicate,
        }
        self._tracer = tracer
        self._span: Span = tracer.start_span(
            f"run {row.job}", kind=SpanKind.INTERNAL, attributes=attributes,
            start_time=None if started is None else started * 1_000_000,
        )  # fmt: skip
        self._token = context.attach(trace.set_span_in_context(self._span))

    async def end(self, reader: Reader, outcome: Ended | None) -> None:
        """The attempt is over; `outcome` is None where it raised."""
        context.detach(self._token)
        span = self._span
        if not span.is_recording():
            return
        try:
            await self._steps(reader)
        except NightproofError as problem:
            span.add_event("steps left out", {"reason": problem.message})
        if outcome is None:
            span.set_status(Status(StatusCode.ERROR, "the attempt did not come to its end"))
        else:
            span.set_attribute("nightproof.status", str(outcome.status))
            if outcome.error is not None and outcome.status in _WRONG:
                span.set_status(Status(StatusCode.ERROR, _short(str(outcome.error))))
                span.set_attribute("error.type", type(outcome.error).__name__)
        span.end()

    async def _steps(self, reader: Reader) -> None:
        entries = await reader.entries(self._row.id, _TOLD, self._after)
        left_out = len(entries) - MOST
        if left_out > 0:
            self._span.set_attribute("nightproof.steps_left_out", left_out)
            entries.sort(key=lambda one: (one.kind != Kind.FAILURE, -one.took))
            entries = sorted(entries[:MOST], key=lambda one: one.seq)
        codes = await reader.codes({one.code for one in entries if one.code})
        below = trace.set_span_in_context(self._span)
        for one in entries:
            name = codes[one.code].name if one.code in codes else "child run"
            self._step(one, name, below)

    def _step(self, entry: Entry, name: str, below: context.Context) -> None:
        inputs = parsed(entry.inputs)
        end = entry.at * 1_000_000
        word = _WORDS[Kind(entry.kind)]
        attributes: dict[str, Any] = {"nightproof.seq": entry.seq, f"nightproof.{word}": name}
        if isinstance(inputs, dict) and inputs.get("key"):
            attributes["nightproof.key"] = str(inputs["key"])
        span = self._tracer.start_span(
            f"{word} {name}", context=below, start_time=end - entry.took * 1000,
            attributes=attributes,
        )  # fmt: skip
        if entry.kind == Kind.FAILURE:
            told = parsed(entry.output)
            if isinstance(told, dict):
                span.set_attribute("error.type", str(told.get("type")))
                span.set_status(Status(StatusCode.ERROR, _short(str(told.get("message")))))
        span.end(end_time=end)


def _short(text: str) -> str:
    text = redact(text)  # it is sent elsewhere
    return text if len(text) <= 300 else text[:299] + "…"
