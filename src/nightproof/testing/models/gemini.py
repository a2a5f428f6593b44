"""The wire format of Gemini's ``generateContent``.

Source: Gemini API reference (v1beta), ``models.generateContent``; errors are
google.rpc.Status with RetryInfo.
"""

from __future__ import annotations

from typing import Any

from nightproof.testing.models.answering import Answered, Asked, Refused

_STATUS = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}  # fmt: skip


def asked(name: str, body: dict[str, Any]) -> Asked:
    """The request in a body; raises Refused (400) where it holds no contents."""
    contents = body.get("contents")
    if not isinstance(contents, list) or not contents:
        raise Refused(400, "contents is not specified")
    config = dict(body.get("generationConfig") or {})
    seed = config.pop("seed", None)
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
        raise Refused(400, "generationConfig.seed is not an integer")
    rest = {**body, "generationConfig": config}
    system = body.get("systemInstruction") or body.get("system_instruction")
    parts = [*_texts(system), *(text for content in contents for text in _texts(content))]
    return Asked(name, rest, "\n".join(parts), seed)


def _texts(content: Any) -> list[str]:
    parts = content.get("parts") if isinstance(content, dict) else None
    if isinstance(parts, dict):
        parts = [parts]
    return [str(part["text"]) for part in parts or [] if isinstance(part, dict) and "text" in part]


def response(request: Asked, answered: Answered) -> dict[str, Any]:
    """The body of the answer."""
    prompt, candidates = len(request.text.split()), len(answered.text.split())
    body: dict[str, Any] = {
        "candidates": [
            {
                "content": {"parts": [{"text": answered.text}], "role": "model"},
                "finishReason": "STOP",
                "index": 0,
            }
        ],
        "usageMetadata": {
            "promptTokenCount": prompt,
            "candidatesTokenCount": candidates,
            "totalTokenCount": prompt + candidates,
        },
        "responseId": answered.id,
    }
    if answered.reported is not None:
        body["modelVersion"] = answered.reported
    return body


def error(refused: Refused) -> dict[str, Any]:
    """The body of an error."""
    status = _STATUS.get(refused.status, "UNKNOWN")
    found: dict[str, Any] = {"code": refused.status, "message": refused.message, "status": status}
    if refused.retry_after is not None:
        info = "type.googleapis.com/google.rpc.RetryInfo"
        found["details"] = [{"@type": info, "retryDelay": f"{refused.retry_after:g}s"}]
    return {"error": found}
