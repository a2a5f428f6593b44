"""The lint table: what is refused, what is not, and that no secret is ever shown."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightproof.contract import Contract, check, ensure_clean, lint
from nightproof.errors import ContractError

HASH = "0" * 64
SECRETS = {
    "slack": "xoxb-123456789012-abcdefABCDEF",
    "slack hook": "https://hooks.slack.com/services/T000/B000/XXXXXXXX",
    "openai": "sk-proj-abcdEFGH1234ijklMNOP",
    "anthropic": "sk-ant-api03-abcdEFGH1234ijkl",
    "google": "AIzaSyA1234567890abcdefghijklmnopqrstu",
    "github": "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "github fine": "github_pat_11ABCDEFG0abcdefghijkl_mnop",
    "gitlab": "glpat-abcdefghij1234567890",
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "stripe": "sk_live_abcdefgh12345678",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "pem": "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
    "bearer": "Bearer abcdefghijkl1234567890",
    "address": "postgresql://app:hunter2hunter2@db/prod",
    "signed": "https://b.s3.amazonaws.com/x?X-Amz-Signature=abcdef0123456789",
}


def found(document: dict[str, Any]) -> list[tuple[str, str]]:
    """(path, rule) of every finding."""
    return [(finding.path, finding.rule) for finding in lint(document)]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("period", "last week"),
        ("period", "Last 7 days"),
        ("reportPeriod", "yesterday"),
        ("window", "previous month"),
        ("windowName", "last_week"),
        ("date", "today"),
        ("start", "now-7d"),
        ("since", "3 days ago"),
        ("since", "-7d"),
        ("lookback", "P7D"),
        ("until", "NOW"),
        ("asOf", "latest"),
        ("weekOf", "last monday"),
        ("range", "month-to-date"),
        ("range", "YTD"),
    ],
)
def test_relative_periods(key: str, value: str) -> None:
    """A period that means something else tomorrow is refused, quoting it."""
    (finding,) = lint({"inputs": {key: value}})
    assert (finding.path, finding.rule) == (f"inputs.{key}", "relative-period")
    assert json.dumps(value) in finding.line
    assert "start and end like 2026-10-19T00:00:00+02:00" in finding.line


@pytest.mark.parametrize(
    "document",
    [
        {"period": "2026-W43"},
        {"date": "2026-10-19"},
        {"title": "Last week's revenue"},
        {"startMessage": "Today we report"},
        {"timeZone": "Europe/Berlin"},
        {"periodStart": "2026-10-19T00:00:00+02:00", "periodEnd": "2026-10-26T00:00:00+01:00"},
        {"start": "2026-10-19T00:00:00Z", "end": "2026-10-20T00:00:00.000Z"},
        {"maxTokens": 100, "tokenizer": "cl100k", "apiKeyEnv": "GEMINI_API_KEY"},
        {"secretName": "slack/prod", "primaryKey": "id", "monkey": "x", "token": ""},
        {"package": "sk-learn-contrib-models", "disk-usage-report-for-all": "ask-me-anything"},
        {"outputUri": "https://example.org/x", "webhook": {"uri": "https://example.org/x"}},
        {"url": "https://example.org/page"},
        {"fx": {"uri": "file:fx.zip", "sha256": HASH}},
        {"datasetUri": "https://example.org/x.zip", "datasetSha256": HASH},
        {"model": {"id": "gpt", "pinnedVersion": "gpt-5.5-2026-04-23"}},
        {"model": {"id": "claude", "pinnedVersion": "claude-sonnet-4-5-20250929"}},
        {"model": {"id": "m", "pinnedVersion": "mistral-large-2411"}},
        {"model": {"id": "b", "pinnedVersion": "anthropic.claude-x-20240620-v1:0"}},
        {"model": {"id": "g", "pinnedVersion": "gemini-2.5-pro-preview-05-20"}},
        {"model": {"id": "l", "pinnedVersion": "llama3@sha256:" + HASH}},
        {"model": {"id": "own", "pinnedVersion": "2.14.3"}},
        {"promptTemplateId": "weekly-report@7", "prompts": ["a@1", "b@12"]},
        {"promptTokens": "many", "promptness": "high"},
    ],
    ids=lambda document: json.dumps(document)[:40],
)
def test_what_is_fine(document: dict[str, Any]) -> None:
    """Explicit periods, pinned things, names of secrets and addresses to act on pass."""
    assert lint(document) == []


@pytest.mark.parametrize(
    ("document", "path", "rule", "says"),
    [
        ({"at": "2026-10-19T00:00:00"}, "at", "naive-time", "has no offset"),
        ({"at": ["2026-10-19 08:30"]}, "at[0]", "naive-time", "2026-10-19T00:00:00+02:00"),
        (
            {"start": "2026-10-19T00:00:00Z", "end": "2026-10-19T00:00:00Z"},
            "end", "period-order", "not after its start",
        ),
        (
            {"xStart": "2026-10-19T00:00:00+02:00", "xEnd": "2026-10-18T22:00:00Z"},
            "xEnd", "period-order", "not after its start",
        ),
        ({"fx": {"uri": "file:fx.zip"}}, "fx.sha256", "dataset-hash", "sha256sum"),
        ({"dataUri": "https://a.org/x"}, "dataSha256", "dataset-hash", "has no hash"),
        ({"sourceUrl": "https://a.org/x"}, "sourceSha256", "dataset-hash", "has no hash"),
        ({"rates": "file:fx.zip"}, "rates", "dataset-hash", "without its hash"),
        ({"rates": ["x", "y"], "in": {"a": "s3://b/x"}}, "in.a", "dataset-hash", "without"),
        ({"uri": "file:x", "sha256": HASH[1:]}, "sha256", "dataset-hash", "63 characters"),
        ({"uri": "file:x", "sha256": "sha256:" + HASH}, "sha256", "dataset-hash", "a prefix"),
        ({"uri": "file:x", "sha256": "AB" * 32}, "sha256", "dataset-hash", "upper-case"),
        ({"uri": "file:x", "sha256": 7}, "sha256", "dataset-hash", "not a sha256"),
        ({"uri": "x.zip", "sha256": HASH}, "uri", "dataset-uri", "write file:relative/path"),
        ({"uri": "http://a.org/x", "sha256": HASH}, "uri", "dataset-uri", "write https://"),
        (
            {"uri": "https://h/x?auth=hunter2hush", "sha256": HASH},
            "uri", "secret", "name it (file:",
        ),
        (
            {"fx": {"uri": "https://hunter2hunter2hunter2@h/x", "sha256": HASH}},
            "fx.uri", "secret", "fetched without credentials",
        ),
        ({"uri": "ftp://a.org/x", "sha256": HASH}, "uri", "dataset-uri", "use file: or https:"),
        ({"uri": "file://nas/x", "sha256": HASH}, "uri", "dataset-uri", "the host 'nas'"),
        ({"uri": "https:///x", "sha256": HASH}, "uri", "dataset-uri", "not a valid address"),
        ({"model": "gemini-3.5-flash"}, "model", "model-alias", "an object like"),
        ({"model": {"id": "gpt-5"}}, "model.pinnedVersion", "model-alias", "is missing"),
        (
            {"model": {"id": "a-001", "pinnedVersion": "a-001"}},
            "model.pinnedVersion", "model-alias", "the id itself",
        ),
        (
            {"judge": {"id": "a", "pinnedVersion": "gemini-flash-latest"}},
            "judge.pinnedVersion", "model-alias", "whenever the provider decides",
        ),
        (
            {"models": [{"id": "a", "pinnedVersion": "gpt-5.2"}]},
            "models[0].pinnedVersion", "model-alias", "no version or date",
        ),
        (
            {"model": {"id": "a", "pinnedVersion": None}},
            "model.pinnedVersion", "model-alias", "is not text",
        ),
        ({"promptTemplateId": "weekly-report"}, "promptTemplateId", "prompt", "has no version"),
        ({"promptTemplateId": "weekly-report@0"}, "promptTemplateId", "prompt", "has no version"),
        ({"systemPromptTemplateId": "x@latest"}, "systemPromptTemplateId", "prompt", "name@version"),
        ({"prompts": ["a@1", "b"]}, "prompts[1]", "prompt", "has no version"),
        ({"prompt": "Write a report."}, "prompt", "prompt", "template file, prompts/NAME@1.md"),
        ({"password": "hunter2"}, "password", "secret", "by its name"),
        ({"a": {"dbPassword": "hunter2"}}, "a.dbPassword", "secret", "by its name"),
        ({"api_key": "hunter2"}, "api_key", "secret", "apiKeyEnv"),
        ({"APIKey": "hunter2"}, "APIKey", "secret", "apiKeyEnv"),
        ({"slackToken": "hunter2"}, "slackToken", "secret", "environment inside a step"),
        ({"clientSecret": "hunter2"}, "clientSecret", "secret", "by its name"),
    ],
    ids=lambda value: json.dumps(value)[:50] if isinstance(value, dict) else None,
)  # fmt: skip
def test_the_table(document: dict[str, Any], path: str, rule: str, says: str) -> None:
    """Each kind of mistake is one finding at its field, saying what to write instead."""
    (finding,) = lint(document)
    assert (finding.path, finding.rule) == (path, rule)
    assert says in finding.line
    assert finding.instead
    assert "\n" not in finding.line
    assert "hunter2" not in finding.line


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_secrets_are_found_and_never_shown(secret: str) -> None:
    """A secret is found in any field, as a value, in a sentence or as a key, and stays hidden."""
    for document, path in [
        ({"note": secret}, "note"),
        ({"notes": ["x", f"use {secret} please"]}, "notes[1]"),
        ({"promptTemplateId": secret}, "promptTemplateId"),
        ({"periodStart": f"yesterday {secret}"}, "periodStart"),
        ({"model": {"id": "x", "pinnedVersion": secret}}, "model.pinnedVersion"),
    ]:
        findings = lint(document)
        assert (path, "secret") in [(f.path, f.rule) for f in findings]
        text = " ".join(finding.line for finding in findings)
        assert secret not in text
        assert secret[-8:] not in text


def test_no_secret_in_the_refusal() -> None:
    """Neither an unknown field nor a value of the wrong type shows a secret it holds."""

    class Small(Contract):
        task: str = "t"
        count: int
        name: str

    secret = SECRETS["openai"]
    for document in (
        {"count": secret, "name": "x"},
        {"count": 1, "name": [secret]},
        {"count": 1, "name": "x", "extra": secret},
        {"count": 1, "name": "x", secret: 1},
        {"count": "0123456789" * 5 + " " + secret, "name": "x"},
    ):
        with pytest.raises(ContractError) as caught:
            check(Small, json.dumps(document))
        assert "abcdEFGH" not in str(caught.value)


def test_a_naive_datetime_in_python_data() -> None:
    """Raw Python data with a naive datetime is refused like its JSON."""
    assert found({"at": datetime(2026, 1, 1)}) == [("at", "naive-time")]  # noqa: DTZ001


def test_every_finding_is_shown_at_once() -> None:
    """A run refuses a contract with all of its findings in one error."""

    class Free(Contract):
        task: str = "free"
        since: str
        rates: str

    with pytest.raises(ContractError) as caught:
        ensure_clean(Free(since="last week", rates="file:x.csv"))
    assert caught.value.message.startswith("the contract of free is refused, 2 problems:\n")
    assert "since: " in caught.value.message
    assert "rates: " in caught.value.message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["uri", "sha256", "start", "end", "model", "prompt", "token", "Start", ""]
            )
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=6), json_values, max_size=4))
def test_lint_never_fails(document: dict[str, Any]) -> None:
    """Whatever the JSON, lint answers with findings, one line each."""
    assert all("\n" not in finding.line for finding in lint(document))
