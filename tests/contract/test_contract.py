"""The contract: what it accepts, what it refuses and how, and its digest."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field, SecretStr, ValidationError

from nightproof.contract import Contract, ContractModel, Dataset, ModelPin, Window, check, schema
from nightproof.errors import ContractError, MisuseError
from nightproof.model.canonical import digest

Weekly = Callable[..., dict[str, Any]]
Class = type[Any]


def refused(contract_class: Class, source: Any) -> str:
    """The message with which `check` refuses `source`."""
    with pytest.raises(ContractError) as caught:
        check(contract_class, source)
    return str(caught.value)


def test_the_weekly_contract_is_accepted_verbatim(weekly: Weekly, weekly_class: Class) -> None:
    """The exact JSON of the first job loads, and its digest is that of the file's JSON."""
    contract = check(weekly_class, json.dumps(weekly()).encode())
    assert contract.inputs.site_id == "fx-desk"
    assert contract.model.seed == 7
    assert contract.prompt_template_id == "weekly-report@7"
    assert contract.digest == digest(weekly())


def test_golden_digest(weekly: Weekly, weekly_class: Class) -> None:
    """No release may change what an existing contract's digest is."""
    contract = weekly_class.load(weekly(inputs__datasetSha256="0" * 64))
    assert contract.digest == (
        "sha256:7c561be6f4aa271fd7dea19358eceb4e5e756914072ac51f27b5abb4577b01da"
    )


def test_zero_and_null_do_not_change_the_digest(weekly: Weekly, weekly_class: Class) -> None:
    """0 and 0.0 are one number; null and absent are one state."""
    expected = weekly_class.load(weekly()).digest
    assert weekly_class.load(weekly(model__temperature=0.0)).digest == expected
    assert weekly_class.load(weekly(model__params=None)).digest == expected
    assert weekly_class.load(weekly(model__temperature=0.1)).digest != expected
    assert weekly_class.load(weekly(model__temperature=None)).digest != expected


def test_json_round_trip(weekly: Weekly, weekly_class: Class) -> None:
    """What to_json writes is the same contract again, in camelCase."""
    contract = weekly_class.load(weekly())
    again = weekly_class.load(contract.to_json())
    assert again == contract
    assert again.digest == contract.digest
    assert '"periodStart": "2026-10-19T00:00:00+02:00"' in contract.to_json()


def test_load_takes_path_bytes_text_and_mapping(
    weekly: Weekly, weekly_class: Class, tmp_path: Path
) -> None:
    """One contract, however it arrives; a file also says where relative URIs start."""
    text = json.dumps(weekly())
    path = tmp_path / "week.json"
    path.write_text(text, encoding="utf-8")
    loaded = [weekly_class.load(each) for each in (path, str(path), text, text.encode(), weekly())]
    assert len({contract.digest for contract in loaded}) == 1
    assert loaded[0].source_folder == tmp_path
    assert loaded[2].source_folder is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "is empty"),
        (b"{", "is not JSON: Expecting property name"),
        (b'{"a": 1,}', "line 1, column"),
        (b"[]", "is a list, and a contract is one JSON object"),
        (b'"last week"', 'is "last week", and a contract is one JSON object'),
        (b"\xff\xfe\x00", "is not JSON"),
        (b'{"task": NaN}', "NaN is not a JSON number"),
        (b'{"task": "a", "task": "b"}', "the field 'task' is there twice"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_not_a_json_object(weekly_class: Class, text: bytes, said: str) -> None:
    """A file that is not one JSON object is refused in one line with its name."""
    assert said in refused(weekly_class, text)


def test_there_is_no_such_file(weekly_class: Class, tmp_path: Path) -> None:
    """A missing file and a directory are named, with what to do."""
    assert "there is no contract at" in refused(weekly_class, tmp_path / "none.json")
    assert "is a directory" in refused(weekly_class, tmp_path)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"inputs__siteid": "x"}, "inputs.siteid: is not a field here; did you mean siteId?"),
        ({"colour": "red"}, "colour: is not a field here; remove it, or declare it"),
        ({"inputs__siteId": ...}, "inputs.siteId: is missing; add the field"),
        ({"inputs__siteId": 5}, "inputs.siteId: is 5; write text"),
        ({"inputs": "x"}, 'inputs: is "x"; write an object'),
        ({"task": "daily"}, 'task: is "daily"; write "weekly-report"'),
        ({"contractVersion": "2"}, 'contractVersion: is "2"; write "1"'),
        (
            {"inputs__periodStart": "2026-10-19T00:00:00"},
            'inputs.periodStart: "2026-10-19T00:00:00" has no offset; write date, time and offset',
        ),
        ({"inputs__periodStart": "last week"}, 'inputs.periodStart: "last week" is relative'),
        (
            {"inputs__periodStart": "2026-10-19"},
            'inputs.periodStart: "2026-10-19" is not a date with a time; write date',
        ),
        ({"inputs__periodStart": 1792360800}, "inputs.periodStart: 1792360800 is not a date"),
        ({"inputs__periodEnd": "2026-10-12T00:00:00Z"}, "inputs.periodEnd: the period ends at"),
        ({"inputs__datasetSha256": ...}, "inputs.datasetSha256: the dataset has no hash; write"),
        ({"inputs__datasetSha256": "…"}, "inputs.datasetSha256: this is not a sha256"),
        ({"inputs__datasetUri": "rates.csv"}, 'inputs.datasetUri: "rates.csv" is not a URI; write'),
        (
            {"model__pinnedVersion": "gemini-3.5-flash"},
            'model.pinnedVersion: "gemini-3.5-flash" is the id itself, which is an alias; write',
        ),
        ({"model__pinnedVersion": ...}, "model.pinnedVersion: is missing, so the model is not"),
        ({"model__seed": 2**53}, 'model.seed: the seed is beyond 2^53 - 1; write it as text: "9'),
        ({"model__seed": "0x7"}, "model.seed: the seed is not a decimal number"),
        ({"model__seed": 1.5}, "model.seed: the seed is not a whole number"),
        ({"model__seed": True}, "model.seed: the seed is not a whole number"),
        ({"promptTemplateId": "weekly-report"}, 'promptTemplateId: "weekly-report" has no version'),
        ({"inputs__apiKey": "hunter2"}, "inputs.apiKey: this is a secret by its name; take it out"),
    ],
)
def test_bad_input_has_one_line(
    weekly: Weekly, weekly_class: Class, changes: dict[str, Any], line: str
) -> None:
    """Each mistake is one line: the field in camelCase, what is wrong, what to write."""
    said = refused(weekly_class, json.dumps(weekly(**changes)))
    assert said.startswith(f"the contract is refused: {line}")
    assert "pydantic" not in said
    assert said.count("\n") == 0
    assert "hunter2" not in said


