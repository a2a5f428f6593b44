"""The model server: what providers do by themselves, done on purpose."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from nightproof.errors import UsageError
from nightproof.provenance import wire
from nightproof.testing.models import ModelServer, Route, Script


def call(url: str, body: object, method: str = "POST") -> tuple[int, dict[str, Any]]:
    """The status and the JSON of one request; null for an empty answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data if method != "GET" else None, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {**json.loads(error.read()), "wait": error.headers["Retry-After"]}


def gemini(url: str, name: str = "flash", text: str = "Q", **config: Any) -> dict[str, Any]:
    """One answer of generateContent."""
    body = {"contents": [{"parts": [{"text": text}]}], "generationConfig": config}
    status, answer = call(f"{url}/v1beta/models/{name}:generateContent", body)
    assert status == 200, answer
    return answer


def said(answer: dict[str, Any]) -> str:
    """The text of an answer of any format."""
    if "choices" in answer:
        return answer["choices"][0]["message"]["content"]
    if "output" in answer:
        return answer["output"][0]["content"][0]["text"]
    if answer.get("type") == "message":
        return answer["content"][0]["text"]
    return answer["candidates"][0]["content"]["parts"][0]["text"]


def chat(url: str, name: str = "gpt", text: str = "Q", **more: Any) -> dict[str, Any]:
    """One answer of OpenAI's chat completions."""
    body = {"model": name, "messages": [{"role": "user", "content": text}], **more}
    status, answer = call(f"{url}/v1/chat/completions", body)
    assert status == 200, answer
    return answer


def respond(url: str, name: str = "gpt", text: str = "Q", **more: Any) -> dict[str, Any]:
    """One answer of OpenAI's responses."""
    status, answer = call(f"{url}/v1/responses", {"model": name, "input": text, **more})
    assert status == 200, answer
    return answer


def message(url: str, name: str = "gpt", text: str = "Q", **more: Any) -> dict[str, Any]:
    """One answer of Anthropic's messages."""
    messages = [{"role": "user", "content": [{"type": "text", "text": text}]}]
    body = {"model": name, "max_tokens": 100, "messages": messages, **more}
    status, answer = call(f"{url}/v1/messages", body)
    assert status == 200, answer
    return answer


def scripted(**route: Any) -> dict[str, Any]:
    """A script in which one route serves both formats."""
    return {"models": {"flash": route, "gpt": route}}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    """A server whose names serve themselves."""
    with ModelServer() as running:
        yield running


@pytest.mark.parametrize("ask", [gemini, chat, respond, message])
def test_the_same_request_gets_the_same_answer(server, ask):
    """By itself nothing varies but the id of the response; another question, another answer."""
    first, second = ask(server.url), ask(server.url)
    assert said(first) == said(second)
    ids = {one.get("responseId", one.get("id")) for one in (first, second)}
    assert len(ids) == 2
    assert said(ask(server.url, text="another question")) != said(first)


def test_answers_are_the_same_in_every_process(server):
    """A test may compare with an answer that it knows: no hash order, no clock."""
    assert said(chat(server.url)) == (
        "Pace plain a early table week margin level note. "
        "Eases clear report firm report line shows shows mixed. "
        "Moves slow late stays pace late table follows moves."
    )


def test_gemini_answers_look_like_gemini(server):
    """The fields that clients and `served` read are where the provider has them."""
    server.script(scripted(version="flash-002"))
    answer = gemini(server.url)
    assert answer["modelVersion"] == "flash-002"
    assert answer["candidates"][0]["finishReason"] == "STOP"
    assert answer["usageMetadata"]["totalTokenCount"] > 1
    assert set(answer) == {"candidates", "usageMetadata", "modelVersion", "responseId"}


