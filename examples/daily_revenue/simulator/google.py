"""Google: OAuth tokens, and AdMob reports.

Sources: AdMob API v1 (networkReport.generate, mediationReport.generate), Google
Identity (refresh tokens), AIP-193 errors.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from hashlib import sha256
from secrets import token_hex
from typing import Any
from urllib.parse import parse_qs

from .data import Row, scaled
from .http import (
    Refused,
    Request,
    Response,
    as_json,
    google_error,
    google_refusal,
    retry_info,
)
from .world import ADMOB_SCOPES, CLIENT_ID, PUBLISHER, STORAGE_SCOPE, Grant, World

_REPORT = re.compile(r"/v1/accounts/([^/:]+)/(networkReport|mediationReport):generate")
_METRICS = {
    "ESTIMATED_EARNINGS": "microsValue",
    "IMPRESSIONS": "integerValue",
    "IMPRESSION_RPM": "doubleValue",
    "CLICKS": "integerValue",
    "AD_REQUESTS": "integerValue",
    "MATCHED_REQUESTS": "integerValue",
}
_NETWORK_ONLY = {"IMPRESSION_RPM"}
_DIMENSIONS = {"DATE", "MONTH", "WEEK", "APP", "COUNTRY", "PLATFORM", "AD_SOURCE"}
_ZONE = "America/Los_Angeles"


def oauth(world: World, request: Request) -> Response:
    """``POST /token`` with grant_type refresh_token."""
    form = {name: values[-1] for name, values in parse_qs(request.body.decode()).items()}
    if request.method != "POST" or request.path != "/token":
        return as_json({"error": "invalid_request"}, 404)
    if form.get("grant_type") != "refresh_token":
        return as_json({"error": "unsupported_grant_type"}, 400)
    if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, world.client_secret):
        return as_json({"error": "invalid_client", "error_description": "Unauthorized"}, 401)
    if form.get("refresh_token") != world.refresh_token:
        wrong = {
            "error": "invalid_grant",
            "error_description": "Token has been expired or revoked.",
        }
        return as_json(wrong, 400)
    scopes = form.get("scope", "").split() or [ADMOB_SCOPES[0], STORAGE_SCOPE]
    token = "ya29.sim-" + token_hex(20)
    life = world.limits.token_seconds
    world.grants[token] = Grant(frozenset(scopes), world.now() + life)
    world.act("oauth/token")
    answer = {
        "access_token": token, "expires_in": int(life), "scope": " ".join(scopes),
        "token_type": "Bearer",
    }  # fmt: skip
    return as_json(answer)


def admob(world: World, request: Request, fault: dict[str, Any]) -> Response:
    """``POST /v1/accounts/{pub}/networkReport:generate`` and mediationReport, and the account."""
    authorised(world, request, ADMOB_SCOPES)
    if request.method == "GET" and request.path == f"/v1/accounts/{PUBLISHER}":
        account = {
            "name": f"accounts/{PUBLISHER}", "publisherId": PUBLISHER,
            "reportingTimeZone": _ZONE, "currencyCode": "USD",
        }  # fmt: skip
        return as_json(account)
    found = _REPORT.fullmatch(request.path)
    if request.method != "POST" or found is None:
        return google_refusal(404, "Method not found.")
    if found[1] != PUBLISHER:
        message = f"Invalid account information in request url: 'accounts/{found[1]}'"
        return google_refusal(400, message, array=True)
    _admob_quota(world)
    try:
        spec = request.json()["reportSpec"]
        days, names, metrics, countries, most = _spec(spec, found[2])
    except (ValueError, KeyError, TypeError) as error:
        return google_refusal(400, f"Request contains an invalid argument: {error}", array=True)
    agent = request.headers.get("user-agent", "").partition("/")[0]
    world.times.setdefault(agent, []).append(world.now())
    for day in days:
        for country in countries or ["*"]:
            world.act(f"admob/{day}/{country}")
    rows = _admob_rows(world, days, names, metrics, countries, fault)
    return Response(
        200, _stream(spec, rows[:most], days, world, fault), {"Content-Type": "application/json"}
    )


def authorised(world: World, request: Request, scopes: tuple[str, ...]) -> None:
    problem = world.grant(request.bearer, scopes)
    if problem == "unknown":
        message = (
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login "
            "cookie or other valid authentication credential."
        )
        raise Refused(google_refusal(401, message))
    if problem == "scope":
        raise Refused(google_refusal(403, "Request had insufficient authentication scopes."))


def _admob_quota(world: World) -> None:
    recent, limits, now = world.admob_recent, world.limits, world.now()
    while recent and recent[0] <= now - limits.admob_seconds:
        recent.popleft()
    if len(recent) >= limits.admob_requests:
        wait = recent[0] + limits.admob_seconds - now
        raise Refused(quota_refusal(wait if limits.admob_retry_info else None))
    recent.append(now)


def quota_refusal(seconds: float | None) -> Response:
    """AdMob's 429, with the wait where `seconds` is given."""
    message = (
        "Quota exceeded for quota metric 'Reporting read requests' and limit 'Reporting read "
        "requests per minute' of service 'admob.googleapis.com' for consumer 'project_number:123'."
    )
    details: list[dict[str, Any]] = []
    if seconds is not None:
        violation = {"subject": "project:123", "description": "Reporting read requests per minute"}
        details = [
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]},
            retry_info(round(max(seconds, 0.001), 3)),
        ]
    return google_refusal(429, message, details, array=True)


