"""Who writes the narrative: the pinned model where a key is configured, else the template."""

from __future__ import annotations

from nightproof import ModelPin

from . import gemini
from .narrative import (
    Narrative,
    PromptTemplate,
    from_template,
    prompt_text,
    served_status,
    unsupported_numbers,
)
from .summary import Week


def write(template: PromptTemplate, week: Week, pin: ModelPin) -> Narrative:
    """The narrative of `week`.

    Raises what :func:`gemini.generate` raises. A model that cannot be asked is
    never replaced by the template: the same contract would give another report.
    """
    key = gemini.api_key()
    if key is None:
        return from_template(template, week)
    prompt = prompt_text(template, week)
    temperature, seed = pin.temperature, pin.seed_value
    answer = gemini.generate(
        pin.pinned_version, prompt, temperature=temperature, seed=seed, key=key
    )
    return Narrative(
        answer.text,
        "model",
        template.id,
        template.sha256,
        requested=pin.pinned_version,
        reported=answer.model_version,
        served=served_status(pin.id, pin.pinned_version, answer.model_version),
        temperature=temperature,
        seed=seed,
        response_id=answer.response_id,
        unsupported=unsupported_numbers(answer.text, prompt),
    )
