"""The wire formats of OpenAI: chat completions and responses.

Source: OpenAI API reference, ``POST /v1/chat/completions``, ``POST /v1/responses``
and their error object. Responses know no seed and report no fingerprint.
"""

from __future__ import annotations

from typing import Any

from nightproof.model import clock
from nightproof.testing.models.answering import Answered, Asked, Refused

_TYPES = {
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}


def asked(body: dict[str, Any]) -> Asked:
    """The request in a body; raises Refused (400) where it names no model or message."""
    name, messages = body.get("model"), body.get("messages")
    if not isinstance(name, str) or not name:
        raise Refused(400, "you must provide a model parameter")
    if not isinstance(messages, list) or not messages:
        raise Refused(400, "missing required parameter: 'messages'")
    if body.get("stream"):
        raise Refused(400, "the model server for tests does not stream; leave out stream")
    seed = body.get("seed")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
        raise Refused(400, "invalid type for 'seed': expected an integer")
    rest = {key: value for key, value in body.items() if key not in {"model", "seed"}}
    return Asked(name, rest, "\n".join(text for one in messages for text in texts(one)), seed)


def texts(message: Any) -> list[str]:
    """The texts in a message, whose content is one text or a list of parts."""
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return [content]
    return [
        str(part["text"]) for part in content or [] if isinstance(part, dict) and "text" in part
    ]


def response(request: Asked, answered: Answered) -> dict[str, Any]:
    """The body of the answer."""
    prompt, completion = len(request.text.split()), len(answered.text.split())
    body = {
        "id": f"chatcmpl-{answered.id}",
        "object": "chat.completion",
        "created": clock.now_ms() // 1000,
        "model": answered.reported,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": answered.text, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        },
        "service_tier": "default",
        "system_fingerprint": answered.fingerprint,
    }
    if answered.reported is None:
        del body["model"]
    return body


def asked_responses(body: dict[str, Any]) -> Asked:
    """The request in a body of the responses API; raises Refused (400) without an input."""
    name, given = body.get("model"), body.get("input")
    if not isinstance(name, str) or not name:
        raise Refused(400, "missing required parameter: 'model'")
    if not given or not isinstance(given, (str, list)):
        raise Refused(400, "missing required parameter: 'input'")
    if body.get("stream") or body.get("background"):
        raise Refused(400, "the model server for tests does not stream; leave out stream")
    rest = {key: value for key, value in body.items() if key != "model"}
    parts = [str(body["instructions"])] if body.get("instructions") else []
    parts += [given] if isinstance(given, str) else [text for one in given for text in texts(one)]
    return Asked(name, rest, "\n".join(parts), None)


def answer_responses(request: Asked, answered: Answered) -> dict[str, Any]:
    """The body of an answer of the responses API."""
    prompt, output = len(request.text.split()), len(answered.text.split())
    content = {"type": "output_text", "text": answered.text, "annotations": [], "logprobs": []}
    body: dict[str, Any] = {
        "id": f"resp_{answered.id}",
        "object": "response",
        "created_at": clock.now_ms() // 1000,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": request.body.get("instructions"),
        "model": answered.reported,
        "output": [
            {
                "type": "message",
                "id": f"msg_{answered.id}",
                "status": "completed",
                "role": "assistant",
                "content": [content],
            }
        ],
        "parallel_tool_calls": True,
        "service_tier": "default",
        "temperature": request.body.get("temperature", 1.0),
        "tool_choice": "auto",
        "tools": [],
        "top_p": request.body.get("top_p", 1.0),
        "usage": {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": prompt + output,
        },
    }
    if answered.reported is None:
        del body["model"]
    return body


def error(refused: Refused) -> dict[str, Any]:
    """The body of an error."""
    known = "server_error" if refused.status >= 500 else "invalid_request_error"
    kind, code = _TYPES.get(refused.status, (known, None))
    return {"error": {"message": refused.message, "type": kind, "param": None, "code": code}}
