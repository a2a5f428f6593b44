"""The narrative: from the versioned template alone, or by the pinned model."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from nightproof import PromptTemplate

from . import summary, wording
from .summary import Week

Served = Literal["matched", "mismatched", "alias echoed", "not reported"]


@dataclass(frozen=True)
class Narrative:
    """The text, and who wrote it.

    `requested`, `reported` and `served` are None where no model was asked. The
    API does not say which seed and temperature it accepted, so those are only
    known as requested.
    """

    text: str
    writer: Literal["model", "template"]
    prompt_id: str
    prompt_sha256: str
    requested: str | None = None
    reported: str | None = None
    served: Served | None = None
    temperature: float | None = None
    seed: int | None = None
    unsupported: list[str] = field(default_factory=list)
    """Numbers in a model's text that do not stand in what it was given."""


def facts(week: Week) -> dict[str, str]:
    """What the `$names` of a template stand for."""
    return {
        "site": week.site,
        "period": week.period,
        "breadth": summary.breadth_text(week),
        "median": summary.median(week),
        "extremes": summary.extremes(week),
        "unusual": summary.unusual(week),
        "volatility": summary.volatility(week),
        "absent": summary.absent(week),
        "table": "\n".join(
            f"{summary.pair(one.code)}, {wording.percent(summary.change(one))}, "
            f"{'' if one.z is None else wording.signed(one.z, 1)}, {one.rank} of {one.weeks}"
            for one in week.active
        ),
    }


def from_template(template: PromptTemplate, week: Week) -> Narrative:
    """The narrative without a model."""
    text = _fill(template.section("Template"), week)
    return Narrative(text, "template", template.id, template.sha256)


def prompt_text(template: PromptTemplate, week: Week) -> str:
    """What the model is asked."""
    return _fill(template.section("Prompt"), week)


def _fill(template: PromptTemplate, week: Week) -> str:
    paragraphs = template.render(**facts(week)).split("\n\n")
    return "\n\n".join(part for part in map(str.strip, paragraphs) if part)


def numbers(text: str) -> set[str]:
    """The numbers in `text`, without signs and without the separators of thousands."""
    found = re.findall(r"\d+(?:,\d{3})*(?:\.\d+)?", text)
    return {one.replace(",", "") for one in found}


def unsupported_numbers(answer: str, prompt: str) -> list[str]:
    """Numbers that a model wrote and that it was not given."""
    return sorted(numbers(answer) - numbers(prompt), key=lambda one: (float(one), one))


def authorship(one: Narrative) -> str:
    """The sentence in the report that says who wrote the narrative."""
    version = f"{one.prompt_id} (sha256 {one.prompt_sha256[:12]})"
    if one.writer == "template":
        return f"Written by the template {version} alone; no model was asked."
    said = {
        "matched": f"the provider reports {one.reported}, as pinned",
        "mismatched": f"but the provider reports {one.reported}: not the pinned version",
        "alias echoed": f"the provider only repeats the alias {one.reported}: version unverified",
        "not reported": "the provider does not report which version answered: unverified",
    }[one.served or "not reported"]
    settings = [
        f"{name} {value:g}"
        for name, value in (("temperature", one.temperature), ("seed", one.seed))
        if value is not None
    ]
    details = ", ".join([*settings, f"prompt {version}"])
    return f"Written by the model {one.requested} ({details}); {said}."


def warnings(one: Narrative) -> list[str]:
    """What a reader should know before trusting the narrative."""
    found = []
    if one.served == "mismatched":
        found.append(
            f"The narrative was requested from {one.requested} but written by {one.reported}."
        )
    if one.unsupported:
        found.append(
            "The narrative has numbers that are not in the data: "
            f"{', '.join(one.unsupported)}. Trust the table."
        )
    return found
