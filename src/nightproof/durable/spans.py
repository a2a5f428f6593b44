"""GenAI spans of OpenTelemetry: who answered, without a call of ``served``.

Loaded only where the program has loaded OpenTelemetry's SDK. The global tracer
provider is watched from a run's first step on; for another one, add the processor
yourself: ``provider.add_span_processor(ServedSpans())``.

Source: OpenTelemetry semantic conventions for generative AI, client inference spans;
the names that they replaced (``gen_ai.system``, ``gen_ai.openai.…``) are read too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextvars import copy_context
from typing import Any, cast
from weakref import WeakKeyDictionary, WeakSet

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from nightproof.durable.context import any_runtime, current
from nightproof.durable.served import served
from nightproof.provenance.wire import lasting

_INFERENCE = frozenset({"chat", "embeddings", "generate_content", "text_completion"})
"""Operations of one model; spans of agents, tools and workflows have such spans inside."""
_watched: WeakSet[Any] = WeakSet()
_heard: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()
"""Responses on record for each attempt: two instrumentations may tell of the same one."""


def watch() -> None:
    """Record the spans of the global tracer provider from now on, if it takes processors."""
    unheard = copy_context()  # OpenTelemetry reads a variable: the job does not
    unheard.run(current.set, cast("Any", watch))
    provider: Any = unheard.run(trace.get_tracer_provider)
    if provider not in _watched and hasattr(provider, "add_span_processor"):
        _watched.add(provider)
        provider.add_span_processor(ServedSpans())


class ServedSpans(SpanProcessor):
    """Records the model of every inference span that ends inside a run."""

    def on_end(self, span: ReadableSpan) -> None:
        """Record one span; raises ModelMismatch (out of ``span.end()``) where a pin halts."""
        said = span.attributes or {}
        runtime = any_runtime()
        if runtime is None or said.get("gen_ai.operation.name", "chat") not in _INFERENCE:
            return
        requested, reported = said.get("gen_ai.request.model"), said.get("gen_ai.response.model")
        failed = "error.type" in said and not reported
        if failed or not isinstance(requested, str) or not requested:
            return
        response_id = _text(said, "gen_ai.response.id")
        heard = _heard.setdefault(runtime, set())
        if response_id in heard:
            return
        if response_id:
            heard.add(response_id)
        served(
            requested=requested,
            reported=_text(said, "gen_ai.response.model"),
            fingerprint=_text(
                said,
                "openai.response.system_fingerprint",
                "gen_ai.openai.response.system_fingerprint",
            ),
            provider=_text(said, "gen_ai.provider.name", "gen_ai.system") or "",
            accepted=_accepted(said),
            response_id=response_id,
            request=_request(said),
            response=_response(said),
        )


def _text(said: Mapping[str, Any], *names: str) -> str | None:
    values = (said.get(name) for name in names)
    return next((value for value in values if isinstance(value, str) and value), None)


def _accepted(said: Mapping[str, Any]) -> dict[str, str] | None:
    tier = _text(said, "openai.response.service_tier", "gen_ai.openai.response.service_tier")
    return {"service_tier": tier} if tier else None


def _request(said: Mapping[str, Any]) -> Any:
    """What was asked; None where the messages are not in the span (they are opt-in)."""
    if "gen_ai.input.messages" not in said:
        return None
    names = ("gen_ai.input.messages", "gen_ai.system_instructions", "gen_ai.tool.definitions")
    return {
        name: _parsed(value)
        for name, value in said.items()
        if name in names or name.startswith("gen_ai.request.")
    }


def _response(said: Mapping[str, Any]) -> Any:
    found = said.get("gen_ai.output.messages")
    return None if found is None else lasting(_parsed(found))


def _parsed(value: Any) -> Any:
    """Messages are JSON in a text, since attributes of spans are flat."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return list(value) if isinstance(value, tuple) else value
