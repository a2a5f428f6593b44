"""Lint: what makes a contract mean something else tomorrow, or show a secret."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from nightproof.contract.base import Contract
from nightproof.contract.findings import Finding, distinct, join, shown
from nightproof.contract.patterns import (
    HEX,
    HEX_HINT,
    PROMPT,
    PROMPT_HINT,
    alias_fault,
    sha256_fault,
    uri_keys,
)
from nightproof.contract.reading import TIME_LIKE
from nightproof.contract.secrets import secret_key, secret_kind, words_of
from nightproof.contract.uris import fault

PERIOD_HINT = (
    "write the date it stands for, or start and end like 2026-10-19T00:00:00+02:00 "
    "(`nightproof contract new` fills them in)"
)
PIN_HINT = (
    "write the version that the provider lists, one that ends in a version or date, "
    "like gemini-3.5-flash-002"
)
REMOVAL_HINT = (
    "take it out and replace it at its issuer; read it from the environment inside a step, and "
    "name at most the variable here (apiKeyEnv)"
)

OPEN_HINT = (
    "datasets are fetched without credentials: replace this one at its issuer, download the file "
    "and name it (file:data/rates.csv), or write an address that needs none"
)


def lint(contract: Contract | Mapping[str, Any]) -> list[Finding]:
    """Everything in `contract` (or its raw JSON) that a run must not depend on.

    Relative periods, times without offset, periods that end before they start,
    datasets without a proper sha256, model aliases, prompts without a version,
    secrets. Every finding is an error; secrets are never part of a message.
    """
    if isinstance(contract, Contract):
        contract = contract.model_dump(mode="json", by_alias=True)
    # of several findings about one field, that of a secret must not be lost
    return distinct(sorted(_walk(contract, "", ""), key=lambda found: found.rule != "secret"))


def _walk(value: Any, path: str, key: str) -> Iterator[Finding]:
    if isinstance(value, Mapping):
        for rule in _OBJECT_RULES:
            yield from rule(value, path, key)
        for name, item in value.items():
            yield from _walk(item, join(path, str(name)), str(name))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _walk(item, join(path, index), key)
    elif isinstance(value, str):
        for check in _TEXT_RULES:
            if finding := check(value, path, key):
                yield finding
                break
    elif isinstance(value, datetime) and value.utcoffset() is None:
        yield Finding(path, "the time has no offset", TIME_LIKE, "naive-time")


def _secret(value: str, path: str, key: str) -> Finding | None:
    if kind := secret_kind(value):
        return Finding(path, f"this looks like {kind}", REMOVAL_HINT, "secret")
    if value and secret_key(key):
        return Finding(path, "this is a secret by its name", REMOVAL_HINT, "secret")
    return None


_PERIOD_WORDS = frozenset(
    "interval date dates day days week weeks month months "
    "quarter year start end begin from to until since till before after time timestamp asof at "
    "lookback horizon of".split()
)
_PERIODS = frozenset("period periods window windows range".split())


@cache
def _relative() -> re.Pattern[str]:
    unit = r"(?:seconds?|minutes?|hours?|days?|nights?|weeks?|weekends?|months?|quarters?|years?)"
    name = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
    return re.compile(
        rf"""(?ix) \b(?: yesterday | today | tonight | tomorrow | now | latest | recent
          | (?:week|month|quarter|year|day)[-_ ]to[-_ ]date | [wmqy]td
          | (?:this|last|next|previous|prior|past|current|coming|trailing)
              [\s_-]* (?:\d+[\s_-]*)? (?:full[\s_-]+)? (?:{unit}|{name}|night|period)
          | (?:\d+|an?|one|two|three|few|several) \s* {unit} \s+ (?:ago|back|earlier)
        )\b
        | ^ [+-] \d+ \s* (?:[smhdwy]|mo|{unit}) $     # -7d
        | ^ [+-]? P (?:\d|T\d) [0-9TYMWDHS.]* $       # P7D: how long, but not from when
        """,
    )


def _relative_period(value: str, path: str, key: str) -> Finding | None:
    words = words_of(key)
    about_time = (words[-1:] and words[-1] in _PERIOD_WORDS) or _PERIODS.intersection(words)
    if not about_time or not _relative().search(value):
        return None
    problem = f"{shown(value, path)} is relative: it means another period with every night"
    return Finding(path, problem, PERIOD_HINT, "relative-period")


@cache
def _naive() -> re.Pattern[str]:
    return re.compile(r"\d{4}-?\d\d-?\d\d[T ]\d\d:?\d\d(?::?\d\d(?:[.,]\d+)?)?", re.IGNORECASE)


def _naive_time(value: str, path: str, _key: str) -> Finding | None:
    if not value[:4].isdigit() or not _naive().fullmatch(value.strip()):
        return None
    return Finding(path, f"{shown(value, path)} has no offset", TIME_LIKE, "naive-time")


def _prompt(value: str, path: str, key: str) -> Finding | None:
    if "rompt" not in key.lower() or PROMPT.fullmatch(value):
        return None
    if not "".join(words_of(key)).endswith(_PROMPT_ENDINGS):
        return None
    if any(char.isspace() for char in value):
        instead = (
            "keep the text in a template file, prompts/NAME@1.md, and write its id, like "
            "weekly-report@7"
        )
        return Finding(path, "this is a prompt's text, not its id", instead, "prompt")
    return Finding(path, f"{shown(value, path)} has no version", PROMPT_HINT, "prompt")


_PROMPT_ENDINGS = tuple(
    f"prompt{what}{many}" for what in ("", "id", "template", "templateid") for many in ("", "s")
)


def _model_name(value: str, path: str, key: str) -> Finding | None:
    if key not in ("model", "modelId", "modelName", "models") or not alias_fault(value):
        return None
    problem = f"{alias_fault(value)} and not a pin"
    instead = 'write an object like {"id": …, "pinnedVersion": …}; ' + PIN_HINT
    return Finding(path, problem, instead, "model-alias")


def _model_pin(value: Mapping[str, Any], path: str, key: str) -> Iterator[Finding]:
    name = value.get("id", value.get("name"))
    if "pinnedVersion" not in value:
        holder = words_of(key)[-1:] in (("model",), ("models",))
        if holder and isinstance(name, str):
            at = join(path, "pinnedVersion")
            yield Finding(at, "is missing, so the model is not pinned", PIN_HINT, "model-alias")
        return
    version = value["pinnedVersion"]
    problem = "is not text"
    if isinstance(version, str):
        problem = alias_fault(version, name if isinstance(name, str) else None)
    if problem:
        yield Finding(join(path, "pinnedVersion"), problem, PIN_HINT, "model-alias")


_DATA = frozenset("data dataset datasets file files input source archive dump csv".split())
_NOT_DATA = frozenset(
    "output out sink target destination callback webhook endpoint base service api server site "
    "redirect report channel result upload repo repository home page docs".split()
)


def _is_data(uri_key: str, parent: str) -> bool:
    """Whether an address without a hash is one the run reads: a web page's is often not."""
    words = {*words_of(uri_key), *words_of(parent)}
    return bool(words & _DATA) if "url" in words else not words & _NOT_DATA


