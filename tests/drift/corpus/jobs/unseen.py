"""Jobs with causes of kinds that the rules were not written for."""

import configparser
import json
import os
import sqlite3
import tempfile
import urllib.request
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from nightproof import Contract, ModelPin, artifact, job, served, step

try:
    import ratebook
except ImportError:
    ratebook = None


class Work(Contract):
    task: Literal["work"] = "work"
    folder: str = ""
    gemini: str = ""
    openai: str = ""
    model: ModelPin | None = None
    names: tuple[str, ...] = ("Oslo", "Porto", "Gent", "Lyon", "Bonn", "Turin")


@step
def names(wanted: tuple[str, ...]) -> list[str]:
    return [one.upper() for one in wanted]


async def deliver(told: str) -> str:
    await artifact("report.txt", f"{told}\n")
    return told


@step
def listed() -> str:
    return resources.files(ratebook).joinpath("rates.csv").read_text().strip()


@job
async def package_data(contract: Work) -> str:
    return await deliver(await listed())


@step
def ordered(found: list[str]) -> str:
    return " ".join({*found})


@job
async def hashes(contract: Work) -> str:
    return await deliver(await ordered(await names(contract.names)))


@step
def linked(folder: str) -> str:
    return Path(folder, "current", "rate").read_text().strip()


@job
async def link(contract: Work) -> str:
    return await deliver(await linked(contract.folder))


@step
def configured() -> str:
    found = configparser.ConfigParser()
    found.read(Path(os.environ.get("XDG_CONFIG_HOME", "~/.config")).expanduser() / "ledger.ini")
    return found.get("report", "style", fallback="plain")


@job
async def configuration(contract: Work) -> str:
    return await deliver(await configured())


@step
def counted(folder: str) -> int:
    database = sqlite3.connect(f"{folder}/crm.db")
    try:
        return int(database.execute("SELECT count(*) FROM customer").fetchone()[0])
    finally:
        database.close()


@job
async def database(contract: Work) -> str:
    return await deliver(f"{await counted(contract.folder)} customers")


@step
def age(folder: str) -> int:
    return int(Path(folder, "input.csv").stat().st_mtime)


@job
async def touched(contract: Work) -> str:
    return await deliver(f"as of {await age(contract.folder)}")


@step
def marked() -> str:
    mark = Path(tempfile.gettempdir(), "ledger.done")
    return "again" if mark.exists() else "first"


@job
async def left_behind(contract: Work) -> str:
    return await deliver(await marked())


def post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    data = json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


@step
def message(url: str, name: str) -> str:
    messages = [{"role": "user", "content": "Comment on the day."}]
    request = {"model": name, "max_tokens": 100, "messages": messages}
    answer = post(f"{url}/messages", request)
    served.from_response(request, answer)
    return str(answer["content"][0]["text"])


@job
async def messages(contract: Work) -> str:
    assert contract.model is not None
    return await deliver(await message(contract.openai, contract.model.id))


@step
def response(url: str, name: str) -> str:
    request = {"model": name, "input": "Comment on the day."}
    answer = post(f"{url}/responses", request)
    served.from_response(request, answer)
    return json.dumps(answer["output"][0]["content"][0]["text"])


@job
async def responses(contract: Work) -> str:
    assert contract.model is not None
    return await deliver(await response(contract.openai, contract.model.id))


@step
def bare(url: str, name: str) -> str:
    body = {"contents": [{"parts": [{"text": "Comment on the day."}]}]}
    answer = post(f"{url}/v1beta/models/{name}:generateContent", body)
    served(requested=name, reported=answer.get("modelVersion"), provider="gemini")
    return str(answer["candidates"][0]["content"]["parts"][0]["text"])


@job
async def barely_served(contract: Work) -> str:
    assert contract.model is not None
    return await deliver(await bare(contract.gemini, contract.model.id))
