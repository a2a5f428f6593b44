"""What providers' own JSON says about who answered.

Sources: the API references of Gemini (``models.generateContent``), OpenAI (chat
completions, responses) and Anthropic (messages; an entry of type ``fallback_message``
in ``usage.iterations`` says that another model answered).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NamedTuple

_EPHEMERAL = frozenset(
    "id call_id item_id tool_use_id created_at encrypted_content signature thoughtSignature "
    "thought_signature".split()
)
"""Fields of an answer that are new in every answer and say nothing."""
_USERS = frozenset(("args", "arguments", "input"))
"""Fields whose inside is the model's or the user's own."""


class Answer(NamedTuple):
    """A response, read; None for what it does not say.

    `accepted` holds the settings that the provider echoes as those it went by;
    `answer` is what was answered, without ids, times and usage.
    """

    provider: str
    reported: str | None
    fingerprint: str | None
    response_id: str | None
    accepted: dict[str, Any] | None
    answer: Any


def read(response: Mapping[str, Any]) -> Answer | None:
    """The response in one of the four formats; None where it is in none of them."""
    if "choices" in response:
        return _chat(response)
    if response.get("object") == "response":
        return _responses(response)
    if response.get("type") == "message" and "content" in response:
        return _messages(response)
    if any(name in response for name in ("candidates", "modelVersion", "model_version")):
        return _gemini(response)
    return None


def digest(value: Any) -> str:
    """``sha256:…`` over bytes, text, or the sorted JSON of anything else."""
    if isinstance(value, str):
        value = value.encode("utf-8", "replace")
    if not isinstance(value, bytes):
        # Not RFC 8785: seeds beyond 2^53 are usual in requests, and nobody else reads these.
        value = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()
    return "sha256:" + sha256(value).hexdigest()


def _chat(response: Mapping[str, Any]) -> Answer:
    choices = [_without(choice, "index", "logprobs") for choice in response["choices"] or []]
    return Answer(
        "openai",
        _text(response.get("model")),
        _text(response.get("system_fingerprint")),
        _text(response.get("id")),
        _settings(response, "service_tier"),
        lasting(choices),
    )


def _responses(response: Mapping[str, Any]) -> Answer:
    names = ("service_tier", "temperature", "top_p", "reasoning", "max_output_tokens")
    return Answer(
        "openai",
        _text(response.get("model")),
        None,
        _text(response.get("id")),
        _settings(response, *names),
        lasting({"output": response.get("output"), "status": response.get("status")}),
    )


def _messages(response: Mapping[str, Any]) -> Answer:
    usage = response.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    iterations = [one for one in usage.get("iterations") or [] if isinstance(one, Mapping)]
    stood_in = [one for one in iterations if one.get("type") == "fallback_message"]
    model = stood_in[-1].get("model") if stood_in else None
    return Answer(
        "anthropic",
        _text(model or response.get("model")),
        None,
        _text(response.get("id")),
        _settings(usage, "service_tier"),
        lasting({"content": response["content"], "stop": response.get("stop_reason")}),
    )


def _gemini(response: Mapping[str, Any]) -> Answer:
    candidates = [
        {"content": one.get("content"), "finish": one.get("finishReason", one.get("finish_reason"))}
        for one in response.get("candidates") or []
        if isinstance(one, Mapping)
    ]
    return Answer(
        "gemini",
        _text(response.get("modelVersion", response.get("model_version"))),
        None,
        _text(response.get("responseId", response.get("response_id"))),
        None,
        lasting(candidates),
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _settings(source: Mapping[str, Any], *names: str) -> dict[str, Any] | None:
    return {name: source[name] for name in names if source.get(name) is not None} or None


def _without(value: Any, *names: str) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {key: item for key, item in value.items() if key not in names}


def lasting(value: Any) -> Any:
    """An answer, or a part of it, without what is new in every answer, and without nulls."""
    if isinstance(value, Mapping):
        return {
            key: item if key in _USERS else lasting(item)
            for key, item in value.items()
            if key not in _EPHEMERAL and item is not None
        }
    if isinstance(value, (list, tuple)):
        return [lasting(item) for item in value]
    return value
