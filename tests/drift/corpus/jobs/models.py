"""Jobs that ask a model, in the wire formats of Gemini and OpenAI."""

import json
import urllib.request
from typing import Any, Literal

from nightproof import Contract, ModelPin, artifact, job, served, step


class Work(Contract):
    task: Literal["work"] = "work"
    gemini: str = ""
    openai: str = ""
    model: ModelPin
    desks: tuple[str, ...] = ("Oslo", "Porto", "Gent")


def post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    data = json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def generated(url: str, name: str, text: str, seed: int | None) -> str:
    config = {} if seed is None else {"seed": seed}
    request = {"contents": [{"parts": [{"text": text}]}], "generationConfig": config}
    answer = post(f"{url}/v1beta/models/{name}:generateContent", request)
    served(
        provider="gemini",
        requested=name,
        reported=answer.get("modelVersion"),
        response_id=answer.get("responseId"),
        request=request,
        response=answer,
    )
    return str(answer["candidates"][0]["content"]["parts"][0]["text"])


@step
def lines(desks: tuple[str, ...]) -> list[str]:
    return [f"{desk}: {len(desk) * 12} k" for desk in desks]


@step
def comment(url: str, name: str, found: list[str], seed: int | None) -> str:
    return generated(url, name, "Comment: " + "; ".join(found), seed)


async def deliver(contract: Work, text: str) -> str:
    await artifact("comment.md", f"# {contract.model.id}\n\n{text}\n")
    return text


@job
async def gemini(contract: Work) -> str:
    """Requests the alias."""
    found = await lines(contract.desks)
    pin = contract.model
    return await deliver(contract, await comment(contract.gemini, pin.id, found, pin.seed_value))


@job
async def pinned(contract: Work) -> str:
    """Requests the pinned version."""
    found = await lines(contract.desks)
    pin = contract.model
    told = await comment(contract.gemini, pin.pinned_version, found, pin.seed_value)
    return await deliver(contract, told)


@step
def remark(line: str, url: str, name: str, seed: int | None) -> str:
    return generated(url, name, f"Remark on {line}", seed)


@job
async def mapped(contract: Work) -> list[str]:
    """Asks once for every line."""
    found = await lines(contract.desks)
    pin = contract.model
    remarks = await remark.map(
        found, url=contract.gemini, name=pin.id, seed=pin.seed_value, concurrency=1
    )
    await deliver(contract, "\n".join(remarks))
    return remarks


@step
def chatted(url: str, name: str, found: list[str], seed: int | None) -> str:
    messages = [
        {"role": "system", "content": "You comment on a day's revenue."},
        {"role": "user", "content": "; ".join(found)},
    ]
    request: dict[str, Any] = {"model": name, "messages": messages}
    if seed is not None:
        request["seed"] = seed
    answer = post(f"{url}/chat/completions", request)
    served.from_response(request, answer)
    return str(answer["choices"][0]["message"]["content"])


@job
async def chat(contract: Work) -> str:
    """Requests the alias, in OpenAI's format."""
    found = await lines(contract.desks)
    pin = contract.model
    return await deliver(contract, await chatted(contract.openai, pin.id, found, pin.seed_value))
