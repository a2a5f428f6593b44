"""Google Play's installs: a monthly file in a bucket, rewritten as numbers settle.

Sources: GCS JSON API v1 (objects.get), Play Console, "Download and export monthly
reports". The file is UTF-16LE with a byte order mark; columns are found by name,
without regard to case.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import date
from urllib.parse import quote

import httpx2

from ..credentials import setting

BASE_URL = "https://storage.googleapis.com"


@dataclass(frozen=True)
class Located:
    """One version of a file: a rewritten file has another generation."""

    name: str
    generation: str


@dataclass(frozen=True)
class Installed:
    """Installs of one app in one country on a day."""

    country: str
    installs: int


async def locate(http: httpx2.AsyncClient, token: str, package: str, day: date) -> Located | None:
    """The installs file of a month, as it is now; None where there is none yet."""
    name = f"stats/installs/installs_{package}_{day:%Y%m}_country.csv"
    answer = await http.get(_objects(), params={"prefix": name}, headers=_bearer(token))
    answer.raise_for_status()
    found = [one for one in answer.json().get("items", []) if one["name"] == name]
    return Located(name, str(found[0]["generation"])) if found else None


async def installs(
    http: httpx2.AsyncClient, token: str, file: Located, day: date
) -> list[Installed]:
    """The installs of a day by country; nothing where the file does not go that far yet."""
    answer = await http.get(
        f"{_objects()}/{quote(file.name, safe='')}",
        params={"alt": "media", "generation": file.generation},
        headers=_bearer(token),
    )
    answer.raise_for_status()
    return read(answer.content, day)


def read(content: bytes, day: date) -> list[Installed]:
    """The rows of a day in a file."""
    text = content.decode("utf-16")
    rows = csv.DictReader(io.StringIO(text, newline=""))
    rows.fieldnames = [name.strip().lower() for name in rows.fieldnames or ()]
    found: dict[str, int] = {}
    for row in rows:
        if row["date"] == day.isoformat():
            country = row["country"]
            found[country] = found.get(country, 0) + int(row["daily device installs"])
    return [Installed(country, found[country]) for country in sorted(found)]


def _objects() -> str:
    base = setting("GCS_BASE_URL", BASE_URL).rstrip("/")
    return f"{base}/storage/v1/b/{setting('PLAY_BUCKET')}/o"


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
