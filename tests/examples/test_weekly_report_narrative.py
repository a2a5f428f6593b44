"""The narrative: template, pinned model, and what is said about both."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest
from weekly_report import gemini, markdown, narrative, page, wording, writer
from weekly_report.narrative import Narrative

from nightproof import ModelMismatch, ModelPin, PromptTemplate, prompt
from nightproof.errors import Permanent, PromptError, Transient
from nightproof.testing.models import ModelServer

KEY = "k-not-a-real-key"


def answer(text: str = "A quiet week.", **more: object) -> dict:
    """A response of generateContent."""
    return {
        "candidates": [
            {
                "content": {"parts": [{"text": "hm", "thought": True}, {"text": text}]},
                "finishReason": "STOP",
            }
        ],
        "modelVersion": "gemini-3.5-flash-002",
        "responseId": "r1",
        **more,
    }


@contextmanager
def serving(status: int, body: object, headers: dict[str, str] | None = None) -> Iterator:
    """A server on loopback that gives one answer and keeps what it was asked."""
    seen: list[SimpleNamespace] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append(SimpleNamespace(path=self.path, headers=self.headers, body=content))
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ask(monkeypatch, base: str) -> gemini.Answer:
    """One call with the example's pin."""
    monkeypatch.setenv(gemini.BASE_VARIABLE, base)
    return gemini.generate("gemini-3.5-flash-002", "Q", temperature=0, seed=7, key=KEY)


def test_the_request_carries_the_pin(monkeypatch):
    """The pinned version in the address, seed and temperature in the body, key in a header."""
    with serving(200, answer()) as (base, seen):
        found = ask(monkeypatch, base)
    assert (found.text, found.model_version) == ("A quiet week.", "gemini-3.5-flash-002")
    assert found.response["responseId"] == "r1"
    (request,) = seen
    assert request.path == "/v1beta/models/gemini-3.5-flash-002:generateContent"
    assert request.headers["x-goog-api-key"] == KEY
    body = json.loads(request.body)
    assert body == found.request
    assert body["generationConfig"] == {"temperature": 0, "seed": 7, "candidateCount": 1}
    assert body["contents"][0]["parts"] == [{"text": "Q"}]
    assert KEY not in request.path


def test_what_the_pin_leaves_open_is_not_sent():
    """No temperature and no seed in the contract: none in the request."""
    assert gemini.request_body("Q", None, None)["generationConfig"] == {"candidateCount": 1}


@pytest.mark.parametrize(
    ("status", "body", "headers", "wait"),
    [
        (429, {"error": {"details": [{"retryDelay": "31s"}]}}, {"Retry-After": "5"}, 31),
        (429, {"error": {"status": "RESOURCE_EXHAUSTED"}}, {"Retry-After": "12"}, 12),
        (503, b"<html>", None, None),
        (200, b"<html>", None, None),
    ],
)
def test_what_may_pass_is_transient(monkeypatch, status, body, headers, wait):
    """A server's wait is kept, the longest where it names several."""
    with serving(status, body, headers) as (base, _), pytest.raises(Transient) as caught:
        ask(monkeypatch, base)
    assert caught.value.retry_after == wait


def test_no_connection_is_transient(monkeypatch):
    """A server that is not there may come back."""
    with serving(200, answer()) as (base, _):
        pass
    with pytest.raises(Transient, match="could not be reached"):
        ask(monkeypatch, base)


@pytest.mark.parametrize(
    ("status", "body", "word"),
    [
        (400, {"error": {"status": "INVALID_ARGUMENT", "message": "API key not valid"}}, "key"),
        (404, {"error": {"status": "NOT_FOUND"}}, "pinned model"),
        (200, {"promptFeedback": {"blockReason": "SAFETY"}}, "SAFETY"),
        (200, answer("cut of", candidates=[{"finishReason": "MAX_TOKENS"}]), "MAX_TOKENS"),
    ],
)
def test_what_cannot_pass_is_permanent(monkeypatch, status, body, word):
    """The provider's words come through; the key does not."""
    with serving(status, body) as (base, _), pytest.raises(Permanent, match=word) as caught:
        ask(monkeypatch, base)
    assert KEY not in str(caught.value)


PIN = ModelPin(id="gemini-3.5-flash", pinned_version="gemini-3.5-flash-002", temperature=0, seed=7)


@pytest.fixture
def template(example_prompts) -> PromptTemplate:
    """The example's prompt."""
    return prompt("weekly-report@7", folder=example_prompts)


