"""GenAI spans of OpenTelemetry: the model that answered is on record by itself."""

import json

import pytest

from nightproof import Contract, ModelPin, StepFailed, job, step
from nightproof.provenance.served import served_of

pytestmark = pytest.mark.sqlite_only

trace = pytest.importorskip("opentelemetry.trace")
sdk = pytest.importorskip("opentelemetry.sdk.trace")

CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-5-2026-01-01",
    "gen_ai.response.model": "gpt-5-2026-01-01",
    "gen_ai.response.id": "chatcmpl-1",
    "openai.response.system_fingerprint": "fp_1",
    "openai.response.service_tier": "default",
}


class Asking(Contract):
    """A contract with a pin."""

    task: str = "asking"
    model: ModelPin = ModelPin(id="gpt-5", pinned_version="gpt-5-2026-01-01")


@pytest.fixture
def provider(monkeypatch):
    """The global tracer provider of a test; a real one can be set only once in a process."""
    found = sdk.TracerProvider(shutdown_on_exit=False)
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: found)
    return found


def spanning(night, provider, *spans, contract=None):
    """What is on record of a run whose step makes `spans`, and its outcome."""

    @step
    def ask() -> None:
        tracer = provider.get_tracer("test")
        for attributes in spans:
            with tracer.start_as_current_span("chat", attributes=attributes):
                pass

    @job
    async def main(contract: Asking) -> None:
        await ask()

    outcome = night.run(main, contract or Asking())

    async def find(app):
        row = await app.journal.find(outcome.name)
        return await served_of(app.journal, row.id)

    return night.ask(find), outcome


def test_an_inference_span_is_recorded_with_its_step(night, provider):
    """Provider, requested, reported, fingerprint, id and service tier; the contract's pin."""
    (found,), _ = spanning(night, provider, CHAT)
    assert (found.step.rpartition(".")[2], bool(found.fp)) == ("ask", True)
    assert found[2:9] == (
        "openai", "gpt-5-2026-01-01", {"service_tier": "default"}, "gpt-5-2026-01-01", "fp_1",
        "chatcmpl-1", "matched",
    )  # fmt: skip
    assert found.pin == "gpt-5"
    assert (found.request_digest, found.response_digest) == (None, None)


def test_older_names_are_read_too(night, provider):
    """gen_ai.system and gen_ai.openai.… are what instrumentations wrote before."""
    old = {
        "gen_ai.system": "openai",
        "gen_ai.request.model": "gpt-5",
        "gen_ai.response.model": "gpt-5",
        "gen_ai.openai.response.system_fingerprint": "fp_0",
    }
    (found,), _ = spanning(night, provider, old)
    assert (found.provider, found.fingerprint, found.status) == ("openai", "fp_0", "alias echoed")


def test_messages_in_a_span_give_digests(night, provider):
    """The same answer under other ids is the same; another parameter is another request."""

    def with_messages(id, seed, call):
        parts = [{"type": "tool_call", "id": call, "name": "f", "arguments": {"id": 1}}]
        return {
            **CHAT,
            "gen_ai.response.id": id,
            "gen_ai.request.seed": seed,
            "gen_ai.input.messages": json.dumps([{"role": "user", "parts": []}]),
            "gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": parts}]),
        }

    found, _ = spanning(
        night, provider,
        with_messages("a", 7, "call_1"), with_messages("b", 7, "call_2"),
        with_messages("c", 8, "call_3"),
    )  # fmt: skip
    assert len({one.response_digest for one in found}) == 1
    first, second, third = (one.request_digest for one in found)
    assert first == second != third


@pytest.mark.parametrize(
    "other",
    [
        {"http.request.method": "POST"},
        {**CHAT, "gen_ai.operation.name": "invoke_agent"},
        {**CHAT, "gen_ai.operation.name": "execute_tool"},
        {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "error.type": "429"},
        {"gen_ai.operation.name": "chat"},
    ],
)
def test_other_spans_are_left_alone(night, provider, other):
    """Agents and tools hold inference spans; a request that failed has no answer."""
    found, outcome = spanning(night, provider, other)
    assert (found, outcome.error) == ([], None)


def test_one_response_is_recorded_once(night, provider):
    """Two instrumentations of one call tell of the same response."""
    found, _ = spanning(night, provider, CHAT, CHAT, {**CHAT, "gen_ai.response.id": "chatcmpl-2"})
    assert [one.response_id for one in found] == ["chatcmpl-1", "chatcmpl-2"]


def test_a_provider_is_watched_once(night, provider):
    """A second run in the process does not record everything twice."""
    nameless = {name: value for name, value in CHAT.items() if name != "gen_ai.response.id"}
    spanning(night, provider, nameless)
    again = Asking(model=ModelPin(id="other", pinned_version="other-001"))
    found, _ = spanning(night, provider, nameless, contract=again)
    assert [one.pin for one in found] == [None]


def test_a_pin_that_halts_fails_the_step(night, provider):
    """The mismatch comes out of the end of the span, into the step that asked."""
    pin = ModelPin(id="gpt-5", pinned_version="gpt-5-2026-01-01", on_mismatch="halt")
    other = {**CHAT, "gen_ai.response.model": "gpt-4-0613"}
    found, outcome = spanning(night, provider, other, contract=Asking(model=pin))
    assert isinstance(outcome.error, StepFailed)
    assert outcome.error.type == "ModelMismatch"
    assert [one.reported for one in found] == ["gpt-4-0613"]


def test_spans_outside_a_run_are_nobody_s(night, provider):
    """The processor stays with the provider and does nothing."""
    spanning(night, provider, CHAT)
    with provider.get_tracer("test").start_as_current_span("chat", attributes=CHAT):
        pass
