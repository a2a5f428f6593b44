"""App Store Connect: the daily sales report.

Source: App Store Connect API, "Generating Tokens for API Requests", "Download Sales
and Trends Reports". Columns are found by name; Developer Proceeds is per unit.
"""

from __future__ import annotations

import csv
import gzip
import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import httpx2
import jwt

from nightproof import Permanent, Transient
from nightproof.model import clock

from ..credentials import secret, setting

BASE_URL = "https://api.appstoreconnect.apple.com"
TOKEN_SECONDS = 1140
"""Apple refuses more than 20 minutes."""
INSTALLS = frozenset({"1", "1F", "1T", "1E", "1EP", "1EU", "1-B", "F1"})
"""Product type identifiers that are first installs: no updates (7*), no redownloads (3*)."""
NOT_YET_SECONDS = 900.0
_LATEST = re.compile(r"latest version for this report is (\w+)\.")


@dataclass(frozen=True)
class Sale:
    """A day of one app in one country; proceeds in a currency, installs without refunds."""

    country: str
    installs: int
    proceeds: Decimal
    currency: str


def token() -> str:
    """A signed token, good for 19 minutes."""
    now = clock.now_ms() // 1000
    claims = {
        "iss": setting("APP_STORE_ISSUER"), "iat": now, "exp": now + TOKEN_SECONDS,
        "aud": "appstoreconnect-v1",
    }  # fmt: skip
    headers = {"kid": setting("APP_STORE_KEY_ID"), "typ": "JWT"}
    try:
        return jwt.encode(claims, secret("APP_STORE_KEY"), algorithm="ES256", headers=headers)
    except (ValueError, TypeError, jwt.PyJWTError):
        # What the library says may hold parts of the key.
        raise Permanent(
            "APP_STORE_KEY is not a private key that can sign with ES256",
            "Use the AuthKey_….p8 file as it was downloaded from App Store Connect.",
        ) from None


async def sales(http: httpx2.AsyncClient, signed: str, day: date, apple_id: str) -> list[Sale]:
    """What one app sold on a day, by country; nothing where there were no sales.

    Raises Transient where the report is not out yet.
    """
    version = setting("APP_STORE_REPORT_VERSION", "1_1")
    answer = await _ask(http, signed, day, version)
    if answer.status_code == 400 and (newer := _LATEST.search(answer.text)):
        answer = await _ask(http, signed, day, newer[1])
    if answer.status_code == 404:
        if "no sales" in answer.text:
            return []
        if "not available yet" in answer.text:
            raise Transient(f"Apple's sales of {day} are not out yet", retry_after=NOT_YET_SECONDS)
    answer.raise_for_status()
    return read(answer.content, apple_id)


async def _ask(http: httpx2.AsyncClient, signed: str, day: date, version: str) -> httpx2.Response:
    base = setting("APP_STORE_BASE_URL", BASE_URL).rstrip("/")
    return await http.get(
        f"{base}/v1/salesReports",
        params={
            "filter[frequency]": "DAILY",
            "filter[reportDate]": day.isoformat(),
            "filter[reportSubType]": "SUMMARY",
            "filter[reportType]": "SALES",
            "filter[vendorNumber]": setting("APP_STORE_VENDOR"),
            "filter[version]": version,
        },
        headers={"Authorization": f"Bearer {signed}", "Accept": "application/a-gzip"},
    )


def read(content: bytes, apple_id: str) -> list[Sale]:
    """The sales of one app in a report's file, with what was bought inside of it."""
    lines = gzip.decompress(content).decode("utf-8").splitlines()
    rows = list(csv.DictReader(lines, delimiter="\t"))
    found: dict[tuple[str, str], Sale] = {}
    for row in rows:
        if row["Apple Identifier"] != apple_id:
            continue
        key = (row["Country Code"], row["Currency of Proceeds"])
        units = int(Decimal(row["Units"]))
        before = found.get(key, Sale(key[0], 0, Decimal(0), key[1]))
        found[key] = Sale(
            key[0],
            before.installs + (units if row["Product Type Identifier"] in INSTALLS else 0),
            before.proceeds + units * Decimal(row["Developer Proceeds"] or 0),
            key[1],
        )
    return [found[key] for key in sorted(found)]
