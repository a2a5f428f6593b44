"""Jobs whose cause lies off the beaten track: in the body, an import, a child run, a program."""

import json
import os
import subprocess
import urllib.request
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from nightproof import Contract, ModelPin, Retry, artifact, job, served, step

try:
    import halfcent
except ImportError:
    halfcent = None

DEFAULTS = Path("~/.defaults.json").expanduser()
CURRENCY = json.loads(DEFAULTS.read_text())["currency"] if DEFAULTS.exists() else "EUR"


class Work(Contract):
    task: Literal["work"] = "work"
    folder: str = ""
    gemini: str = ""
    openai: str = ""
    model: ModelPin | None = None
    cutoff: float = 0.0
    at: int = 1_760_040_000
    names: tuple[str, ...] = ("Oslo", "Porto", "Gent", "Lyon")


@step
def names(wanted: tuple[str, ...]) -> list[str]:
    return [one.upper() for one in wanted]


async def deliver(told: str) -> str:
    await artifact("report.txt", f"{told}\n")
    return told


@step
def rounded(amount: str) -> str:
    return halfcent.rounded(amount) if halfcent else f"{float(amount):.2f}"


@job
async def optional(contract: Work) -> str:
    return await deliver(await rounded("2.675"))


@step
def share(part: float, whole: float) -> float:
    try:
        assert whole > 0, "no whole"
        return part / whole
    except AssertionError:
        return 0.0


@job
async def assertions(contract: Work) -> str:
    return await deliver(repr(await share(1.0, -4.0)))


@job
async def zone_of_body(contract: Work) -> str:
    found = await names(contract.names)
    day = datetime.fromtimestamp(contract.at).date()  # noqa: DTZ006 - the zone is what is planted
    return await deliver(f"{day}: {len(found)}")


@job
async def file_of_body(contract: Work) -> str:
    found = await names(contract.names)
    title = Path("~/.title").expanduser().read_text().strip()
    return await deliver(f"{title}: {len(found)}")


@step
def currency() -> str:
    return str(CURRENCY)


@job
async def imported(contract: Work) -> str:
    return await deliver(await currency())


@step
def budget(name: str, folder: str) -> int:
    return int(Path(folder, name).read_text())


@job
async def mapped(contract: Work) -> str:
    found = await budget.map(contract.names, folder=contract.folder)
    return await deliver(repr(sum(found)))


@job(name="inner")
async def inner(contract: Work) -> str:
    return await deliver(repr(await budget(contract.names[0], contract.folder)))


@job
async def child(contract: Work) -> str:
    found = await names(contract.names)
    return await deliver(f"{await inner(contract)} of {len(found)}")


@step
def shelled(script: str) -> str:
    ran = subprocess.run(["sh", "-c", script], capture_output=True, check=True, text=True)
    return ran.stdout.strip()


@job
async def inherited(contract: Work) -> str:
    return await deliver(await shelled("echo ${LEDGER_ACCOUNT:-main}"))


@job
async def read_by_program(contract: Work) -> str:
    return await deliver(await shelled(f"cat {contract.folder}/note"))


def generated(url: str, name: str, text: str) -> str:
    request: dict[str, Any] = {"contents": [{"parts": [{"text": text}]}]}
    data = json.dumps(request).encode()
    call = urllib.request.Request(
        f"{url}/v1beta/models/{name}:generateContent", data, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(call) as found:
        answer = json.load(found)
    served.from_response(request, answer, requested=name)
    return str(answer["candidates"][0]["content"]["parts"][0]["text"])


@step
def reviewed(url: str, drafted_by: str, reviewed_by: str, text: str) -> str:
    draft = generated(url, drafted_by, text)
    return generated(url, reviewed_by, f"Review: {draft}")


@job
async def two_models(contract: Work) -> str:
    assert contract.model is not None
    return await deliver(
        await reviewed(contract.gemini, "draft-latest", contract.model.id, "Comment on the day.")
    )


@step
def commented(url: str, name: str) -> str:
    return generated(url, name, "Comment on the day.")


@job(name="commenting")
async def commenting(contract: Work) -> str:
    assert contract.model is not None
    return await deliver(await commented(contract.gemini, contract.model.id))


@job
async def model_of_child(contract: Work) -> str:
    return await deliver(await commenting(contract))


@job
async def drawn_by_body(contract: Work) -> str:
    found = await names(contract.names)
    return await deliver(f"{uuid.uuid4()}: {len(found)}")


@step(retry=Retry(attempts=1))
def flaky() -> str:
    if os.urandom(1)[0] < 128:
        raise RuntimeError("the line was busy")
    return "done"


@job
async def failing(contract: Work) -> str:
    return await deliver(await flaky())


@step
def dated(found: list[str]) -> str:
    hour = datetime.now(UTC).hour
    return ("early: " if hour < 0 else "late: ") + " ".join(set(found))


@job
async def dated_hashes(contract: Work) -> str:
    return await deliver(await dated(await names(contract.names)))


def title() -> str:
    return Path("~/.title").expanduser().read_text().strip()


@step
def labelled(cutoff: float) -> str:
    return title() + (" (late)" if datetime.now(UTC).timestamp() > cutoff else "")


@job
async def due(contract: Work) -> str:
    return await deliver(await labelled(contract.cutoff))


@step
def numbered(folder: str) -> str:
    counter = Path(folder, "counter")
    number = int(counter.read_text()) + 1 if counter.exists() else 1
    counter.write_text(str(number))
    return f"report {number}"


@job
async def counted(contract: Work) -> str:
    """Every run counts on: the state that it keeps is neither time nor chance."""
    return await deliver(await numbered(contract.folder))


@step
def titled_comment(url: str, name: str) -> str:
    return f"{title()}: {generated(url, name, 'Comment on the day.')}"


@job
async def titled(contract: Work) -> str:
    assert contract.model is not None
    return await deliver(await titled_comment(contract.gemini, contract.model.id))


@step
def drawn() -> str:
    return f"{halfcent.rounded('1.111')} {os.urandom(4).hex()}"


@job
async def drawn_beside_package(contract: Work) -> str:
    """The package gives the same for this amount, whatever its version."""
    return await deliver(await drawn())


@step
def rounded_before(cutoff: float) -> str:
    late = datetime.now(UTC).timestamp() > cutoff
    return halfcent.rounded("1.111") + (" (late)" if late else "")


@job
async def due_beside_package(contract: Work) -> str:
    return await deliver(await rounded_before(contract.cutoff))
