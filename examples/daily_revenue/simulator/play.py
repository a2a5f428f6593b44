"""Google Play's reports: monthly files in a bucket, rewritten as the numbers settle.

Sources: GCS JSON API v1 (objects.list, objects.get), Play Console, "Download and
export monthly reports". Statistics are UTF-16LE with a byte order mark.
"""

from __future__ import annotations

import base64
import csv
import io
import re
import zipfile
from datetime import date, timedelta
from hashlib import md5, sha256
from typing import Any
from urllib.parse import unquote

from .data import currency
from .google import authorised
from .http import Request, Response, as_json, google_refusal
from .world import BUCKET, STORAGE_SCOPE, World


def storage(world: World, request: Request) -> Response:
    """Google Play's bucket: ``GET /storage/v1/b/{bucket}/o`` and ``…/o/{name}?alt=media``."""
    authorised(world, request, (STORAGE_SCOPE,))
    head = f"/storage/v1/b/{BUCKET}/o"
    if not request.path.startswith(f"/storage/v1/b/{BUCKET}/"):
        message = (
            "sim@example.iam.gserviceaccount.com does not have storage.objects.list access to the "
            "Google Cloud Storage bucket. Permission 'storage.objects.list' denied on resource "
            "(or it may not exist)."
        )
        return google_refusal(403, message)
    if request.path == head:
        return _listing(world, request)
    name = unquote(request.path.removeprefix(head + "/"))
    content = play_file(world, name)
    if content is None:
        return google_refusal(404, f"No such object: {BUCKET}/{name}")
    asked = request.query.get("generation")
    if asked not in (None, _generation(content)):
        return google_refusal(404, f"No such object: {BUCKET}/{name}#{asked}")
    if request.query.get("alt") != "media":
        return as_json(_object(name, content))
    world.act(f"play/{name}")
    return Response(200, content, {"Content-Type": "text/csv; charset=utf-16le"})


def _listing(world: World, request: Request) -> Response:
    prefix = request.query.get("prefix", "")
    names = [name for name in play_names(world) if name.startswith(prefix)]
    start = int(request.query.get("pageToken") or 0)
    size = min(int(request.query.get("maxResults") or 1000), 1000)
    items = []
    for name in names[start : start + size]:
        content = play_file(world, name)
        if content is not None:
            items.append(_object(name, content))
    answer: dict[str, Any] = {"kind": "storage#objects", "items": items}
    if start + size < len(names):
        answer["nextPageToken"] = str(start + size)
    return as_json(answer)


def _object(name: str, content: bytes) -> dict[str, str]:
    digest = md5(content, usedforsecurity=False).digest()
    return {
        "kind": "storage#object",
        "name": name,
        "bucket": BUCKET,
        "size": str(len(content)),
        "md5Hash": base64.b64encode(digest).decode(),
        "generation": _generation(content),
        "updated": "2026-01-01T00:00:00.000Z",
    }


def _generation(content: bytes) -> str:
    """A rewritten file has another generation; here it follows from the bytes."""
    return str(1_600_000_000_000_000 + int.from_bytes(sha256(content).digest()[:6], "big"))


def play_names(world: World) -> list[str]:
    """The files of the months around the newest day that is out."""
    newest = world.available or date(2026, 12, 31)
    months = sorted({f"{newest - timedelta(days=days):%Y%m}" for days in range(0, 400, 5)})
    names = []
    for app in world.data.apps:
        if app.platform == "android":
            names += [f"stats/installs/installs_{app.package}_{m}_country.csv" for m in months]
    names += [f"earnings/earnings_{month}_0123456789-1.zip" for month in months]
    return sorted(names)


_FILE = re.compile(r"stats/installs/installs_(.+)_(\d{4})(\d{2})_country\.csv")
_EARNINGS = re.compile(r"earnings/earnings_(\d{4})(\d{2})_\d+-1\.zip")
INSTALLS = (
    "Date,Package Name,Country,Daily Device Installs,Daily Device Uninstalls,Daily Device "
    "Upgrades,Total User Installs,Daily User Installs,Daily User Uninstalls,Active Device "
    "Installs,Install events,Update events,Uninstall events"
).split(",")
EARNINGS = (
    "Description,Transaction Date,Transaction Time,Tax Type,Transaction Type,Refund Type,Product "
    "Title,Product id,Product Type,Sku Id,Hardware,Buyer Country,Buyer State,Buyer Postal Code,"
    "Buyer Currency,Amount (Buyer Currency),Currency Conversion Rate,Merchant Currency,Amount "
    "(Merchant Currency)"
).split(",")


def play_file(world: World, name: str) -> bytes | None:
    """A report as it is today; None where there is none."""
    if found := _FILE.fullmatch(name):
        return _installs(world, found[1], int(found[2]), int(found[3]))
    if found := _EARNINGS.fullmatch(name):
        return _earnings(world, int(found[1]), int(found[2]))
    return None


def _days(world: World, year: int, month: int) -> list[date]:
    first = date(year, month, 1)
    days = [first + timedelta(days=n) for n in range(31)]
    return [day for day in days if day.month == month and world.is_there(day)]


def _installs(world: World, package: str, year: int, month: int) -> bytes | None:
    names = {app.name for app in world.data.apps if app.package == package}
    if not names:
        return None
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(INSTALLS)
    for day in _days(world, year, month):
        for row in world.data.of(day, "android"):
            if row.app in names:
                n = row.installs
                writer.writerow([day, package, row.country, n, n // 9, n // 2, n * 40, n, n // 10,
                                 n * 30, n + n // 20, n // 2, n // 9])  # fmt: skip
    return b"\xff\xfe" + out.getvalue().encode("utf-16-le")


def _earnings(world: World, year: int, month: int) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(EARNINGS)
    for day in _days(world, year, month):
        for row in world.data.of(day, "android"):
            amount = row.installs * 0.05
            for kind, value in (("Charge", amount), ("Google fee", -0.15 * amount)):
                order = f"GPA.3300-{day:%m%d}-{row.country}"
                writer.writerow([order, f"{day:%b} {day.day}, {day.year}", "1:00:00 AM PDT", "",
                                 kind, "", row.app, world.data.app(row.app).package, "1", "", "",
                                 row.country, "", "", currency(row.country), f"{value:.2f}",
                                 "1.000000", "USD", f"{value:.2f}"])  # fmt: skip
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo(f"PlayApps_{year}{month:02d}.csv", (2026, 1, 1, 0, 0, 0))
        archive.writestr(entry, out.getvalue().encode())
    return packed.getvalue()
