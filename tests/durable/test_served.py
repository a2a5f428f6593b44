"""`served`: which model answered is on record, with the step that asked."""

import pytest

from nightproof import Contract, ModelMismatch, ModelPin, StepFailed, effect, job, served, step
from nightproof.errors import MisuseError
from nightproof.provenance.served import decoded, served_of

pytestmark = pytest.mark.sqlite_only


class Asking(Contract):
    """A contract with a pin."""

    task: str = "asking"
    model: ModelPin = ModelPin(id="flash", pinned_version="flash-002")


HALTING = Asking(model=ModelPin(id="flash", pinned_version="flash-002", on_mismatch="halt"))
ANSWER = {
    "candidates": [{"content": {"parts": [{"text": "Hi"}]}}],
    "modelVersion": "flash-002",
    "responseId": "r1",
}


def on_record(night, outcome):
    """What the journal says of the models of a run."""

    async def find(app):
        row = await app.journal.find(outcome.name)
        return await served_of(app.journal, row.id)

    return night.ask(find)


def asking(**said):
    """A job with one plain step (a thread) that records `said`."""

    @step
    def ask(n: int) -> str:
        return served(**{"requested": "flash-002", **said})

    @job
    async def main(contract: Asking) -> str:
        return await ask(1)

    return main


def test_an_answer_is_recorded_with_its_step(night):
    """All that was said, the pin of the contract that it goes by, and digests."""
    main = asking(
        reported="models/flash-003", fingerprint="fp_1", provider="gemini",
        accepted={"seed": 7}, response_id="r1", request={"q": 1}, response="text",
    )  # fmt: skip
    outcome = night.run(main, Asking())
    assert outcome.value == "mismatched"
    (found,) = on_record(night, outcome)
    (entry,) = night.entries(outcome.name, 1)
    assert (found.step, found.fp) == ("asking.ask", entry.fp.hex())
    assert found[2:9] == (
        "gemini", "flash-002", {"seed": 7}, "models/flash-003", "fp_1", "r1", "mismatched",
    )  # fmt: skip
    assert found.pin == "flash"
    assert found.request_digest.startswith("sha256:")
    assert found.request_digest != found.response_digest
    assert found.at > 0
    (note,) = night.notes(outcome.name, "served")
    assert decoded(note, found.at) == found
    assert {"responseId", "requestDigest", "responseDigest", "message"} <= set(note)
    assert "asked for flash-002, answered by models/flash-003: mismatched" in note["message"]


def test_another_model_is_told_at_the_end_of_the_run(night):
    """Once, however often it answered; what is only unverified is not."""

    @step
    def ask(n: int) -> str:
        return served(requested="flash-002", reported="flash-003" if n else "flash")

    @job
    async def main(contract: Asking) -> list[str]:
        return await ask.map([0, 1, 2, 3])

    (told,) = night.run(main, Asking()).divergences
    assert told["step"].endswith("ask")
    assert "answered by flash-003: mismatched" in told["message"]


def test_a_replay_asks_and_records_nothing(night):
    """The step is not run again, so no model answers again."""
    main = asking(reported="flash-002")
    night.run(main, Asking())
    outcome = night.run(main, Asking())
    assert outcome.from_record
    assert len(on_record(night, outcome)) == 1


def test_effects_and_the_body_can_ask_too(night):
    """An effect by its name; the body by none."""

    @effect(key="told/{n}")
    async def tell(n: int) -> str:
        return served(requested="flash", reported="flash")

    @job
    async def main(contract: Asking) -> str:
        served(requested="other-model")
        return await tell(1)

    found = on_record(night, night.run(main, Asking()))
    assert [(one.step.rpartition(".")[2], one.status, one.pin) for one in found] == [
        ("", "not reported", None),
        ("tell", "alias echoed", "flash"),
    ]
    assert found[0].fp == ""


def test_a_mismatch_halts_where_the_pin_says_so(night):
    """The step fails for good, names both versions, and the answer is on record."""
    tries = []

    @step
    async def ask() -> str:
        tries.append(1)
        return served(requested="flash-002", reported="flash-003")

    @job
    async def main(contract: Asking) -> str:
        return await ask()

    outcome = night.run(main, HALTING)
    assert isinstance(outcome.error, StepFailed)
    assert outcome.error.type == "ModelMismatch"
    assert "pins model 'flash' to flash-002, but flash-003 answered" in str(outcome.error)
    assert len(tries) == 1
    assert [one.reported for one in on_record(night, outcome)] == ["flash-003"]


@pytest.mark.parametrize("reported", ["flash-002", "flash", None])
def test_only_a_mismatch_halts(night, reported):
    """What is merely unverified does not."""
    outcome = night.run(asking(reported=reported), HALTING)
    assert outcome.error is None


def test_a_pin_can_be_given(night):
    """It wins over the contract's."""
    pin = ModelPin(id="other", pinned_version="flash-003", on_mismatch="halt")
    outcome = night.run(asking(reported="flash-003", pin=pin), Asking())
    (found,) = on_record(night, outcome)
    assert (found.status, found.pin) == ("matched", "other")


def test_a_response_says_it_all(night):
    """Requested, reported, ids and digests, from the provider's own JSON."""

    @step
    def ask() -> str:
        return served.from_response({"contents": []}, ANSWER, requested="flash-002")

    @job
    async def main(contract: Asking) -> str:
        return await ask()

    outcome = night.run(main, Asking())
    (found,) = on_record(night, outcome)
    assert (found.provider, found.status, found.response_id) == ("gemini", "matched", "r1")


def test_a_whole_response_in_words_counts_without_its_ids(night):
    """The same answer under another id is the same answer."""

    @step
    def ask(n: int) -> str:
        return served(requested="flash-002", response={**ANSWER, "responseId": f"r{n}"})

    @job
    async def main(contract: Asking) -> str:
        return await ask(1) + await ask(2)

    first, second = on_record(night, night.run(main, Asking()))
    assert first.fp != second.fp
    assert first.response_digest == second.response_digest


def test_outside_a_run_there_is_only_the_status():
    """Nothing to record in; a pin that halts does so in a unit test too."""
    assert served(requested="flash-002", reported="flash-002") == "matched"
    request = {"model": "gpt-5", "messages": []}
    response = b'{"object": "chat.completion", "model": "gpt-5", "choices": []}'
    assert served.from_response(request, response) == "alias echoed"
    with pytest.raises(ModelMismatch, match=r"to flash-002, but flash-003 answered"):
        served(requested="flash-002", reported="flash-003", pin=HALTING.model)


class Dumped:
    """As the objects of the SDKs."""

    def model_dump(self, mode: str, by_alias: bool) -> dict:
        return {"candidates": [], "modelVersion": "flash-002"}


def test_the_objects_of_sdks_are_read():
    """They are asked for their JSON."""
    assert served.from_response({"model": "flash-002"}, Dumped(), provider="x") == "matched"


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: served(requested=""), "not a model's name"),
        (lambda: served.from_response({}, ANSWER), "does not name its model"),
        (lambda: served.from_response({"model": "m"}, {"text": "x"}), "no format"),
        (lambda: served.from_response("{", ANSWER), "request is not a JSON object"),
        (lambda: served.from_response({"model": "m"}, b"[1]"), "response is not a JSON object"),
    ],
)
def test_misuse_is_said_in_words(call, word):
    """One message with what to write."""
    with pytest.raises(MisuseError, match=word):
        call()