def _dataset(value: Mapping[str, Any], path: str, key: str) -> Iterator[Finding]:
    pairs = dict(uri_keys(value))
    for uri_key, sha_key in pairs.items():
        uri, sha256 = value[uri_key], value.get(sha_key)
        if not isinstance(uri, str) or (sha256 is None and not _is_data(uri_key, key)):
            continue
        if sha256 is None:
            yield Finding(join(path, sha_key), "the dataset has no hash", HEX_HINT, "dataset-hash")
        elif not isinstance(sha256, str) or not HEX.fullmatch(sha256):
            problem = sha256_fault(sha256) if isinstance(sha256, str) else "this is not a sha256"
            yield Finding(join(path, sha_key), problem, HEX_HINT, "dataset-hash")
        if kind := secret_kind(uri):
            yield Finding(join(path, uri_key), f"this looks like {kind}", OPEN_HINT, "secret")
        elif wrong := fault(uri):
            yield Finding(join(path, uri_key), *wrong, "dataset-uri")
    for other, uri in value.items():
        if other not in pairs and isinstance(uri, str) and uri.startswith(("file:", "s3:", "gs:")):
            yield Finding(
                join(path, other),
                "this names a file without its hash",
                f'write {{"uri": …, "sha256": …}}; {HEX_HINT}',
                "dataset-hash",
            )


def _order(value: Mapping[str, Any], path: str, _key: str) -> Iterator[Finding]:
    for key, start in value.items():
        if key != "start" and not key.endswith("Start"):
            continue
        end_key = "end" if key == "start" else key.removesuffix("Start") + "End"
        begin, end = _moment(start), _moment(value.get(end_key))
        if begin and end and end <= begin:
            problem = f"the period ends at {shown(value[end_key])}, not after its start"
            instead = "write an end after the start; the end itself is not part of the period"
            yield Finding(join(path, end_key), problem, instead, "period-order")


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


_TEXT_RULES: tuple[Callable[[str, str, str], Finding | None], ...] = (
    _secret,
    _relative_period,
    _naive_time,
    _prompt,
    _model_name,
)
_OBJECT_RULES: tuple[Callable[[Mapping[str, Any], str, str], Iterator[Finding]], ...] = (
    _model_pin,
    _dataset,
    _order,
)