def test_openai_answers_look_like_openai(server):
    """The fields that clients and `served` read are where the provider has them."""
    server.script(scripted(version="gpt-5-2026-01-01", fingerprint="fp_1"))
    answer = chat(server.url)
    assert (answer["object"], answer["model"]) == ("chat.completion", "gpt-5-2026-01-01")
    assert answer["system_fingerprint"] == "fp_1"
    assert answer["choices"][0]["message"]["role"] == "assistant"
    assert answer["usage"]["total_tokens"] > 1


@pytest.mark.parametrize("ask", [gemini, chat, respond, message])
@pytest.mark.parametrize(
    "changed",
    [
        {"version": "m-002"},
        {"version": "m-001", "systemPrompt": "Be brief."},
        {"version": "m-001", "tools": ["search"]},
        {"version": "m-001", "fallback": "m-mini"},
    ],
)
def test_what_a_provider_changes_changes_the_answer(server, ask, changed):
    """Version, hidden prompt, tools and fallback: each alone gives another text."""
    server.script(scripted(version="m-001"))
    before = said(ask(server.url))
    server.script(scripted(**changed))
    assert said(ask(server.url)) != before


@pytest.mark.parametrize("ask", [gemini, chat, respond, message])
def test_answers_are_what_served_reads(server, ask):
    """Each format says who answered where the provider says it, a fallback too."""
    server.script(scripted(version="m-001"))
    found = wire.read(ask(server.url))
    assert (found.reported, bool(found.response_id)) == ("m-001", True)
    again = wire.read(ask(server.url))
    assert again.response_id != found.response_id
    assert wire.digest(again.answer) == wire.digest(found.answer)
    server.script(scripted(version="m-001", fallback="m-mini"))
    assert wire.read(ask(server.url)).reported == "m-mini"
    server.script(scripted(version="m-001", reports="nothing"))
    assert wire.read(ask(server.url)).reported is None


def test_a_fallback_of_anthropic_is_in_its_iterations(server):
    """The entry's type says that another model completed the message."""
    server.script(scripted(version="m-001", fallback="m-mini"))
    (one,) = message(server.url)["usage"]["iterations"]
    assert (one["type"], one["model"]) == ("fallback_message", "m-mini")


def test_a_changed_fingerprint_alone_changes_no_text(server):
    """It is reported, and nothing else."""
    server.script(scripted(version="m-001", fingerprint="fp_1"))
    before = chat(server.url)
    server.script(scripted(version="m-001", fingerprint="fp_2"))
    after = chat(server.url)
    assert said(before) == said(after)
    assert (before["system_fingerprint"], after["system_fingerprint"]) == ("fp_1", "fp_2")


def test_a_version_answers_the_same_under_any_name(server):
    """What served an alias can be asked for by its own name, and answers alike."""
    server.script(scripted(version="m-001"))
    assert said(gemini(server.url)) == said(gemini(server.url, "m-001"))
    assert said(chat(server.url)) == said(chat(server.url, "m-001"))


@pytest.mark.parametrize(
    ("reports", "reported"), [("version", "m-001"), ("alias", "flash"), ("nothing", None)]
)
def test_what_is_reported_is_scripted(server, reports, reported):
    """The version, only the alias, or nothing at all."""
    server.script(scripted(version="m-001", reports=reports))
    assert gemini(server.url).get("modelVersion") == reported
    assert chat(server.url).get("model") == (reported if reported != "flash" else "gpt")


def test_a_fallback_answers_in_its_share_and_is_reported(server):
    """Some answers come from another model, which the response names."""
    server.script(scripted(version="m-001", fallback="m-mini", fallbackRate=0.5))
    reported = [gemini(server.url)["modelVersion"] for _ in range(40)]
    assert 8 < reported.count("m-mini") < 32
    assert reported.count("m-mini") + reported.count("m-001") == 40


@pytest.mark.parametrize(("rate", "low", "high"), [(0.0, 0, 0), (0.3, 5, 20), (1.0, 40, 40)])
def test_sampling_at_a_rate(server, rate, low, high):
    """About that share of the answers differs from what the request usually gets."""
    server.script(scripted(version="m-001"))
    usual = said(gemini(server.url))
    server.script(scripted(version="m-001", sampling=rate))
    others = sum(said(gemini(server.url)) != usual for _ in range(40))
    assert low <= others <= high


