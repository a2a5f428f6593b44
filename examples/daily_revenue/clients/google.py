"""Google: an access token from a refresh token, and what its errors say.

Sources: Google Identity, "Using OAuth 2.0 for Web Server Applications" (refreshing);
AIP-193 (errors), google.rpc.RetryInfo.
"""

from __future__ import annotations

from typing import Any

import httpx2

from nightproof import Exhausted, Permanent, Transient, Unauthenticated
from nightproof.model import clock

from ..credentials import secret, setting

TOKEN_URL = "https://oauth2.googleapis.com/token"
SCOPES = (
    "https://www.googleapis.com/auth/admob.report "
    "https://www.googleapis.com/auth/devstorage.read_only"
)
TIMEOUT = httpx2.Timeout(120.0, connect=10.0)


async def access_token(http: httpx2.AsyncClient) -> str:
    """A token for AdMob and for Google Play's bucket, good for about an hour."""
    answer = await http.post(
        setting("GOOGLE_OAUTH_URL", TOKEN_URL),
        data={
            "grant_type": "refresh_token",
            "client_id": setting("GOOGLE_CLIENT_ID"),
            "client_secret": secret("GOOGLE_CLIENT_SECRET"),
            "refresh_token": secret("GOOGLE_REFRESH_TOKEN"),
            "scope": SCOPES,
        },
    )
    if answer.status_code in (400, 401):
        told = _json(answer)
        raise Permanent(
            f"Google refused the refresh token: {told.get('error', answer.status_code)}",
            "Grant access again, and put the new token into GOOGLE_REFRESH_TOKEN_FILE.",
        )
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def _json(answer: httpx2.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def refusal(error: dict[str, Any]) -> Exception:
    """The exception for an error object that came inside an answer."""
    code, status = error.get("code"), error.get("status", "")
    message = f"Google answered {code} {status}: {str(error.get('message', ''))[:300]}"
    wait = next(
        (
            _seconds(detail.get("retryDelay"))
            for detail in error.get("details", [])
            if str(detail.get("@type", "")).endswith("RetryInfo")
        ),
        None,
    )
    if status == "RESOURCE_EXHAUSTED" or code == 429:
        resets = None if wait is None else clock.from_ms(clock.now_ms() + int(wait * 1000))
        return Exhausted(message, resets_at=resets)
    if status == "UNAUTHENTICATED" or code == 401:
        return Unauthenticated(message)
    if status in ("UNAVAILABLE", "INTERNAL", "DEADLINE_EXCEEDED", "ABORTED", "UNKNOWN"):
        return Transient(message, retry_after=wait)
    return Permanent(message)


def _seconds(text: Any) -> float | None:
    try:
        return float(str(text).removesuffix("s"))
    except ValueError:
        return None
