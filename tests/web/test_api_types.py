"""The API's description says exactly what a document holds: no field is just an object or a text."""

import ast
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from nightproof.observe import incident
from nightproof.views.documents.nights import IncidentView
from nightproof.views.timeline import LineKind
from nightproof.web.api import words
from nightproof.web.api.description import description

JSON = {"$ref": "#/components/schemas/Json"}
USERS_OWN = {
    ("DivergenceNote", "arguments"), ("DivergenceNote", "now"), ("DivergenceNote", "recorded"),
    ("EffectView", "inputs"), ("InputView", "contract"), ("ItemWhole", "value"),
    ("LedgerLine", "inputs"), ("Line", "data"), ("Run", "contract"), ("Run", "result"), ("StepsItemView", "inputs"),
}  # fmt: skip
"""Fields that hold whatever a job has: any JSON."""
TEXTS = set(
    "a after argument b because before blob blind by cause children code command contract cron dataset declare "
    "declared detail digest digests effect error failed failures field file fingerprint hint host "
    "id inputs item items job key keyid kept lost manifest mediaType message missing name names "
    "next normalised normalisers note numeric of others outcome output owner path pin process "
    "prompt provider query quota raw reader reason reasons remark reported requested resets "
    "rate result resultBlob run same schedule schedules settings sha256 sharer signal spec states "
    "step steps strict subject target text title tokens money type tz undo unknown uri value "
    "waiting what where who worker problem first zone undeclared target".split()
)
"""Fields that are text of people or jobs: names, keys, digests, messages, commands."""


def schemas() -> dict[str, Any]:
    """The types of the documents, by name."""
    found = description()["components"]["schemas"]
    assert len(found) > 50
    return {name: one for name, one in found.items() if "properties" in one}


def every(schema: Any) -> list[Any]:
    """A field's type and what it is made of."""
    inner = [
        *schema.get("anyOf", ()), *schema.get("prefixItems", ()),
        *([schema["items"]] if "items" in schema else []),
    ]  # fmt: skip
    if isinstance(schema.get("additionalProperties"), dict):
        inner.append(schema["additionalProperties"])
    return [schema, *(part for one in inner for part in every(one))]


def vague(schema: dict[str, Any]) -> bool:
    """Whether it says nothing of what is there."""
    if "$ref" in schema or "anyOf" in schema or "enum" in schema or "const" in schema:
        return schema.get("$ref") == JSON["$ref"]
    if schema.get("type") == "array":
        return "items" not in schema and "prefixItems" not in schema
    if schema.get("type") == "object":
        return not schema.get("properties") and not isinstance(
            schema.get("additionalProperties"), dict
        )
    return "type" not in schema


def test_every_field_has_a_type():
    """Only what is a job's own may be any JSON, and every one of these fields is there."""
    open_ = {
        (name, field)
        for name, schema in schemas().items()
        for field, one in schema["properties"].items()
        if any(vague(part) for part in every(one))
    }
    assert open_ == USERS_OWN


def test_words_are_listed():
    """A text that is one of some words says which; what is none is known to be free."""
    free = {
        f"{name}.{field}"
        for name, schema in schemas().items()
        for field, one in schema.get("properties", {}).items()
        for part in every(one)
        if part.get("type") == "string" and not {"enum", "const", "format", "pattern"} & set(part)
        and field not in TEXTS
    }  # fmt: skip
    assert free == set()


def test_every_field_is_always_there():
    """Keys are stable: none of a document's fields may be missing."""
    for name, schema in schemas().items():
        assert set(schema["required"]) == set(schema["properties"]), name


def test_kinds_of_log_lines_are_known():
    """Whatever a run notes has its word: by the calls in the source that note it."""
    source = Path(incident.__file__).parents[1]
    noted: set[str] = set()
    for file in source.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            first = node.args[0]
            if called == "note" and len(node.args) == 2 and isinstance(first, ast.Constant):
                noted.add(str(first.value))
    assert len(noted) > 15
    assert noted <= set(get_args(LineKind))


def test_kinds_of_incidents_are_known():
    """What a watcher may tell is what the document names."""
    assert set(get_args(get_type_hints(IncidentView)["kind"])) == set(incident.KINDS)


@pytest.mark.parametrize("field", ["parked", "next", "dates"])
def test_times_are_times(field: str):
    """Moments and days are described as such, in lists too."""
    parts = [
        part
        for schema in schemas().values()
        if field in schema["properties"]
        for part in every(schema["properties"][field])
    ]
    assert {"date-time", "date"} & {part.get("format") for part in parts}


def test_types_are_told_in_words():
    """For the page: names of words, what is empty, what an object is by."""
    told = {
        name: {one.name: "".join(word.text for word in one.type) for one in words.fields(schema)}
        for name, schema in schemas().items()
    }
    assert told["ScheduleView"]["ifMissed"] == "catch up, skip, empty"
    assert told["NightView"]["status"].endswith(", skipped or empty")
    assert told["DriftDocument"]["cause"].endswith("sampling or null")
    assert told["DriftDocument"]["reasons"].startswith("object of string by input, code")
    assert told["Line"]["data"] == "object of Json"
    assert told["ArtifactPage"]["items"] == "list of ArtifactView"
    assert told["RunView"]["created"] == "time or null"