def test_an_honoured_seed_ends_the_sampling(server):
    """With a seed: always the same answer, and another one for another seed."""
    server.script(scripted(version="m-001", sampling=1.0))
    same = {said(gemini(server.url, seed=7)) for _ in range(5)}
    assert len(same) == 1
    assert said(gemini(server.url, seed=8)) not in same
    assert len({said(chat(server.url, seed=7)) for _ in range(5)}) == 1


def test_an_ignored_seed_is_worth_nothing(server):
    """The provider takes the seed and samples all the same."""
    server.script(scripted(version="m-001", sampling=1.0, seed="ignored"))
    assert len({said(gemini(server.url, seed=7)) for _ in range(5)}) == 5
    server.script(scripted(version="m-001", seed="ignored"))
    assert said(gemini(server.url, seed=7)) == said(gemini(server.url, seed=8))


def test_samples_are_drawn_from_the_script_s_seed():
    """Two servers with one script sample alike; a swap does not begin again."""
    script = {"models": {"flash": {"sampling": 1.0}}, "randomSeed": 5}
    with ModelServer(script) as one, ModelServer(script) as other:
        first = [said(gemini(one.url)) for _ in range(3)]
        assert first == [said(gemini(other.url)) for _ in range(3)]
        one.script(script)
        assert said(gemini(one.url)) not in first


