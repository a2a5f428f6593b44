"""Jobs that depend on the zone, the locale or the order of hashes."""

import gettext
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Literal

from nightproof import Contract, artifact, job, step


class Work(Contract):
    task: Literal["work"] = "work"
    at: int = 1_760_040_000
    names: tuple[str, ...] = ("Zürich", "Oslo", "Kraków", "Lyon", "Porto", "Gent")


@step
def names(wanted: tuple[str, ...]) -> list[str]:
    return [one.strip() for one in wanted]


@step
def day(at: int) -> str:
    style = Path("~/.reportrc").expanduser()
    form = "%d.%m.%Y" if style.exists() and "german" in style.read_text() else "%Y-%m-%d"
    return datetime.fromtimestamp(at).strftime(form)  # noqa: DTZ006 - the zone is what is planted


@job
async def zone(contract: Work) -> str:
    found = await names(contract.names)
    told = await day(contract.at)
    await artifact("day.txt", f"{told}: {len(found)} cities\n")
    return told


@step
def width(text: str) -> int:
    counted = subprocess.run(["wc", "-m"], input=text.encode(), capture_output=True, check=True)
    return int(counted.stdout)


@job
async def charset(contract: Work) -> int:
    found = await width(" ".join(await names(contract.names)))
    await artifact("line.txt", "-" * found)
    return found


@step
def heading() -> str:
    catalogs = Path(__file__).with_name("locale")
    return gettext.translation("report", catalogs, fallback=True).gettext("Revenue")


@job
async def language(contract: Work) -> str:
    found = await names(contract.names)
    told = await heading()
    await artifact("report.md", f"# {told}\n\n{len(found)} cities\n")
    return told


@step
def distinct(found: list[str]) -> str:
    return ", ".join(set(found))


@job
async def hashes(contract: Work) -> str:
    told = await distinct(await names(contract.names))
    await artifact("cities.txt", told)
    return told
