"""App Store Connect: daily sales reports behind a signed token of 20 minutes.

Source: App Store Connect API, "Download Sales and Trends Reports", "Generating
Tokens for API Requests", "Identifying Rate Limits".
"""

from __future__ import annotations

import gzip
from collections import defaultdict
from datetime import date, datetime

import jwt

from .data import currency
from .http import Refused, Request, Response, as_json
from .world import ISSUER, KEY_ID, VENDOR, World

VERSION = "1_1"
LIFE_SECONDS = 1200
COLUMNS = (
    "Provider|Provider Country|SKU|Developer|Title|Version|Product Type Identifier|Units|Developer "
    "Proceeds|Begin Date|End Date|Customer Currency|Country Code|Currency of Proceeds|Apple "
    "Identifier|Customer Price|Promo Code|Parent Identifier|Subscription|Period|Category|CMB|"
    "Device|Supported Platforms|Proceeds Reason|Preserved Pricing|Client|Order Type"
).split("|")
_HOUR = 3600.0
_NO_SALES = "There were no sales for the date specified."
_NOT_YET = (
    "Report is not available yet. Daily reports for the Americas are available by 5 am Pacific "
    "Time; Japan, Australia, and New Zealand by 5 am Japan Standard Time; and 5 am Central "
    "European Time for all other territories."
)


def refusal(status: int, code: str, title: str, detail: str) -> Response:
    """An error answer."""
    error = {"status": str(status), "code": code, "title": title, "detail": detail}
    return as_json({"errors": [error]}, status)


def unauthorised() -> Response:
    """The 401 for every fault of a token, and now and then for none."""
    return refusal(
        401,
        "NOT_AUTHORIZED",
        "Authentication credentials are missing or invalid.",
        "Provide a properly configured and signed bearer token, and make sure that it has not "
        "expired. Learn more about Generating Tokens for API Requests "
        "https://developer.apple.com/go/?id=api-generating-tokens",
    )


def appstore(world: World, request: Request) -> Response:
    """``GET /v1/salesReports``."""
    _authorised(world, request)
    left = _hourly(world)
    try:
        answer = _report(world, request)
    except Refused as refused:
        answer = refused.response
    limit = world.limits.appstore_hourly
    answer.headers["X-Rate-Limit"] = f"user-hour-lim:{limit};user-hour-rem:{left};"
    return answer


def _authorised(world: World, request: Request) -> None:
    try:
        header = jwt.get_unverified_header(request.bearer)
        claims = jwt.decode(
            request.bearer,
            world.apple_public_key,
            algorithms=["ES256"],
            audience="appstoreconnect-v1",
            issuer=ISSUER,
            options={"require": ["exp", "iss", "aud"]},
        )
    except jwt.PyJWTError:
        raise Refused(unauthorised()) from None
    issued = float(claims.get("iat", 0))
    too_long = float(claims["exp"]) - world.now() > LIFE_SECONDS + 5
    if header.get("kid") != KEY_ID or too_long or issued < world.expired_before - 1:
        raise Refused(unauthorised())


def _hourly(world: World) -> int:
    recent, now = world.apple_recent, world.now()
    while recent and recent[0] <= now - _HOUR:
        recent.popleft()
    limit = world.limits.appstore_hourly
    if len(recent) >= limit:
        answer = refusal(
            429, "RATE_LIMIT_EXCEEDED", "The request rate limit has been reached.",
            "We've received too many requests for this API. Please wait and try again or slow "
            "down your request rate.",
        )  # fmt: skip
        answer.headers["X-Rate-Limit"] = f"user-hour-lim:{limit};user-hour-rem:0;"
        raise Refused(answer)
    recent.append(now)
    return limit - len(recent)


def _report(world: World, request: Request) -> Response:
    if request.method != "GET" or request.path != "/v1/salesReports":
        return refusal(404, "NOT_FOUND", "The specified resource does not exist", request.path)
    asked = request.query
    wanted = {
        "filter[frequency]": "DAILY",
        "filter[reportSubType]": "SUMMARY",
        "filter[reportType]": "SALES",
        "filter[vendorNumber]": VENDOR,
    }
    for name, value in wanted.items():
        if asked.get(name) != value:
            return _invalid(name, f"Invalid value {asked.get(name)!r} for {name}")
    version = asked.get("filter[version]", VERSION)
    if version != VERSION:
        return _invalid(
            "filter[version]",
            f"The version parameter you have specified is invalid. The latest version for this "
            f"report is {VERSION}.",
        )
    try:
        day = datetime.strptime(asked["filter[reportDate]"], "%Y-%m-%d").date()  # noqa: DTZ007
    except (KeyError, ValueError):
        return _invalid("filter[reportDate]", "The date must be given as YYYY-MM-DD")
    if not world.is_there(day):
        return refusal(404, "NOT_FOUND", "The specified resource does not exist", _NOT_YET)
    content = _table(world, day)
    world.act(f"appstore/{day}")
    if content is None:
        return refusal(404, "NOT_FOUND", "The specified resource does not exist", _NO_SALES)
    # No Content-Encoding: the body is a gzip file, so clients do not inflate it.
    return Response(200, gzip.compress(content, mtime=0), {"Content-Type": "application/a-gzip"})


def _invalid(name: str, detail: str) -> Response:
    answer = refusal(400, "PARAMETER_ERROR.INVALID", "A parameter has an invalid value", detail)
    answer.headers["X-Parameter"] = name
    return answer


def _table(world: World, day: date) -> bytes | None:
    lines: list[dict[str, str]] = []
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in world.data.of(day, "ios"):
        groups[row.app, row.country].append(row.installs)
    for (name, country), installs in groups.items():
        units = sum(installs)
        lines.append(_line(world, name, country, day, "1F", units, 0.0))
        lines.append(_line(world, name, country, day, "7F", units // 3, 0.0))  # updates
        bought = max(units // 20, 1)
        lines.append(_line(world, name, country, day, "IA1", bought, 0.69))
        if units > 60:
            lines.append(_line(world, name, country, day, "IA1", -1, 0.69))  # a refund
    if not lines:
        return None
    table = ["\t".join(COLUMNS)]
    table += ["\t".join(line.get(column, "") for column in COLUMNS) for line in lines]
    return ("\n".join(table) + "\n").encode()


def _line(
    world: World, name: str, country: str, day: date, kind: str, units: int, proceeds: float
) -> dict[str, str]:
    app = world.data.app(name)
    money = currency(country)
    in_app = kind.startswith("IA")
    if money in ("JPY", "KRW", "HUF", "IDR"):
        proceeds = round(proceeds * 150)
    return {
        "Provider": "APPLE",
        "Provider Country": "US",
        "SKU": app.package + (".gems" if in_app else ""),
        "Developer": "Example",
        "Title": f"{name} Gems" if in_app else name,
        "Version": "" if in_app else "1.0",
        "Product Type Identifier": kind,
        "Units": str(units),
        "Developer Proceeds": f"{proceeds:.2f}",
        "Begin Date": f"{day:%m/%d/%Y}",
        "End Date": f"{day:%m/%d/%Y}",
        "Customer Currency": money,
        "Country Code": country,
        "Currency of Proceeds": money,
        "Apple Identifier": app.apple_id,
        "Customer Price": f"{proceeds / 0.7:.2f}",
        "Parent Identifier": app.package if in_app else "",
        "Device": "iPhone",
        "Supported Platforms": "iOS",
    }
