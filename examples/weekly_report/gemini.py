"""The Gemini API, one call: generateContent.

Source: Gemini API reference, ``models.generateContent`` (v1beta). The answer
carries ``modelVersion`` and ``responseId``; seed is best effort there.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

from nightproof.errors import Permanent, Transient

BASE_URL = "https://generativelanguage.googleapis.com"
KEY_VARIABLE = "GEMINI_API_KEY"
BASE_VARIABLE = "NIGHTPROOF_GEMINI_BASE_URL"
TIMEOUT = 60.0


@dataclass(frozen=True)
class Answer:
    """The text, with the JSON that went out and came back."""

    text: str
    request: dict[str, Any]
    response: dict[str, Any]

    @property
    def model_version(self) -> str | None:
        """What the provider says about who wrote it."""
        return self.response.get("modelVersion")


def api_key() -> str | None:
    """The configured key, or None."""
    return os.environ.get(KEY_VARIABLE, "").strip() or None


def request_body(prompt: str, temperature: float | None, seed: int | None) -> dict[str, Any]:
    """The JSON of one request; what is None is left to the provider."""
    config = {"temperature": temperature, "seed": seed, "candidateCount": 1}
    return {
        "contents": [{"role": "user", "parts": [{"text": prompt}]}],
        "generationConfig": {key: value for key, value in config.items() if value is not None},
    }


def generate(
    model: str, prompt: str, *, temperature: float | None, seed: int | None, key: str
) -> Answer:
    """Ask `model` once.

    Raises Transient where another try may help (429, 5xx, connection) and
    Permanent where it cannot; the key is in neither.
    """
    # urllib.request loads ssl and http: only a run with a model pays for that.
    import urllib.error
    import urllib.parse
    import urllib.request

    base = os.environ.get(BASE_VARIABLE, "").strip() or BASE_URL
    url = f"{base.rstrip('/')}/v1beta/models/{urllib.parse.quote(model)}:generateContent"
    body = request_body(prompt, temperature, seed)
    request = urllib.request.Request(
        url,
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "x-goog-api-key": key},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            content = response.read()
    except urllib.error.HTTPError as error:
        raise _refused(error.code, error.read(), error.headers.get("Retry-After")) from None
    except OSError as error:
        raise Transient(f"the Gemini API could not be reached: {error}") from error
    return read_answer(body, content)


def read_answer(request: dict[str, Any], content: bytes) -> Answer:
    """The answer in the bytes of a response; Permanent if there is no text in it."""
    try:
        answer = json.loads(content)
    except ValueError:
        raise Transient("the Gemini API answered 200 with something that is not JSON") from None
    candidates = answer.get("candidates") or []
    first = candidates[0] if candidates else {}
    parts = first.get("content", {}).get("parts") or []
    text = "".join(part.get("text", "") for part in parts if not part.get("thought")).strip()
    finish = first.get("finishReason")
    if not text or finish not in {None, "STOP"}:
        blocked = answer.get("promptFeedback", {}).get("blockReason")
        raise Permanent(
            f"the model gave no complete text (finishReason {finish}, blockReason {blocked})",
            f"Unset {KEY_VARIABLE} to write the narrative from the template alone.",
        )
    return Answer(text, request, answer)


def _refused(status: int, content: bytes, retry_after: str | None) -> Exception:
    """The error for an HTTP status, with the provider's own words and waits."""
    try:
        error = json.loads(content)["error"]
        said = f"{error.get('status', '')} {error.get('message', '')}".strip()
        details = error.get("details") or []
    except (ValueError, KeyError, TypeError, AttributeError):
        said, details = content[:200].decode("utf-8", "replace").strip(), []
    message = f"the Gemini API answered {status}: {said}"
    if status in {408, 429} or status >= 500:
        waits = [_seconds(one.get("retryDelay")) for one in details if isinstance(one, dict)]
        told = max([*waits, _seconds(retry_after)])
        return Transient(message, retry_after=told or None)
    hint = "Check the pinned model id." if status == 404 else f"Check {KEY_VARIABLE}."
    return Permanent(message, hint)


def _seconds(text: object) -> float:
    """``"30s"`` or ``"30"`` as seconds; 0 for anything else."""
    try:
        return max(0.0, float(str(text).removesuffix("s")))
    except ValueError:
        return 0.0
