"""The notification and its file sink."""

import json
from pathlib import Path

import pytest
from weekly_report import narrative, slack

from nightproof import prompt

SHA = "ab" * 32


@pytest.fixture(scope="module")
def message(loud, example_prompts):
    """The message of the loud week."""
    template = prompt("weekly-report@7", folder=example_prompts)
    text = narrative.from_template(template, loud)
    return slack.message(loud, text, SHA)


def test_the_shape_is_slacks(message):
    """channel, text and header, section, context; within Slack's limits."""
    assert set(message) == {"channel", "text", "blocks"}
    assert [block["type"] for block in message["blocks"]] == ["header", "section", "context"]
    header, section, context = message["blocks"]
    assert header["text"]["type"] == "plain_text"
    assert len(header["text"]["text"]) <= 150
    assert "EUR/BRL" in header["text"]["text"]
    assert len(section["text"]["text"]) <= 3000
    assert SHA[:12] in context["elements"][0]["text"]
    assert "EUR/BRL" in message["text"]
    json.dumps(message)


def test_what_was_appended_is_found(tmp_path: Path, message):
    """A probe finds the key that was sent, and no other."""
    sink = tmp_path / "new" / "outbox.jsonl"
    assert slack.find(sink, "a") is None
    first = slack.append(sink, "a", message)
    second = slack.append(sink, "b", message)
    assert (slack.find(sink, "a"), slack.find(sink, "b")) == (first, second) == (0, second)
    assert slack.find(sink, "c") is None
    lines = [json.loads(line) for line in sink.read_text("utf-8").splitlines()]
    assert [line["metadata"]["event_payload"]["key"] for line in lines] == ["a", "b"]
    assert lines[0]["text"] == message["text"]


def test_a_line_cut_short_is_not_a_message(tmp_path: Path, message):
    """After a crash in the middle of a write the message counts as not sent, and fits after."""
    sink = tmp_path / "outbox.jsonl"
    slack.append(sink, "a", message)
    whole = sink.read_bytes()
    sink.write_bytes(whole + whole[: len(whole) // 2])
    assert slack.find(sink, "b") is None
    offset = slack.append(sink, "b", message)
    assert slack.find(sink, "b") == offset
    assert slack.find(sink, "a") == 0
    assert json.loads(sink.read_bytes()[offset:])["text"] == message["text"]


def test_other_lines_do_not_disturb(tmp_path: Path):
    """A sink that others write to as well is read past them."""
    sink = tmp_path / "outbox.jsonl"
    sink.write_text('[1]\nnull\n{"metadata": 3}\n\xff\n', "latin-1")
    assert slack.find(sink, "a") is None


def test_where_the_sink_is(monkeypatch):
    """The environment names it; outbox.jsonl otherwise."""
    monkeypatch.delenv(slack.SINK_VARIABLE, raising=False)
    assert slack.sink_path() == Path("outbox.jsonl")
    monkeypatch.setenv(slack.SINK_VARIABLE, "/x/y.jsonl")
    assert slack.sink_path() == Path("/x/y.jsonl")


def test_the_key_is_one_a_desk_and_week():
    """Another desk or another week is another message."""
    assert slack.key("fx-desk", "2026-10-19/2026-10-26") == (
        "weekly-report/fx-desk/2026-10-19/2026-10-26"
    )
