"""The wire format of Anthropic's messages.

Source: Anthropic API reference, ``POST /v1/messages``; a message that a fallback
model completed has an entry of type ``fallback_message`` in ``usage.iterations``.
"""

from __future__ import annotations

from typing import Any

from nightproof.testing.models.answering import Answered, Asked, Refused
from nightproof.testing.models.openai import texts

_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 403: "permission_error",
    404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error",
    529: "overloaded_error",
}  # fmt: skip


def asked(body: dict[str, Any]) -> Asked:
    """The request in a body; raises Refused (400) where it names no model or message."""
    name, messages = body.get("model"), body.get("messages")
    if not isinstance(name, str) or not name:
        raise Refused(400, "model: Field required")
    if not isinstance(messages, list) or not messages:
        raise Refused(400, "messages: Field required")
    if not isinstance(body.get("max_tokens"), int):
        raise Refused(400, "max_tokens: Field required")
    if body.get("stream"):
        raise Refused(400, "the model server for tests does not stream; leave out stream")
    rest = {key: value for key, value in body.items() if key != "model"}
    parts = [*texts({"content": body.get("system")})]
    parts += [text for one in messages for text in texts(one)]
    return Asked(name, rest, "\n".join(parts), None)


def response(request: Asked, answered: Answered) -> dict[str, Any]:
    """The body of the answer."""
    usage = {
        "input_tokens": len(request.text.split()),
        "output_tokens": len(answered.text.split()),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
    }
    iterations = [{"type": "message", "model": answered.reported, **usage}]
    if answered.fallback:
        iterations[0]["type"] = "fallback_message"
    body: dict[str, Any] = {
        "id": f"msg_{answered.id}",
        "type": "message",
        "role": "assistant",
        "model": answered.reported,
        "content": [{"type": "text", "text": answered.text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {**usage, "service_tier": "standard", "iterations": iterations},
    }
    if answered.reported is None:
        del body["model"], body["usage"]["iterations"]
    return body


def error(refused: Refused) -> dict[str, Any]:
    """The body of an error."""
    kind = _TYPES.get(refused.status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": refused.message}}
