"""Slack: post a message, find it again, correct it.

Source: Slack Web API, chat.postMessage, chat.update, conversations.history. There is
no idempotency key, so every message carries its key as metadata, by which it is found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from slack_sdk import WebClient

from nightproof import Permanent

from ..credentials import secret, setting

BASE_URL = "https://slack.com/api/"
EVENT = "daily_report"
PAGES = 10
"""So many pages of 200 messages are looked through."""


@dataclass(frozen=True)
class Posted:
    """A message: its channel, its timestamp, and the digest of what it says."""

    channel: str
    ts: str
    digest: str


def _client() -> WebClient:
    # Nothing is retried here: what another try may do, only the ledger knows.
    return WebClient(
        token=secret("SLACK_TOKEN"),
        base_url=setting("SLACK_BASE_URL", BASE_URL),
        timeout=30,
        retry_handlers=[],
    )


def _metadata(key: str, digest: str) -> dict[str, Any]:
    return {"event_type": EVENT, "event_payload": {"key": key, "digest": digest}}


def post(channel: str, key: str, digest: str, text: str, blocks: list[dict[str, Any]]) -> Posted:
    """Post a message under a key. Raises what slack_sdk raises."""
    answer = _client().chat_postMessage(
        channel=channel, text=text, blocks=blocks, metadata=_metadata(key, digest)
    )
    return Posted(str(answer["channel"]), str(answer["ts"]), digest)


def find(channel: str, key: str) -> Posted | None:
    """The message with a key in the channel's history; None where there is none."""
    client, cursor = _client(), ""
    for _ in range(PAGES):
        answer = client.conversations_history(
            channel=channel, include_all_metadata=True, limit=200, cursor=cursor or None
        )
        for message in answer["messages"]:
            payload = (message.get("metadata") or {}).get("event_payload") or {}
            if payload.get("key") == key:
                return Posted(channel, str(message["ts"]), str(payload.get("digest", "")))
        cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
        if not cursor:
            break
    return None


def correct(
    posted: Posted, key: str, digest: str, text: str, blocks: list[dict[str, Any]]
) -> Posted:
    """Let a message say something else; harmless to repeat."""
    answer = _client().chat_update(
        channel=posted.channel,
        ts=posted.ts,
        text=text,
        blocks=blocks,
        metadata=_metadata(key, digest),
    )
    if not answer["ok"]:
        raise Permanent("Slack did not take the correction")
    return Posted(posted.channel, posted.ts, digest)