def test_scripted_errors_come_first_and_in_the_provider_s_form(server):
    """A quota error with its wait, as often as the script says; then the answer."""
    errors = [{"status": 429, "times": 2, "retryAfter": 1.5, "message": "slow down"}]
    server.script(scripted(version="m-001", errors=errors))
    url = f"{server.url}/v1beta/models/flash:generateContent"
    body = {"contents": [{"parts": [{"text": "Q"}]}]}
    for _ in range(2):
        status, answer = call(url, body)
        assert (status, answer["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
        assert answer["error"]["details"][0]["retryDelay"] == "1.5s"
        assert answer["wait"] == "2"
    assert call(url, body)[0] == 200
    status, answer = call(f"{server.openai_url}/chat/completions", {
        "model": "gpt", "messages": [{"role": "user", "content": "Q"}],
    })  # fmt: skip
    assert (status, answer["error"]["code"]) == (429, "rate_limit_exceeded")
    assert [one.status for one in server.requests] == [429, 429, 200, 429]


def test_a_connection_can_be_dropped(server):
    """Status 0 closes it without an answer."""
    server.script(scripted(errors=[{"status": 0}]))
    with pytest.raises(OSError, match="closed"):
        gemini(server.url)
    assert said(gemini(server.url))


def test_a_name_can_be_refused(server):
    """Without a default only the named models are there, as with a retired version."""
    server.script({"models": {"flash": {}}, "default": None})
    assert said(gemini(server.url))
    body = {"model": "gone", "messages": [{"role": "user", "content": "Q"}]}
    status, answer = call(f"{server.url}/v1/chat/completions", body)
    assert (status, answer["error"]["code"]) == (404, "model_not_found")


def test_texts_can_be_scripted(server):
    """The first that fits; $variant differs where the answer would, the rest is fixed."""
    answers = [
        {"contains": "country", "text": '{"country": "FR", "by": "$version", "word": "$variant"}'},
        {"contains": "", "text": "always"},
    ]
    server.script({"models": {"flash": {"version": "m-001"}}, "answers": answers})
    first = json.loads(said(gemini(server.url, text="Which country?")))
    assert (first["country"], first["by"]) == ("FR", "m-001")
    server.script({"models": {"flash": {"version": "m-002"}}, "answers": answers})
    second = json.loads(said(gemini(server.url, text="Which country?")))
    assert (second["by"], second["word"] != first["word"]) == ("m-002", True)
    assert said(gemini(server.url)) == "always"


@pytest.mark.parametrize(
    ("path", "body", "status", "word"),
    [
        ("/v1beta/models/flash:generateContent", b"{", 400, "not JSON"),
        ("/v1beta/models/flash:generateContent", {}, 400, "contents"),
        ("/v1beta/models/flash:streamGenerateContent", {}, 404, "use generateContent"),
        ("/v1/chat/completions", {"messages": []}, 400, "model"),
        ("/v1/chat/completions", {"model": "gpt"}, 400, "messages"),
        ("/v1/chat/completions", [1], 400, "object"),
        (
            "/v1/chat/completions",
            {"model": "gpt", "messages": [{"role": "user", "content": "Q"}], "stream": True},
            400,
            "stream",
        ),
        ("/v1/responses", {"model": "gpt"}, 400, "input"),
        ("/v1/messages", {"model": "gpt", "messages": [1]}, 400, "max_tokens"),
        ("/v2/else", {}, 404, "/v2/else"),
    ],
)
def test_a_bad_request_is_refused_in_words(server, path, body, status, word):
    """A mistake in a test shows as an error of the API, not as a dead server."""
    found, answer = call(server.url + path, body)
    assert found == status
    assert word in answer["error"]["message"]


def test_requests_are_kept_for_the_test_to_look_at(server):
    """Name, answering version, body and text of every request."""
    server.script(scripted(version="m-001"))
    answer = gemini(server.url, temperature=0)
    (request,) = server.requests
    assert (request.name, request.version, request.status) == ("flash", "m-001", 200)
    assert request.body["generationConfig"] == {"temperature": 0}
    assert request.text == said(answer)


@pytest.mark.parametrize(
    ("script", "word"),
    [
        ({"models": {"a": {"version": 1}}}, "models.a.version"),
        ({"models": {"a": {"sampling": 2}}}, "less than or equal to 1"),
        ({"model": {}}, "model: Extra"),
        (b"{", "not JSON"),
        ("no-such-file.json", "cannot be read"),
    ],
)
def test_a_bad_script_is_refused_by_field(script, word):
    """One message that names the field, before anything is served."""
    with pytest.raises(UsageError, match=word):
        Script.load(script)


def test_scripts_are_written_in_python_or_json():
    """Field names in either style; what the server shows can be loaded again."""
    script = Script(models={"a": Route(version="a-001", system_prompt="x", fallback_rate=0.5)})
    assert Script.load(script.to_json()) == script
    assert json.loads(script.to_json())["models"]["a"]["systemPrompt"] == "x"


def test_an_address_is_only_there_while_it_serves():
    """Asking too early says when to ask; a port in use is one clear message."""
    with pytest.raises(UsageError, match="does not run"):
        _ = ModelServer().url
    with ModelServer() as server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(UsageError, match=f"port {port}"):
            ModelServer(port=port).start()


def test_as_a_program_it_is_swapped_over_http(tmp_path):
    """The child says where it is, takes a new script, refuses a bad one, and leaves in peace."""
    file = tmp_path / "script.json"
    file.write_text(json.dumps(scripted(version="m-001")))
    command = [sys.executable, "-m", "nightproof.testing.models", "--script", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = json.loads(process.stdout.readline())["url"]
            assert gemini(url)["modelVersion"] == "m-001"
            assert call(f"{url}/_script", scripted(version="m-002"), "PUT")[0] == 200
            status, answer = call(f"{url}/_script", {"models": 1}, "PUT")
            assert (status, "models" in answer["error"]["message"]) == (400, True)
            assert gemini(url)["modelVersion"] == "m-002"
            assert call(f"{url}/_script", None, "GET")[1]["models"]["flash"]["version"] == "m-002"
        finally:
            process.terminate()
    assert process.returncode == 0


def test_as_a_program_a_bad_script_is_exit_2(tmp_path):
    """One message on stderr, nothing on stdout."""
    command = [sys.executable, "-m", "nightproof.testing.models", "--script", str(tmp_path / "x")]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "cannot be read" in ran.stderr
