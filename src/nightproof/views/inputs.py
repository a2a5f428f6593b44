"""What a run was given: its contract, and what that names: datasets, prompts, models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from nightproof.contract.named import dependencies
from nightproof.contract.secrets import redact
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunRow
from nightproof.views.noted import Noted
from nightproof.views.notes import Status
from nightproof.views.values import Json, Time, iso, parsed


@dataclass(frozen=True, slots=True)
class DatasetView:
    """A dataset that the contract names; the engine has verified it before the first step."""

    field: str
    uri: str
    sha256: str


@dataclass(frozen=True, slots=True)
class PromptView:
    """A prompt template: named by the contract at `field`, or read by `steps`, or both.

    `sha256` is that of the text that was read, None where it was not; `locked` whether the lock
    beside it said the same.
    """

    id: str
    field: str | None
    sha256: str | None
    locked: bool | None
    steps: list[str]


@dataclass(frozen=True, slots=True)
class PinView:
    """A model that the contract pins, with what the provider's answers said."""

    id: str
    field: str
    requested: str
    statuses: list[Status]
    """What is said of the answers under this pin; empty where none is on record."""
    answers: int


@dataclass(frozen=True, slots=True)
class AnswerView:
    """Answers of a model that are alike, with their number; `pin` is that of the contract."""

    step: str
    provider: str
    requested: str
    reported: str | None
    fingerprint: str | None
    status: Status
    pin: str | None
    answers: int


@dataclass(frozen=True, slots=True)
class InputView:
    """What a run was given; `contract` is JSON, `digest` that of its canonical form."""

    run: str
    job: str
    digest: str
    replicate: int
    size: int
    """Of the contract, in bytes."""
    contract: Json
    datasets: list[DatasetView]
    prompts: list[PromptView]
    pins: list[PinView]
    answers: list[AnswerView]
    counted: Time | None = None
    """Only what was recorded up to then has been looked at; None where that is all."""


async def inputs(
    reader: Reader, row: RunRow, noted: Noted | None = None, seconds: float | None = None
) -> InputView:
    """What a run was given; `noted` and `seconds` as in :func:`~nightproof.views.costs.costs`."""
    noted = noted or Noted()
    await noted.advance(reader, row, seconds)
    contract = parsed(row.contract)
    named: dict[str, list[dict[str, Any]]] = {"dataset": [], "prompt": [], "model": []}
    for one in dependencies(contract):
        named[one["annotations"]["kind"]].append(one)
    return InputView(
        run=row.name,
        job=row.job,
        digest=row.digest,
        replicate=row.replicate,
        size=len(row.contract),
        contract=contract,
        datasets=[
            DatasetView(one["name"], redact(one["uri"]), one["digest"]["sha256"])
            for one in named["dataset"]
        ],
        prompts=_prompts(named["prompt"], noted),
        pins=[_pin(one, noted) for one in named["model"]],
        answers=_answers(noted),
        counted=None if noted.complete else iso(noted.at),
    )


def _prompts(named: list[dict[str, Any]], noted: Noted) -> list[PromptView]:
    fields = {str(one["name"]): str(one["annotations"]["field"]) for one in named}
    read: dict[tuple[str, str, bool], set[str]] = {}
    for one in noted.prompts:
        read.setdefault((one.id, one.sha256, one.locked), set()).add(one.step)
    found = [
        PromptView(name, fields.get(name), sha256, locked, sorted(steps))
        for (name, sha256, locked), steps in read.items()
    ]
    known = {one.id for one in found}
    found += [PromptView(n, field, None, None, []) for n, field in fields.items() if n not in known]
    return sorted(found, key=lambda one: (one.id, one.sha256 or ""))


def _pin(one: dict[str, Any], noted: Noted) -> PinView:
    notes = one["annotations"]
    answers = {a: count for a, count in noted.answers.items() if a.pin == one["name"]}
    statuses = sorted({answer.status for answer in answers})
    return PinView(
        str(one["name"]), str(notes["field"]), str(notes["requested"]),
        cast("list[Status]", statuses),
        sum(answers.values()),
    )  # fmt: skip


def _answers(noted: Noted) -> list[AnswerView]:
    found = [
        AnswerView(
            a.step,
            a.provider,
            a.requested,
            a.reported,
            a.fingerprint,
            cast("Status", a.status),
            a.pin,
            count,
        )
        for a, count in noted.answers.items()
    ]
    return sorted(found, key=lambda one: -one.answers)
