"""Jobs that depend on something that no contract names."""

import json
import os
import subprocess
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import apsw

from nightproof import Contract, artifact, job, step

REGION = os.environ.get("LEDGER_REGION", "eu")


class Work(Contract):
    task: Literal["work"] = "work"
    folder: str = ""
    host: str = ""
    cutoff: float = 0.0
    amounts: tuple[int, ...] = (120, 40, 7)


@step
def total(amounts: tuple[int, ...]) -> int:
    return sum(amounts)


async def deliver(contract: Work, told: str) -> str:
    all_ = await total(contract.amounts)
    await artifact("report.txt", f"{told}: {all_}\n")
    return told


@step
def currency() -> str:
    for line in Path("~/.ledgerrc").expanduser().read_text().splitlines():
        name, _, value = line.partition("=")
        if name == "currency":
            return value
    return "EUR"


@job
async def home(contract: Work) -> str:
    return await deliver(contract, await currency())


@step
def account() -> str:
    return "account " + os.environ.get("LEDGER_ACCOUNT", "main")


@job
async def variable(contract: Work) -> str:
    return await deliver(contract, await account())


@step
def region() -> str:
    return f"region {REGION}"


@job
async def imported(contract: Work) -> str:
    return await deliver(contract, await region())


@step
def rate(folder: str) -> str:
    cache = Path(folder, "rate.json")
    if cache.exists():
        return "cached " + json.loads(cache.read_text())["rate"]
    cache.write_text(json.dumps({"rate": "1.08"}))
    return "fresh 1.0812"


@job
async def cached(contract: Work) -> str:
    return await deliver(contract, await rate(contract.folder))


@step
def customers(folder: str) -> int:
    database = apsw.Connection(f"{folder}/crm.db", flags=apsw.SQLITE_OPEN_READONLY)
    return int(database.execute("SELECT count(*) FROM customer").fetchall()[0][0])


@job
async def native(contract: Work) -> str:
    return await deliver(contract, f"{await customers(contract.folder)} customers")


@step
def label(cutoff: float) -> str:
    return "late" if datetime.now(UTC).timestamp() > cutoff else "in time"


@job
async def clock(contract: Work) -> str:
    return await deliver(contract, await label(contract.cutoff))


@step
def quote(host: str) -> str:
    with urllib.request.urlopen(f"http://{host}/quote") as answer:
        return str(json.load(answer)["quote"])


@job
async def host(contract: Work) -> str:
    return await deliver(contract, await quote(contract.host))


@step
def newest(folder: str) -> str:
    return max(path.name for path in Path(folder).glob("*.csv"))


@job
async def listing(contract: Work) -> str:
    return await deliver(contract, await newest(contract.folder))


@step
def converted(amounts: tuple[int, ...]) -> str:
    text = " ".join(map(str, amounts))
    ran = subprocess.run(["ledger-convert", text], capture_output=True, check=True, text=True)
    return ran.stdout.strip()


@job
async def program(contract: Work) -> str:
    return await deliver(contract, await converted(contract.amounts))


@step
def layout() -> str:
    settings = Path("layout.ini")
    return settings.read_text().strip() if settings.exists() else "plain"


@job
async def working_folder(contract: Work) -> str:
    return await deliver(contract, await layout())