@pytest.fixture
def server(monkeypatch) -> Iterator[ModelServer]:
    """A model server that the example asks."""
    with ModelServer() as running:
        monkeypatch.setenv(gemini.BASE_VARIABLE, running.url)
        monkeypatch.setenv(gemini.KEY_VARIABLE, KEY)
        yield running


@pytest.mark.parametrize(
    ("route", "status", "reported"),
    [
        ({}, "matched", "gemini-3.5-flash-002"),
        ({"version": "gemini-3.5-flash-003"}, "mismatched", "gemini-3.5-flash-003"),
        ({"fallback": "gemini-3.5-mini-001"}, "mismatched", "gemini-3.5-mini-001"),
        ({"reports": "nothing"}, "not reported", None),
    ],
)
def test_who_wrote_it_is_in_the_narrative(template, quiet, server, route, status, reported):
    """The pinned version is asked for, and what the provider reports is said."""
    server.script({"models": {"gemini-3.5-flash-002": route}})
    found = writer.write(template, quiet, PIN)
    (request,) = server.requests
    assert (found.text, found.writer, request.name) == (request.text, "model", PIN.pinned_version)
    assert (found.requested, found.reported, found.served) == (
        "gemini-3.5-flash-002", reported, status,
    )  # fmt: skip
    assert (status in ("matched", "not reported")) == (narrative.warnings(found) == [])
    assert narrative.authorship(found).startswith("Written by the model gemini-3.5-flash-002")


def test_a_pin_can_halt(template, quiet, server):
    """Another version than the pinned one writes no report where the contract says so."""
    server.script({"models": {"gemini-3.5-flash-002": {"version": "gemini-3.5-flash-003"}}})
    with pytest.raises(ModelMismatch, match=r"gemini-3\.5-flash-003 answered"):
        writer.write(template, quiet, PIN.model_copy(update={"on_mismatch": "halt"}))


def test_the_template_alone_says_so(template, quiet):
    """Without a model the text is the template's, and the report says that none was asked."""
    found = narrative.from_template(template, quiet)
    assert "$" not in found.text
    assert "No move went beyond three standard deviations" in found.text
    assert "12 of the 41 currencies" in found.text
    said = narrative.authorship(found)
    assert "weekly-report@7" in said
    assert "no model was asked" in said


def test_every_fact_is_in_the_prompt(template, quiet):
    """The model sees all currencies with a rate, and no name is left open."""
    text = narrative.prompt_text(template, quiet)
    assert "$" not in text
    assert all(f"EUR/{one.code}, " in text for one in quiet.active)


def test_numbers_that_were_not_given_are_named(quiet):
    """Signs and thousands do not matter; an invented number does."""
    prompt = f"EUR/CAD {wording.MINUS}1.69 %, rank 255 of 261, 20,268.06"
    assert narrative.unsupported_numbers("CAD fell 1.69%, 255th; 20268.06", prompt) == []
    assert narrative.unsupported_numbers("fell 1.70 % or 3", prompt) == ["1.70", "3"]


@pytest.mark.parametrize("format", [page, markdown])
def test_a_reader_is_warned(format, quiet):
    """Another model than the pinned one, or an invented number, is said in the report."""
    text = Narrative(
        "It fell 9.9 %.", "model", "weekly-report@7", "0" * 64, requested="m-002",
        reported="m-003", served="mismatched", temperature=0, seed=7, unsupported=["9.9"],
    )  # fmt: skip
    made = format.render(quiet, text, "0" * 64)
    assert "requested from m-002 but written by m-003" in made
    assert "numbers that are not in the data: 9.9" in made
    assert "temperature 0, seed 7" in made


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("# a\n\n## Template\n\n$tpyo\n\n## Prompt\n\ny\n", r"a@1: \$tpyo has no value"),
        ("# a\n\n## Prompt\n\ny\n", "heading '## Template'"),
    ],
)
def test_a_template_that_is_not_whole_is_an_error(quiet, text, word):
    """A typing error in a template is not printed into a report."""
    with pytest.raises(PromptError, match=word):
        narrative.from_template(PromptTemplate("a@1", "0" * 64, text), quiet)


def test_the_example_s_prompt_is_locked(example_prompts):
    """Nobody edits version 7 unseen."""
    from nightproof.contract.prompts import versions

    assert {one.state for one in versions(example_prompts)} == {"locked"}
