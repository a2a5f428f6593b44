"""The jobs of the house: a store with one run of everything that a dashboard has to show."""

import os
import struct
import zlib
from datetime import datetime
from pathlib import Path
from typing import Literal

from nightproof import (
    Contract,
    Quota,
    Retry,
    Window,
    artifact,
    effect,
    expect,
    job,
    measure,
    step,
    wait_for,
)

HERE = Path(__file__).parent
admob = Quota("admob", rate="9000/min")


class Night(Contract):
    task: Literal["nightly"] = "nightly"
    window: Window
    countries: list[str]


class Many(Contract):
    task: Literal["many"] = "many"
    n: int = 300


class Words(Contract):
    task: Literal["words"] = "words"
    text: str = "a"


def picture() -> bytes:
    """A small PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    rows = b"\0" + bytes([200, 80, 120])
    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )  # fmt: skip


@step(quota=admob, retry=Retry(attempts=3, base=0.01))
def fetch_country(country: str, window: Window) -> list[int]:
    if country == "FR" and not (HERE / "tried").exists():
        (HERE / "tried").touch()
        raise ConnectionError("the line went dead")
    return [ord(letter) * window.start.day for letter in country]


@effect(key="nightly/{window.date}", unknown="hold")
def post_report(window: Window, text: str) -> str:
    with (HERE / "posted.txt").open("a") as posted:
        posted.write(f"{window.date} {len(text)}\n")
    return f"posted {window.date}"


@job
async def nightly(contract: Night) -> int:
    rows = await fetch_country.map(contract.countries, key=str, window=contract.window)
    total = sum(map(sum, rows))
    measure("rows", sum(map(len, rows)))
    measure("total", total)
    expect(rows, "no revenue rows at all")
    report = f"# Revenue of {contract.window.date}\n\n| country | total |\n|---|---|\n" + "".join(
        f"| {country} | {sum(row)} |\n"
        for country, row in zip(contract.countries, rows, strict=True)
    )
    await artifact("report.md", report)
    await artifact("table.csv", "country,total\nDE,1\nFR,2\n")
    await artifact("chart.png", picture())
    await artifact("report.html", "<h1>Report</h1><script>document.title='stolen'</script>")
    await post_report(contract.window, report)
    return total


@nightly.nightly("04:30", tz="Europe/Berlin")
def tonight(fire: datetime) -> Night:
    return Night(window=Window.settled_day("Europe/Berlin", fire, after="4h"), countries=["DE"])


@step(retry=Retry(attempts=1))
def enrich(n: int) -> int:
    if n % 100 == 7:
        raise ValueError(f"item {n} cannot be enriched")
    return n * 2


@job
async def many(contract: Many) -> int:
    found = await enrich.map(range(contract.n), key=lambda n: f"item-{n:06}", on_error="collect")
    return sum(one for one in found if isinstance(one, int))


@step
def house_style(text: str) -> str:
    return text + os.environ.get("HOUSE_STYLE", "")


@job
async def styled(contract: Words) -> str:
    found = await house_style(contract.text)
    await artifact("styled.txt", found)
    return found


@job
async def patient(contract: Words) -> str:
    return "heard " + await wait_for("go", str)


@effect(key="doubt/{text}")
def doubtful(text: str) -> str:
    raise ConnectionError("the line went dead")


@job
async def doubt(contract: Words) -> str:
    return await doubtful(contract.text)


@step(retry=Retry(attempts=1))
def broken(text: str) -> str:
    raise ValueError(f"cannot read {text}")


@job
async def failing(contract: Words) -> str:
    return await broken(contract.text)
