"""What looks like a secret is hidden, whatever surrounds it, and nothing else is."""

import json

import pytest

from nightproof.contract.secrets import hidden, redact, secret_kind

ADDRESSES = [
    "https://me:hunter2hush@data.example.com/x.csv",
    "https://me:hunter2@hush@data.example.com/x.csv",
    "https://hunter2hunter2hunter2hush@data.example.com/x.csv",
    "postgresql://:hunter2hush@db/n",
    "https://b.s3.amazonaws.com/x?X-Amz-Algorithm=A&X-Amz-Signature=hunter2hush&y=1",
    "https://b.s3.amazonaws.com/x?X-Amz-Security-Token=hunter2hush",
    "https://b.s3.amazonaws.com/x?AWSAccessKeyId=Z&Signature=hunter2hush&Expires=1",
    "https://storage.googleapis.com/b/x?X-Goog-Signature=hunter2hush",
    "https://a.blob.core.windows.net/c/x?sv=2024&se=2026&sig=hunter2hush%3D",
    "https://h/x?token=hunter2hush",
    "https://h/x?a=1&amp;refresh_token=hunter2hush",
    "https://h/x?client-secret=hunter2hush",
    "https://h/x?apikey=hunter2hush",
    "https://h/x?subscription-key=hunter2hush",
    "https://h/x?a=1\\u0026db_password=hunter2hush",
    "https://h/x?next=https%3A%2F%2Fh%2F%3Fa=1%26token=hunter2hush",
]
CONNECTIONS = [
    "host=db user=me password=hunter2hush dbname=x",
    "Server=db;User Id=me;Pwd=hunter2hush;",
    "AccountName=a;AccountKey=hunter2hush==;EndpointSuffix=core.windows.net",
]
TEXTS = [
    "DB_PASSWORD=hunter2hush",
    "login failed with password='hunter2hush', try again",
    'body: {"user": "me", "api_key": "hunter2hush"}',
    "{'accessToken': 'hunter2hush'}",
    '"{\\"client_secret\\": \\"hunter2hush\\"}"',
    "Authorization: Digest hunter2hush",
    "headers {'X-Api-Key': 'hunter2hush'}",
    "Cookie: session=hunter2hush; path=/",
    "SLACK_TOKEN=hunter2hush python job.py",
]
PLAIN = [
    "max_token=500 tokens=12",
    "password: at least 8 characters",
    "connect(password=$PASSWORD, token={token})",
    "token=env:SLACK_TOKEN",
    "TypeError: got an unexpected keyword argument 'token'",
    "https://me@example.com/x?page=2&sort=key",
    "https://example.com:8080/user@2x.png",
    "monkey=business turkey=1",
    "a@b.org wrote x=1; y: 2",
    "the secret of the night",
    "reports/2026-11-22/token.csv",
    "key=DE",
    "12:34:56 key: DE",
]


@pytest.mark.parametrize("text", [*ADDRESSES, *CONNECTIONS, *TEXTS])
def test_what_is_secret_is_hidden(text: str) -> None:
    """Alone, in a sentence, in the middle of lines, and inside of JSON."""
    for whole in (text, f"it failed: {text} (see above)", f"a\n{text}\nb"):
        assert "hush" not in redact(whole)
        assert "(hidden)" in redact(whole)
        assert redact(redact(whole)) == redact(whole)
    assert "hush" not in json.dumps(hidden({"a": [{"b": text}]}))


@pytest.mark.parametrize("text", [*ADDRESSES, *CONNECTIONS])
def test_what_a_contract_is_refused_for(text: str) -> None:
    """The forms that mean nothing else."""
    assert secret_kind(text)


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_none_is_shown(text: str) -> None:
    """Words about secrets, names of them, and what stands in for one."""
    assert redact(text) == text
    assert secret_kind(text) == ""


def test_fields_are_hidden_by_their_names() -> None:
    """A short token is a word of a text; numbers count something."""
    given = {
        "password": "hunter2", "apiKey": "x", "deep": [{"db_passwd": "y"}], "secrets": 3,
        "token": "Nacht", "accessToken": "abcdefgh12345678", "key": "DE", "secret": "",
    }  # fmt: skip
    assert hidden(given) == {
        **given, "password": "(hidden)", "apiKey": "(hidden)", "deep": [{"db_passwd": "(hidden)"}],
        "accessToken": "(hidden)",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text", ["a" * 200_000, "=" * 200_000, "a:" * 100_000, "://" * 60_000, "token " * 40_000,
             "password" * 25_000, "&token" * 30_000, "'" * 200_000, "a-" * 100_000 + "=",
             "https://" + "a" * 200_000, "Basic " * 30_000, "-----BEGIN PRIVATE KEY-----" * 7000],
)  # fmt: skip
def test_long_texts_are_looked_through(text: str) -> None:
    """None takes ever longer with its length (this would not end): jobs write what they like."""
    assert redact(text + "\nDB_PASSWORD=hunter2hush").count("hush") <= text.count("PRIVATE")