def _spec(
    spec: dict[str, Any], kind: str
) -> tuple[list[date], list[str], list[str], list[str], int]:
    first, last = (_date(spec["dateRange"][name]) for name in ("startDate", "endDate"))
    if last < first:
        raise ValueError("endDate is before startDate")
    names, metrics = list(spec.get("dimensions", [])), list(spec["metrics"])
    unknown = [name for name in names if name not in _DIMENSIONS]
    unknown += [name for name in metrics if name not in _METRICS]
    if kind == "mediationReport":
        unknown += [name for name in metrics if name in _NETWORK_ONLY]
    if unknown or not metrics:
        raise ValueError(f"unsupported: {', '.join(unknown) or 'no metrics'}")
    if len({"DATE", "MONTH", "WEEK"} & set(names)) > 1:
        raise ValueError("at most one time dimension")
    if spec.get("timeZone", _ZONE) != _ZONE:
        raise ValueError(f"timeZone must be {_ZONE}")
    most = int(spec.get("maxReportRows", 100_000))
    if not 1 <= most <= 100_000:
        raise ValueError("maxReportRows must be in 1..100000")
    countries = []
    for one in spec.get("dimensionFilters", []):
        if one["dimension"] != "COUNTRY":
            raise ValueError("only COUNTRY can be filtered here")
        countries += one["matchesAny"]["values"]
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return days, names, metrics, countries, most


def _date(given: dict[str, int]) -> date:
    return date(given["year"], given["month"], given["day"])


def _admob_rows(
    world: World,
    days: list[date],
    names: list[str],
    metrics: list[str],
    countries: list[str],
    fault: dict[str, Any],
) -> list[dict[str, Any]]:
    wanted = frozenset(countries)
    factor = float(fault.get("factor", 0.5)) if fault.get("kind") == "wrong-data" else 1.0
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for day in days:
        for found in world.data.rows(day, countries=wanted):
            row = scaled(found, factor) if factor != 1.0 else found
            groups[tuple(_dimension(world, name, row) for name in names)].append(row)
    # No sort was asked for, so the order means nothing: not even the same one twice is promised.
    keys = sorted(groups, key=lambda key: sha256("".join(key).encode()).digest())
    return [_report_row(names, key, metrics, groups[key]) for key in keys]


def _dimension(world: World, name: str, row: Row) -> str:
    return {
        "DATE": f"{row.date:%Y%m%d}",
        "WEEK": f"{row.date - timedelta(days=row.date.weekday()):%Y%m%d}",
        "MONTH": f"{row.date:%Y%m}",
        "APP": world.data.app(row.app).admob,
        "COUNTRY": row.country,
        "PLATFORM": "iOS" if row.platform == "ios" else "Android",
        "AD_SOURCE": "5450213213286189855",
    }[name]


def _report_row(
    names: list[str], key: tuple[str, ...], metrics: list[str], rows: list[Row]
) -> dict[str, Any]:
    values: dict[str, dict[str, Any]] = {}
    for name, value in zip(names, key, strict=True):
        values[name] = {"value": value}
        if name == "APP":
            values[name]["displayLabel"] = rows[0].app
    impressions = sum(row.impressions for row in rows)
    micros = sum(row.revenue_micros for row in rows)
    numbers = {
        "ESTIMATED_EARNINGS": micros,
        "IMPRESSIONS": impressions,
        "CLICKS": impressions // 60,
        "AD_REQUESTS": impressions * 2,
        "MATCHED_REQUESTS": impressions + impressions // 2,
        "IMPRESSION_RPM": micros / impressions * 1000 if impressions else 0.0,
    }
    told: dict[str, dict[str, Any]] = {}
    for name in metrics:
        form = _METRICS[name]
        # int64 is text in JSON; a metric without a value is left out.
        if numbers[name] or form == "integerValue":
            value = numbers[name] if form == "doubleValue" else str(numbers[name])
            told[name] = {form: value}
    return {"row": {"dimensionValues": values, "metricValues": told}}


def _stream(
    spec: dict[str, Any],
    rows: list[dict[str, Any]],
    days: list[date],
    world: World,
    fault: dict[str, Any],
) -> Iterator[bytes]:
    header = {
        "dateRange": spec["dateRange"],
        "localizationSettings": {"currencyCode": "USD", "languageCode": "en-US"},
        "reportingTimeZone": _ZONE,
    }
    kind = fault.get("kind")
    yield b"[" + json.dumps({"header": header}).encode()
    for number, row in enumerate(rows):
        if kind == "mid-stream-error" and number >= int(fault.get("rows", 1)):
            break
        yield b"\n," + json.dumps(row).encode()
    if kind == "mid-stream-error":
        error = google_error(503, "The service is currently unavailable.")
        yield b"\n," + json.dumps(error).encode() + b"]"
        return
    if kind == "no-footer":
        yield b"]"
        return
    footer: dict[str, Any] = {"matchingRowCount": str(len(rows))}
    if any(day in world.data.late or not world.is_there(day) for day in days):
        footer["warnings"] = [{"type": "DATA_DELAYED", "description": "Data is delayed."}]
    yield b"\n," + json.dumps({"footer": footer}).encode() + b"]"
