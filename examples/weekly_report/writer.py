"""Who writes the narrative: the pinned model where a key is configured, else the template."""

from __future__ import annotations

from nightproof import ModelPin, PromptTemplate, served

from . import gemini
from .narrative import Narrative, from_template, prompt_text, unsupported_numbers
from .summary import Week


def write(template: PromptTemplate, week: Week, pin: ModelPin) -> Narrative:
    """The narrative of `week`.

    Raises what :func:`gemini.generate` raises, and ModelMismatch where another model
    answered than the pin names and the pin halts on that. A model that cannot be asked is
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
    status = served.from_response(
        answer.request, answer.response, requested=pin.pinned_version, pin=pin
    )
    return Narrative(
        answer.text,
        "model",
        template.id,
        template.sha256,
        requested=pin.pinned_version,
        reported=answer.model_version,
        served=status,
        temperature=temperature,
        seed=seed,
        unsupported=unsupported_numbers(answer.text, prompt),
    )