def test_all_problems_are_shown_at_once(weekly: Weekly, weekly_class: Class) -> None:
    """Form and lint are reported together, each field once."""
    document = weekly(
        inputs__siteId=5, inputs__periodStart="yesterday", model__pinnedVersion="x-latest", extra=1
    )
    lines = refused(weekly_class, document).splitlines()
    assert lines[0] == "the contract is refused, 4 problems:"
    assert sorted(line.split(":")[0].strip() for line in lines[1:]) == [
        "extra",
        "inputs.periodStart",
        "inputs.siteId",
        "model.pinnedVersion",
    ]


def test_the_number_that_json_cannot_keep() -> None:
    """A whole number beyond 2^53 is refused on loading, with its place."""

    class Counted(Contract):
        task: str = "t"
        counts: list[int]

    with pytest.raises(ContractError, match=r"counts\[1\]: 9007199254740993 is beyond"):
        Counted.load({"counts": [1, 2**53 + 1]})


def test_union_branches_are_not_part_of_the_path() -> None:
    """A value that fits no branch of a union is one field, not one per branch."""

    class Either(Contract):
        task: str = "t"
        level: int | bool | list[int]

    with pytest.raises(ContractError) as caught:
        Either.load({"level": {"a": 1}})
    assert caught.value.message.startswith("the contract is refused: level: is an object")


class Part(ContractModel):
    names: list[str]


class Whole(Contract):
    task: str = "whole"
    part: Part
    parts: list[Part] = Field(default=[])
    table: dict[str, list[int]] = Field(default={})
    at: datetime | None = None
    amount: Decimal | None = None


@pytest.fixture
def whole() -> Whole:
    return Whole(part=Part(names=["a"]), parts=[Part(names=["b"])], table={"x": [1]})


