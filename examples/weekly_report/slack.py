"""The notification, shaped as Slack's chat.postMessage takes it, to a file sink.

A line of the sink is one message. Its ``metadata`` carries the key, as it would
in Slack, where ``conversations.history`` with ``include_all_metadata`` shows it:
that is how an unknown outcome is looked up instead of sending a second message.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from . import summary, wording
from .narrative import Narrative, warnings
from .summary import Week

SINK_VARIABLE = "NIGHTPROOF_SLACK_SINK"
CHANNEL = "#fx-weekly"
EVENT = "weekly_report"


def sink_path() -> Path:
    """Where messages are appended: $NIGHTPROOF_SLACK_SINK or outbox.jsonl here.

    In a drill it is a file of the case's own: what another case has sent would
    otherwise look as if it had been sent in this one.
    """
    if drill := os.environ.get("NIGHTPROOF_DRILL_DIR"):
        return Path(drill) / "outbox.jsonl"
    return Path(os.environ.get(SINK_VARIABLE, "").strip() or "outbox.jsonl")


def key(site: str, period: str) -> str:
    """What makes a message the message of one week: one desk, one period, one message."""
    return f"weekly-report/{site}/{period}"


def message(week: Week, narrative: Narrative, report_sha256: str) -> dict[str, Any]:
    """``{"channel", "text", "blocks"}``; the text is the fallback for notifications."""
    title = summary.headline(week)
    lines = [
        f"*{summary.pair(one.code)}* {wording.percent(summary.change(one))} "
        f"({wording.signed(one.z or 0.0, 1)} σ)"
        for one in summary.movers(week)[:3]
    ]
    body = [
        f"The euro {summary.breadth_text(week)}; median {summary.median(week)}.",
        f"Furthest from their own five years: {', '.join(lines)}." if lines else "",
        *(f":warning: {one}" for one in warnings(narrative)),
    ]
    by = narrative.requested if narrative.writer == "model" else "template alone"
    context = f"{week.site} · {week.period} · narrative: {by} · report sha256 {report_sha256[:12]}"
    return {
        "channel": CHANNEL,
        "text": f"{title} ({week.period})",
        "blocks": [
            # Slack refuses a header of more than 150 characters.
            {"type": "header", "text": {"type": "plain_text", "text": title[:150]}},
            {
                "type": "section",
                "text": {"type": "mrkdwn", "text": "\n".join(line for line in body if line)},
            },
            {"type": "context", "elements": [{"type": "mrkdwn", "text": context}]},
        ],
    }


def append(path: Path, key: str, content: dict[str, Any]) -> int:
    """Append one message with its key, on disk when this returns; the offset of its line."""
    line = {
        **content,
        "metadata": {"event_type": EVENT, "event_payload": {"key": key}},
    }
    data = json.dumps(line, ensure_ascii=False, sort_keys=True).encode() + b"\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as sink:
        offset = sink.seek(0, os.SEEK_END)
        if offset:
            sink.seek(offset - 1)
            # A line that a crash cut short must not swallow the next one.
            if sink.read(1) != b"\n":
                data = b"\n" + data
                offset += 1
        sink.write(data)
        sink.flush()
        os.fsync(sink.fileno())
    return offset


def find(path: Path, key: str) -> int | None:
    """The offset of the message with `key`, or None if it was not sent."""
    if not path.exists():
        return None
    offset = 0
    with path.open("rb") as sink:
        for line in sink:
            try:
                payload = json.loads(line)["metadata"]["event_payload"]
                if payload["key"] == key:
                    return offset
            except (ValueError, KeyError, TypeError):
                pass  # a torn line, or one that somebody else wrote
            offset += len(line)
    return None
