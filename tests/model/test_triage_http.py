"""Triage of HTTP: statuses, waits that servers tell, bodies of Google, Apple and model providers."""

from __future__ import annotations

import socket
import urllib.error
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import Message
from typing import Any

import pytest
from tests.model.raised import NOW, RETRY_30, E, P, Still, T, U, google, http, make, reading

from nightproof.model import clock
from nightproof.model.triage import Kind, triage


@pytest.fixture(autouse=True)
def still() -> Iterator[None]:
    """Waits are counted from NOW."""
    with clock.use(Still()):
        yield


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (307, (P, "unknown")),
        (400, (P, "no")),
        (401, (U, "no")),
        (402, (P, "no")),
        (403, (P, "no")),
        (404, (P, "no")),
        (408, (T, "no")),
        (409, (P, "unknown")),
        (412, (P, "no")),
        (422, (P, "no")),
        (425, (T, "no")),
        (429, (T, "no")),
        (499, (T, "unknown")),
        (500, (T, "unknown")),
        (501, (P, "unknown")),
        (502, (T, "unknown")),
        (503, (T, "unknown")),
        (504, (T, "unknown")),
        (529, (T, "unknown")),
    ],
)
def test_http_statuses(status: int, expected: tuple[Kind, str]) -> None:
    """The status alone decides where nothing else is said."""
    assert reading(http(status)) == expected
    aiohttp = make("aiohttp.client_exceptions.ClientResponseError", status=status, headers=None)
    assert reading(aiohttp) == expected
    own = make("myproject.ApiError", status_code=status)
    assert reading(own) == expected


@pytest.mark.parametrize(
    "date", ["Mon, 15 Jun 2026 12:00:30 GMT", "Mon, 15 Jun 2026 12:00:30 -0000"]
)
def test_retry_after_is_a_minimum_in_both_forms(date: str) -> None:
    """Seconds and HTTP dates; a date in the past asks for no wait."""
    assert triage(http(503, retry_after="30")).retry_after == 30
    assert triage(http(429, Retry_After="1.5")).retry_after == 1.5
    assert triage(http(429, retry_after=date)).retry_after == 30
    assert triage(http(429, retry_after="Mon, 15 Jun 2026 11:00:00 GMT")).retry_after == 0
    assert triage(http(429, retry_after_ms="250")).retry_after == 0.25


@pytest.mark.parametrize("nonsense", ["soon", "", "-5", "nan", "1e999", "1.2.3", "Mon, 99 Foo"])
def test_a_retry_after_of_nonsense_is_ignored(nonsense: str) -> None:
    """A broken header neither fails nor parks anything."""
    found = triage(http(429, retry_after=nonsense))
    assert (found.kind, found.retry_after or 0) == (T, 0)


def test_a_long_wait_is_a_used_up_quota() -> None:
    """Over a minute, the quota is parked until the time the server named."""
    found = triage(http(429, retry_after="3600"))
    assert (found.kind, found.retry_after) == (E, 3600)
    assert found.resets_at == NOW + timedelta(hours=1)
    assert triage(http(429, retry_after="60")).kind is T
    assert triage(http(429, retry_after="9" * 30)).kind is E


def test_reset_headers_count_where_nothing_remains() -> None:
    """GitHub's epoch and others' seconds; with calls left they mean nothing."""
    epoch = str(int(NOW.timestamp()) + 900)
    github = http(403, x_ratelimit_remaining="0", x_ratelimit_reset=epoch)
    assert (triage(github).kind, triage(github).resets_at) == (E, NOW + timedelta(minutes=15))
    assert triage(http(429, x_ratelimit_remaining="0", x_ratelimit_reset="20")).retry_after == 20
    left = http(403, x_ratelimit_remaining="7", x_ratelimit_reset=epoch)
    assert triage(left).kind is P


@pytest.mark.parametrize("streamed", [False, True])
def test_google_errors_alone_and_in_a_streamed_array(streamed: bool) -> None:
    """RetryInfo is found in an object and in an array of rows."""
    body = google(429, "RESOURCE_EXHAUSTED", RETRY_30)
    found = triage(http(429, [{"header": {}}, {"row": {}}, body] if streamed else body))
    assert (found.kind, found.retry_after, found.happened) == (T, 30, "no")
    assert "RESOURCE_EXHAUSTED" in found.reason


def test_the_longer_of_two_minimums_counts() -> None:
    """Retry-After and RetryInfo are both minimums."""
    body = google(429, "RESOURCE_EXHAUSTED", RETRY_30)
    assert triage(http(429, body, retry_after="45")).retry_after == 45
    assert triage(http(429, body, retry_after="5")).retry_after == 30