CHANGES: dict[str, Callable[[Whole], Any]] = {
    "append": lambda c: c.part.names.append("z"),
    "clear": lambda c: c.parts.clear(),
    "sort": lambda c: c.parts[0].names.sort(),
    "extend": lambda c: c.table["x"].extend([2]),
    "update": lambda c: c.table.update(y=[]),
    "pop": lambda c: c.table.pop("x"),
    "set item": lambda c: c.table.__setitem__("x", []),
    "add in place": lambda c: c.part.names.__iadd__(["z"]),
    "delete item": lambda c: c.part.names.__delitem__(0),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_frozen_all_the_way_down(whole: Whole, change: Callable[[Whole], Any]) -> None:
    """A change of a list or dict in a contract fails where it is tried, and changes nothing."""
    before = whole.digest
    with pytest.raises(MisuseError, match="a contract does not change"):
        change(whole)
    assert Whole.load(whole.to_json()).digest == before


def test_fields_are_frozen(whole: Whole) -> None:
    """Assigning a field is refused too."""
    with pytest.raises(ValidationError, match="frozen"):
        whole.task = "other"


def test_copies_of_containers_are_ordinary(whole: Whole) -> None:
    """list(), copy and deepcopy give what a job may work on; JSON and pickling go through."""
    for made in (copy.copy(whole.part.names), copy.deepcopy(whole.part.names)):
        made.append("z")
    table = copy.deepcopy(whole.table)
    table["x"].append(2)
    copy.copy(whole.table)["y"] = []
    assert json.dumps(whole.table) == '{"x": [1]}'
    again = pickle.loads(pickle.dumps(whole))
    assert again == whole
    with pytest.raises(MisuseError):
        again.part.names.append("z")
    assert whole.part.names == ["a"]


def test_a_changed_copy_is_another_contract(whole: Whole) -> None:
    """model_copy validates, and the copy has a digest of its own."""
    taken = whole.digest
    other = whole.model_copy(update={"task": "other"})
    assert other.digest != taken
    assert other.digest == digest(json.loads(other.to_json()))
    assert whole.model_copy() == whole
    with pytest.raises(ValidationError):
        whole.model_copy(update={"task": 5})


def test_naive_times_are_refused_in_any_field() -> None:
    """A field declared as plain datetime still needs an offset, and so does one in a list."""
    with pytest.raises(ContractError, match=r"at: the time has no offset; write date"):
        Whole.load({"part": {"names": []}, "at": "2026-10-19T00:00:00"})
    with pytest.raises(ValidationError, match="no offset"):
        Whole(part=Part(names=[]), at=datetime(2026, 1, 1))  # noqa: DTZ001


def test_values_without_a_lasting_digest_are_refused() -> None:
    """Sets, secrets and models that can change are mistakes of the job, said as such."""

    class Loose(BaseModel):
        x: int = 1

    @dataclass
    class Data:
        x: int = 1

    class Bad(Contract):
        task: str = "t"
        tags: set[str] | None = None
        key: SecretStr | None = None
        loose: Loose | Data | list[Loose] | None = None

    for field, value, said in [
        ("tags", {"a"}, "tags is a set"),
        ("key", "x", "key is a secret"),
        ("loose", Loose(), "loose is a Loose"),
        ("loose", Data(), "loose is a Data"),
        ("loose", [Loose()], r"loose\[0\] is a Loose"),
    ]:
        with pytest.raises(MisuseError, match=said):
            Bad.model_validate({field: value})


def test_rich_types_keep_their_digest_through_json() -> None:
    """Decimal, date, enum, bytes and nested parts give one digest live and loaded."""

    class Colour(StrEnum):
        RED = "red"

    class Rich(Contract):
        task: str = "rich"
        amount: Decimal
        day: date
        colour: Colour
        raw: bytes
        fx: Dataset
        windows: tuple[Window, ...]

    live = Rich(
        amount=Decimal("0.10"),
        day=date(2026, 10, 19),
        colour=Colour.RED,
        raw=b"\xff\x00",
        fx=Dataset(uri="file:x", sha256="0" * 64),
        windows=(Window.day(date(2026, 10, 25), "Europe/Berlin"),),
    )
    loaded = Rich.load(live.to_json())
    assert loaded == live
    assert loaded.digest == live.digest


def test_model_pin_takes_large_seeds_and_provider_parameters() -> None:
    """A 64-bit seed is text; parameters in the provider's words are kept and frozen."""
    pin = ModelPin(id="m", pinned_version="m-001", seed=str(2**63), params={"top_k": [1, None]})
    assert pin.seed_value == 2**63
    assert ModelPin(id="m", pinned_version="m-001").seed_value is None
    with pytest.raises(MisuseError):
        pin.params["top_k"] = 2  # type: ignore[index]
    with pytest.raises(ValidationError):
        ModelPin(id="m", pinned_version="m-001", temperature=float("nan"))


def test_schema_names_fields_as_json_does(weekly_class: Class) -> None:
    """The JSON Schema is by alias, closed, and carries the patterns."""
    made = schema(weekly_class)
    inputs = made["$defs"]["Inputs"]
    assert inputs["additionalProperties"] is False
    assert inputs["properties"]["datasetSha256"]["pattern"] == "^[0-9a-f]{64}$"
    assert made["properties"]["promptTemplateId"]["pattern"].endswith("@[1-9][0-9]*$")
    assert "contractVersion" in made["properties"]


def test_a_contract_made_in_python_is_checked_too() -> None:
    """`check` lints a contract object and hands the same one back."""

    class Plain(Contract):
        task: str = "p"
        since: str

    clean = Plain(since="2026-10-19")
    assert check(Plain, clean) is clean
    assert 'since: "yesterday" is relative' in refused(Plain, Plain(since="yesterday"))


def test_hidden_fields_do_not_count(whole: Whole) -> None:
    """Taking the digest or naming the folder changes neither equality nor JSON."""
    other = Whole.model_validate(whole.model_dump()).in_folder("/elsewhere")
    assert whole.digest
    assert whole == other
    assert "folder" not in other.to_json()
    assert whole.model_copy(update={"at": datetime(2026, 1, 1, tzinfo=UTC)}) != whole
