"""Slack's Web API, as far as a reporting bot goes; and a charge with an idempotency key.

Sources: Slack Web API (chat.postMessage, chat.update, conversations.history,
auth.test), "Rate limits"; Stripe API, "Idempotent requests".
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

from .http import Refused, Request, Response, as_json
from .world import CHANNEL, World

_MAX_TEXT = 40_000


def slack(world: World, request: Request) -> Response:
    """Errors are HTTP 200 with ``"ok": false``; only a rate limit is a 429."""
    if request.bearer != world.slack_token:
        return as_json({"ok": False, "error": "invalid_auth"})
    given = _arguments(request)
    method = request.path.removeprefix("/api/")
    act = {
        "auth.test": _auth, "chat.postMessage": _post, "chat.update": _update,
        "conversations.history": _history,
    }.get(method)  # fmt: skip
    if act is None:
        return as_json({"ok": False, "error": "unknown_method"})
    try:
        return as_json({"ok": True, **act(world, given)})
    except _Error as error:
        return as_json({"ok": False, "error": str(error)})


class _Error(Exception):
    pass


def _arguments(request: Request) -> dict[str, Any]:
    if "json" in request.headers.get("content-type", ""):
        try:
            found = request.json()
        except ValueError:
            found = None
        return {**request.query, **(found if isinstance(found, dict) else {})}
    form = {name: values[-1] for name, values in parse_qs(request.body.decode()).items()}
    given: dict[str, Any] = {**request.query, **form}
    for name in ("metadata", "blocks", "attachments"):
        if isinstance(given.get(name), str):
            given[name] = json.loads(given[name])
    return given


def _auth(_world: World, _given: dict[str, Any]) -> dict[str, Any]:
    return {"url": "https://example.slack.com/", "team": "Example", "user": "nightproof",
            "team_id": "T0123456789", "user_id": "U0123456789", "bot_id": "B0123456789"}  # fmt: skip


def _channel(given: dict[str, Any]) -> str:
    channel = str(given.get("channel", ""))
    if channel not in (CHANNEL, "#revenue", "revenue"):
        raise _Error("channel_not_found")
    return CHANNEL


def _post(world: World, given: dict[str, Any]) -> dict[str, Any]:
    channel = _channel(given)
    text = str(given.get("text") or "")
    if not text and not given.get("blocks"):
        raise _Error("no_text")
    if len(text) > _MAX_TEXT:
        raise _Error("msg_too_long")
    least = world.limits.slack_seconds
    if least and world.messages and world.now() - world.messages[-1]["at"] < least:
        limited = as_json({"ok": False, "error": "ratelimited"}, 429, Retry_After="1")
        raise Refused(limited)
    metadata = given.get("metadata") or {}
    message = {
        "type": "message", "subtype": "bot_message", "text": text, "ts": world.next_ts(),
        "bot_id": "B0123456789", "blocks": given.get("blocks") or [], "metadata": metadata,
    }  # fmt: skip
    world.messages.append({"message": message, "at": world.now(), "edits": []})
    world.act(f"slack/post/{_key(metadata)}")
    shown = {name: value for name, value in message.items() if name != "metadata"}
    return {"channel": channel, "ts": message["ts"], "message": shown}


def _key(metadata: dict[str, Any]) -> str:
    return str((metadata.get("event_payload") or {}).get("key", "?"))


def _update(world: World, given: dict[str, Any]) -> dict[str, Any]:
    channel = _channel(given)
    found = next((one for one in world.messages if one["message"]["ts"] == given.get("ts")), None)
    if found is None:
        raise _Error("message_not_found")
    message = found["message"]
    found["edits"].append(message["text"])
    message["text"] = str(given.get("text") or "")
    message["blocks"] = given.get("blocks") or []
    if given.get("metadata"):
        message["metadata"] = given["metadata"]
    message["edited"] = {"user": "B0123456789", "ts": world.next_ts()}
    world.act(f"slack/update/{_key(message['metadata'])}")
    return {"channel": channel, "ts": message["ts"], "text": message["text"]}


def _history(world: World, given: dict[str, Any]) -> dict[str, Any]:
    _channel(given)
    oldest, latest = float(given.get("oldest") or 0), float(given.get("latest") or 1e12)
    found = [
        one["message"]
        for one in reversed(world.messages)
        if oldest <= float(one["message"]["ts"]) <= latest
    ]
    start, limit = int(given.get("cursor") or 0), min(int(given.get("limit") or 100), 999)
    page = found[start : start + limit]
    if str(given.get("include_all_metadata", "")).lower() not in ("true", "1"):
        page = [{k: v for k, v in one.items() if k != "metadata"} for one in page]
    more = start + limit < len(found)
    answer: dict[str, Any] = {"messages": page, "has_more": more}
    if more:
        answer["response_metadata"] = {"next_cursor": str(start + limit)}
    return answer


def stripe(world: World, request: Request) -> Response:
    """``POST /v1/charges``: the first answer to an Idempotency-Key is the answer for ever."""
    if request.bearer != world.stripe_key:
        return as_json({"error": {"type": "invalid_request_error", "message": "No API key"}}, 401)
    if request.method != "POST" or request.path != "/v1/charges":
        return as_json({"error": {"type": "invalid_request_error", "message": "not found"}}, 404)
    form = {name: values[-1] for name, values in parse_qs(request.body.decode()).items()}
    key = request.headers.get("idempotency-key", "")
    if len(key) > 255:
        return as_json({"error": {"type": "idempotency_error", "message": "key too long"}}, 400)
    known = world.charges.get(key) if key else None
    if known is not None:
        if known["form"] != form:
            message = (
                "Keys for idempotent requests can only be used with the same parameters they were "
                "first used with."
            )
            return as_json({"error": {"type": "idempotency_error", "message": message}}, 400)
        return as_json(known["answer"], Idempotent_Replayed="true")
    if not form.get("amount", "").isdigit():
        wrong = {"type": "invalid_request_error", "param": "amount", "message": "Invalid integer"}
        return as_json({"error": wrong}, 400)
    number = len(world.charges) + 1
    answer = {
        "id": f"ch_sim_{number:06d}", "object": "charge", "amount": int(form["amount"]),
        "currency": form.get("currency", "usd"), "status": "succeeded",
    }  # fmt: skip
    world.charges[key or f"none-{number}"] = {"id": answer["id"], "form": form, "answer": answer}
    world.act(f"stripe/{key or number}")
    return as_json(answer)