def test_a_google_429_needs_no_details() -> None:
    """AdMob's per-minute limit without RetryInfo is transient."""
    message = "Quota exceeded for quota metric 'Reporting read requests' and limit 'x per minute'"
    found = triage(http(429, google(429, "RESOURCE_EXHAUSTED", message=message)))
    assert (found.kind, found.retry_after, found.resets_at) == (T, None, None)


@pytest.mark.parametrize(
    "detail",
    [
        {"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},
        {"violations": [{"subject": "project:1", "description": "Daily limit reached"}]},
    ],
)
def test_googles_daily_quota_is_back_at_midnight_pacific(detail: Any) -> None:
    """Even where a RetryInfo of 30 s comes with it, as Gemini does."""
    detail["@type"] = "type.googleapis.com/google.rpc.QuotaFailure"
    found = triage(http(429, google(429, "RESOURCE_EXHAUSTED", detail, RETRY_30)))
    assert (found.kind, found.retry_after) == (E, 30)
    assert found.resets_at == datetime(2026, 6, 16, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("rateLimitExceeded", T),
        ("userRateLimitExceeded", T),
        ("dailyLimitExceeded", E),
        ("forbidden", P),
    ],
)
def test_a_403_can_be_a_rate_limit(reason: str, kind: Kind) -> None:
    """Google's older APIs say 403 and put the truth in errors[].reason."""
    body = {"error": {"code": 403, "message": "no", "errors": [{"reason": reason}]}}
    assert triage(http(403, body)).kind is kind


def test_statuses_of_google_rpc() -> None:
    """ABORTED may be tried again and was not done; ALREADY_EXISTS may not, and perhaps was."""
    assert reading(http(409, google(409, "ABORTED"))) == (T, "no")
    assert reading(http(409, google(409, "ALREADY_EXISTS"))) == (P, "unknown")
    assert reading(http(400, google(400, "FAILED_PRECONDITION"))) == (P, "no")
    assert reading(http(400, {"error": "invalid_grant"})) == (U, "no")


def test_app_store_connect() -> None:
    """A random 401, the hourly limit, and the two meanings of 404."""

    def body(code: str, detail: str) -> Any:
        return {"errors": [{"status": "4xx", "code": code, "title": "t", "detail": detail}]}

    assert triage(http(401, body("NOT_AUTHORIZED", "Provide a token"))).kind is U
    later = body("NOT_FOUND", "Report is not available yet. Daily reports appear by 8 am")
    assert reading(http(404, later)) == (T, "no")
    assert triage(http(404, body("NOT_FOUND", "There were no sales for the date"))).kind is P
    assert triage(http(410, body("GONE", "no longer kept"))).kind is P
    limit = body("RATE_LIMIT_EXCEEDED", "too many")
    spent = triage(http(429, limit, x_rate_limit="user-hour-lim:3500;user-hour-rem:0;"))
    assert (spent.kind, spent.resets_at) == (E, NOW + timedelta(hours=1))
    assert triage(http(429, limit, x_rate_limit="user-hour-lim:3500;user-hour-rem:50;")).kind is T


def test_model_providers() -> None:
    """A spent budget is exhausted without a reset; clients that retry by themselves are not a no."""
    body = {"message": "You exceeded your current quota", "code": "insufficient_quota"}
    openai = make("openai.RateLimitError", status_code=429, body=body, response=None)
    found = triage(openai)
    assert (found.kind, found.resets_at, found.happened) == (E, None, "unknown")
    assert triage(make("anthropic.OverloadedError", status_code=529)).kind is T


def test_a_body_that_was_not_read_stays_unread() -> None:
    """Triage neither reads a stream nor trips over a property that raises."""

    class Unread:
        status_code = 503
        headers = None

        @property
        def _content(self) -> bytes:
            raise RuntimeError("not read")

    assert triage(make("httpx.HTTPStatusError", response=Unread())).kind is T


def test_urllib() -> None:
    """HTTPError by its code; URLError by its reason."""
    headers = Message()
    headers["Retry-After"] = "7"
    error = urllib.error.HTTPError("http://x", 503, "busy", headers, None)
    assert (triage(error).kind, triage(error).retry_after) == (T, 7)
    error.close()
    assert reading(urllib.error.URLError(ConnectionRefusedError(111, "refused"))) == (T, "no")
    assert reading(urllib.error.URLError(ConnectionResetError(104, "reset"))) == (T, "unknown")
    assert reading(urllib.error.URLError(socket.gaierror(-2, "unknown name"))) == (T, "no")
