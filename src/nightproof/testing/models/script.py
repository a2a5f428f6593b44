"""What a model server does: which version answers to which name, and how."""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from nightproof.errors import UsageError

Share = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )


class Fault(_Part):
    """An error that the first `times` requests get, each in its provider's own form.

    `status` 0 closes the connection without an answer. `retry_after` is in seconds.
    """

    status: Annotated[int, Field(ge=0, le=599)]
    times: Annotated[int, Field(ge=1)] = 1
    retry_after: Annotated[float, Field(ge=0)] | None = None
    message: str = ""


class Route(_Part):
    """How one requested name is served."""

    version: str | None = None
    """The version that answers; None: the requested name itself."""
    reports: Literal["version", "alias", "nothing"] = "version"
    """What the answer names as its model: the version, the requested name, or nothing."""
    fingerprint: str | None = None
    """OpenAI's ``system_fingerprint``. By itself it changes nothing in the answer:
    for a changed backend, change `system_prompt` with it."""
    system_prompt: str = ""
    """A prompt that the provider puts before the request's own, unseen."""
    tools: tuple[str, ...] = ()
    """Tools that the provider gives the model, unseen."""
    fallback: str | None = None
    """A version that answers instead, in `fallback_rate` of the requests."""
    fallback_rate: Share = 1.0
    sampling: Share = 0.0
    """The share of answers that come out differently, for one and the same request."""
    seed: Literal["honoured", "ignored"] = "honoured"
    """Honoured: a request with a seed is not sampled, and another seed is another answer."""
    errors: tuple[Fault, ...] = ()


class Scripted(_Part):
    """A text for requests whose own text holds `contains`.

    In `text`, ``$variant`` is a word that differs wherever the answers would differ,
    and ``$version`` is the version that answers; without them the text is always
    the same.
    """

    text: str
    contains: str = ""


class Script(_Part):
    """The behaviour of a model server; JSON in camelCase.

    `models` names what can be asked for; `default` serves every other name, and
    None refuses it with 404. The first of `answers` that fits gives the text;
    where none does, the text is made of words that say nothing. `random_seed`
    decides which answers are the sampled ones.
    """

    models: Mapping[str, Route] = Field(default_factory=dict)
    default: Route | None = Route()
    answers: tuple[Scripted, ...] = ()
    random_seed: int = 0

    @classmethod
    def load(cls, source: Script | Mapping[str, Any] | str | PathLike[str] | bytes) -> Script:
        """A script from a mapping, from JSON (bytes) or from the path of a JSON file.

        Raises UsageError that says which field is wrong.
        """
        if isinstance(source, Script):
            return source
        where = "the script"
        if isinstance(source, (str, PathLike)):
            where = f"the script {source}"
            try:
                source = Path(source).read_bytes()
            except OSError as error:
                reason = error.strerror or error
                raise UsageError(f"{where} cannot be read: {reason}", "Check the path.") from None
        if isinstance(source, bytes):
            try:
                source = json.loads(source)
            except ValueError as error:
                raise UsageError(f"{where} is not JSON: {error}") from None
        try:
            return cls.model_validate(source)
        except ValidationError as error:
            lines = [
                f"{'.'.join(map(str, one['loc'])) or 'document'}: {one['msg']}"
                for one in error.errors(include_url=False, include_input=False)
            ]
            raise UsageError(
                f"{where} is not valid: {'; '.join(lines)}",
                'Write {"models": {"NAME": {"version": "NAME-001"}}}; '
                "the fields are those of nightproof.testing.models.Route.",
            ) from None

    def to_json(self) -> bytes:
        """The script as JSON."""
        return self.model_dump_json(by_alias=True).encode()

    def route(self, name: str) -> Route | None:
        """How `name` is served; None where it is refused."""
        return self.models.get(name, self.default)
