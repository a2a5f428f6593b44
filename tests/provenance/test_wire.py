"""Who answered, read from the wire formats of four APIs."""

import ast

import pytest

from nightproof.provenance import wire

CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-5-2026-01-01",
    "service_tier": "default",
    "system_fingerprint": "fp_1",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "call_1", "function": {"name": "f", "arguments": '{"id": 1}'}}
                ],
            },
        }
    ],
    "usage": {"total_tokens": 7},
}
RESPONSES = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "gpt-5-2026-01-01",
    "status": "completed",
    "temperature": 1.0,
    "service_tier": "default",
    "output": [
        {"id": "msg_1", "type": "message", "content": [{"type": "output_text", "text": "Hi"}]}
    ],
}
GEMINI = {
    "candidates": [{"content": {"parts": [{"text": "Hi"}], "role": "model"}, "index": 0}],
    "modelVersion": "gemini-3.5-flash-002",
    "responseId": "r1",
    "usageMetadata": {"totalTokenCount": 7},
}
MESSAGES = {
    "id": "msg_1",
    "type": "message",
    "model": "claude-x-20260101",
    "content": [{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"id": 5}}],
    "stop_reason": "tool_use",
    "usage": {
        "service_tier": "standard",
        "iterations": [{"type": "message", "model": "claude-x-20260101"}],
    },
}


@pytest.mark.parametrize(
    ("response", "provider", "reported", "fingerprint", "id", "accepted"),
    [
        (CHAT, "openai", "gpt-5-2026-01-01", "fp_1", "chatcmpl-1", {"service_tier": "default"}),
        (
            RESPONSES, "openai", "gpt-5-2026-01-01", None, "resp_1",
            {"service_tier": "default", "temperature": 1.0},
        ),
        (GEMINI, "gemini", "gemini-3.5-flash-002", None, "r1", None),
        (
            MESSAGES, "anthropic", "claude-x-20260101", None, "msg_1",
            {"service_tier": "standard"},
        ),
    ],
)  # fmt: skip
def test_each_format_says_who_answered(response, provider, reported, fingerprint, id, accepted):
    """Model, fingerprint, id and the settings that the provider echoes."""
    found = wire.read(response)
    assert found[:5] == (provider, reported, fingerprint, id, accepted)


def test_a_fallback_of_anthropic_is_who_answered():
    """An entry of type fallback_message names the model whose output came back."""
    usage = {
        "iterations": [
            {"type": "message", "model": "claude-x-20260101"},
            {"type": "fallback_message", "model": "claude-y-20250601"},
        ]
    }
    assert wire.read({**MESSAGES, "usage": usage}).reported == "claude-y-20250601"


@pytest.mark.parametrize(
    ("response", "changed"),
    [
        (CHAT, {"id": "chatcmpl-2", "created": 2, "usage": {"total_tokens": 9}}),
        (RESPONSES, {"id": "resp_2", "created_at": 2}),
        (GEMINI, {"responseId": "r2", "usageMetadata": {}}),
        (MESSAGES, {"id": "msg_2", "usage": {}}),
    ],
)
def test_ids_times_and_usage_are_no_part_of_the_answer(response, changed):
    """The same answer given twice has one digest."""
    again = wire.read({**response, **changed})
    assert wire.digest(again.answer) == wire.digest(wire.read(response).answer)


def test_the_ids_of_tool_calls_do_not_count_and_their_arguments_do():
    """The model's own data keeps its fields, whatever they are called."""
    (block,) = MESSAGES["content"]
    renamed = {**MESSAGES, "content": [{**block, "id": "toolu_2"}]}
    other = {**MESSAGES, "content": [{**block, "input": {"id": 6}}]}
    plain = wire.digest(wire.read(MESSAGES).answer)
    assert wire.digest(wire.read(renamed).answer) == plain
    assert wire.digest(wire.read(other).answer) != plain


@pytest.mark.parametrize("response", [CHAT, RESPONSES, GEMINI, MESSAGES])
def test_another_text_is_another_answer(response):
    """What was said counts, in every format."""
    text = str(response).replace("Hi", "Ho").replace("'f'", "'g'")
    other = ast.literal_eval(text)
    assert wire.digest(wire.read(other).answer) != wire.digest(wire.read(response).answer)


def test_objects_of_an_sdk_may_have_names_with_underscores():
    """google-genai's objects dump them so."""
    found = wire.read({"candidates": [], "model_version": "m-001", "response_id": "r"})
    assert (found.reported, found.response_id) == ("m-001", "r")


@pytest.mark.parametrize("response", [{}, {"model": "m"}, {"type": "message"}])
def test_another_format_is_not_guessed(response):
    """Nothing is made up for what is not known."""
    assert wire.read(response) is None


def test_digests_are_of_bytes_text_and_json():
    """Text as its bytes; JSON whatever the order of its keys; large seeds too."""
    assert wire.digest("a") == wire.digest(b"a")
    assert wire.digest({"a": 1, "b": 2**70}) == wire.digest({"b": 2**70, "a": 1})
