"""``served(...)``: which model answered, as far as its provider says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from nightproof.contract.pins import (
    ModelPin,
    Pinned,
    Status,
    bare,
    pin_for,
    pins_of,
    status_of,
)
from nightproof.durable.context import Runtime, Scope, current
from nightproof.errors import MisuseError, ModelMismatch
from nightproof.provenance.served import KIND, Served
from nightproof.provenance.wire import digest, read


class _Recorder:
    """Record which model served a request: call it in any step, effect or job's body.

    ``served(requested=..., reported=...)`` takes what the provider said, in words;
    :meth:`from_response` reads it from the provider's own JSON. Both return the
    status: "matched", "mismatched", "alias echoed" (the provider repeats the alias,
    so the version is unverified) or "not reported". Outside a run they record
    nothing. Raises ModelMismatch where another model answered than the pin names
    and the pin says ``onMismatch: "halt"``.
    """

    def __call__(
        self,
        *,
        requested: str,
        reported: str | None = None,
        fingerprint: str | None = None,
        provider: str = "",
        accepted: Any = None,
        response_id: str | None = None,
        request: Any = None,
        response: Any = None,
        pin: ModelPin | None = None,
    ) -> Status:
        """Record an answer in words.

        `requested` is the model's name in the request, `reported` the one in the
        response; `accepted` what the provider says it went by (settings it echoes).
        Of `request` and `response` (bytes, text or JSON data) only digests are kept; a
        response in a format that :meth:`from_response` knows counts without ids and times.
        `pin` is the contract's; by default the one that names `requested`.
        """
        named: Any = requested
        if not isinstance(named, str) or not named:
            raise MisuseError(
                f"served(requested={requested!r}): this is not a model's name",
                "Give the name that stood in the request.",
            )
        found = current.get()
        scope = found if isinstance(found, Scope) else None
        runtime: Runtime | None = scope.runtime if scope else found  # type: ignore[assignment]
        pinned = _pin(requested, pin, runtime)
        status = status_of(requested, reported, pinned)
        record = Served(
            scope.name if scope else "",
            scope.fp.hex() if scope else "",
            provider,
            requested,
            accepted,
            reported or None,
            fingerprint or None,
            response_id or None,
            status,
            None if request is None else digest(request),
            None if response is None else digest(_answer(response)),
            pinned.id if pinned else None,
        )
        if runtime is not None:
            runtime.note(KIND, record.note())
        if status == "mismatched" and pinned is not None and pinned.halt:
            raise _mismatch(record, pinned)
        return status

    def from_response(
        self,
        request: Any,
        response: Any,
        *,
        requested: str | None = None,
        provider: str | None = None,
        pin: ModelPin | None = None,
    ) -> Status:
        """Record an answer from the JSON that went over the wire.

        Knows OpenAI's chat completions and responses, Gemini's generateContent and
        Anthropic's messages, as JSON text or bytes, as mappings, or as the objects of
        their SDKs. `requested` is needed where the request does not name its model
        (Gemini names it in the address). `provider` names another one that speaks
        one of these formats. Raises MisuseError for any other response.
        """
        asked, answered = _document(request, "request"), _document(response, "response")
        found = read(answered)
        if found is None:
            raise MisuseError(
                "served.from_response(): the response is in no format that is known here",
                "Write served(requested=..., reported=...) with what the provider says.",
            )
        name = requested or asked.get("model")
        if not isinstance(name, str) or not name:
            raise MisuseError(
                "served.from_response(): the request does not name its model",
                "Write served.from_response(..., requested=...) with the name in the address.",
            )
        return self(
            requested=name,
            reported=found.reported,
            fingerprint=found.fingerprint,
            provider=provider or found.provider,
            accepted=found.accepted,
            response_id=found.response_id,
            request=asked,
            response=found.answer,
            pin=pin,
        )


served = _Recorder()
"""Record which model served a request; see its ``__call__`` and ``from_response``."""


def _answer(response: Any) -> Any:
    found = read(response) if isinstance(response, Mapping) else None
    return response if found is None else found.answer


def _document(given: Any, what: str) -> Mapping[str, Any]:
    if hasattr(given, "model_dump"):
        given = given.model_dump(mode="json", by_alias=True)
    if isinstance(given, (str, bytes)):
        try:
            given = json.loads(given)
        except ValueError:
            given = None
    if not isinstance(given, Mapping):
        raise MisuseError(
            f"served.from_response(): the {what} is not a JSON object",
            f"Give the body of the {what}: its bytes, or what json.loads made of them.",
        )
    return given


@lru_cache(maxsize=64)
def _pins(contract: bytes) -> list[Pinned]:
    return pins_of(json.loads(contract))


def _pin(requested: str, pin: ModelPin | None, runtime: Runtime | None) -> Pinned | None:
    if pin is not None:
        return Pinned(pin.id, bare(pin.pinned_version), pin.on_mismatch == "halt")
    return None if runtime is None else pin_for(requested, _pins(runtime.contract))


def _mismatch(record: Served, pin: Pinned) -> ModelMismatch:
    return ModelMismatch(
        f"the contract pins model '{pin.id}' to {pin.version}, but {record.reported} answered "
        f"(asked for: {record.requested})",
        "Pin the version that the provider serves now (a new contract), or take "
        '"onMismatch": "halt" out of the pin to go on and have it recorded.',
    )
