"""Where alerts go: Slack, a webhook, a command, a ping. Set up by ``[tool.nightproof.alerts]``.

::

    [tool.nightproof.alerts]
    slack = "env:SLACK_WEBHOOK_URL"                            # an incoming webhook, or
    slack = { token = "env:SLACK_TOKEN", channel = "C0123" }   # chat.postMessage
    webhook = { url = "https://example.com/alerts", headers = { Authorization = "env:AUTH" } }
    command = ["mail", "-s", "nightproof", "night@example.com"]
    ping = { daily_revenue = "env:HEALTHCHECK_URL" }           # or one address for all jobs

Slack's API and its answers: api.slack.com/methods/chat.postMessage (errors come with
status 200). Pings: healthchecks.io/docs/http_api (``/start``, success, ``/fail``, ``rid``).
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from nightproof.errors import ConfigError, NightproofError
from nightproof.observe.http import post
from nightproof.observe.incident import Incident
from nightproof.observe.references import check, resolve

_COMMAND_SECONDS = 30.0
_JSON = {"Content-Type": "application/json; charset=utf-8"}
_SLACK_API = "https://slack.com/api"
_LONGEST = 3000
_EXAMPLE = 'Write [alerts] and below it `slack = "env:SLACK_WEBHOOK_URL"`.'


class Sink(Protocol):
    """Somebody who is told of incidents."""

    @property
    def name(self) -> str:
        """The setting it comes from."""
        ...

    def send(self, told: list[Incident], text: str) -> None:
        """Tell of some incidents that belong together; blocks. Raises NightproofError."""
        ...


@dataclass(frozen=True)
class SlackWebhook:
    """An incoming webhook of Slack."""

    url: str
    name: str = "slack"

    def send(self, told: list[Incident], text: str) -> None:
        del told
        url = resolve(self.url, "alerts.slack")
        post(url, json.dumps({"text": _escaped(text)}).encode(), _JSON, "alerts.slack")


@dataclass(frozen=True)
class SlackChat:
    """A channel of Slack, by a bot's token."""

    token: str
    channel: str
    url: str = _SLACK_API
    name: str = "slack"

    def send(self, told: list[Incident], text: str) -> None:
        del told
        token = resolve(self.token, "alerts.slack.token")
        channel = resolve(self.channel, "alerts.slack.channel")
        url = resolve(self.url, "alerts.slack.url").rstrip("/") + "/chat.postMessage"
        body = json.dumps({"channel": channel, "text": _escaped(text)}).encode()
        headers = {**_JSON, "Authorization": f"Bearer {token}"}
        answer = _parsed(post(url, body, headers, "alerts.slack"))
        if answer.get("ok") is not True:
            raise NightproofError(
                f"alerts.slack: Slack refused the message: {answer.get('error', 'no reason')}",
                "Check the token's scopes (chat:write) and the channel.",
            )


@dataclass(frozen=True)
class Webhook:
    """A POST of JSON: the document of the incident, or of several under ``incidents``."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    name: str = "webhook"

    def send(self, told: list[Incident], text: str) -> None:
        headers = {
            key: resolve(value, f"alerts.webhook.headers.{key}")
            for key, value in self.headers.items()
        }
        url = resolve(self.url, "alerts.webhook.url")
        body = json.dumps(document(told, text)).encode()
        post(url, body, {**_JSON, **headers}, "alerts.webhook")


@dataclass(frozen=True)
class Command:
    """A program: it gets the text on its input, the JSON in ``NIGHTPROOF_ALERT``."""

    words: tuple[str, ...]
    name: str = "command"

    def send(self, told: list[Incident], text: str) -> None:
        alert = json.dumps(document(told, text))
        try:
            ran = subprocess.run(
                self.words,
                input=text + "\n",
                text=True,
                env={**os.environ, "NIGHTPROOF_ALERT": alert},
                capture_output=True,
                timeout=_COMMAND_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            problem = f"took longer than {_COMMAND_SECONDS:g} s"
        except OSError as error:
            problem = f"could not be started: {error.strerror}"
        else:
            if ran.returncode == 0:
                return
            last = (ran.stderr.strip().splitlines() or ["nothing on stderr"])[-1][:200]
            problem = f"exit {ran.returncode}: {last}"
        raise NightproofError(f"alerts.command: {self.words[0]}: {problem}", "Try it by hand.")


@dataclass(frozen=True)
class Ping:
    """A check that has to be pinged: its runs ping it, and an incident makes it fail."""

    urls: Mapping[str, str]
    """By job; "" for all that have none of their own."""
    name: str = "ping"

    def send(self, told: list[Incident], text: str) -> None:
        for job in dict.fromkeys(one.job for one in told if one.cleared is None):
            # A run that failed has pinged so itself.
            if any(one.kind not in ("failed", "quota") for one in told if one.job == job):
                self.ping(job, "fail", "", text)

    def ping(self, job: str, event: str, rid: str, text: str = "") -> bool:
        """Ping the check of a job: `event` is "start", "fail" or "" for success; blocks.

        False where the job has no check. Raises NightproofError.
        """
        address = self.urls.get(job) or self.urls.get("")
        if not address:
            return False
        url = resolve(address, f"alerts.ping.{job}").rstrip("/")
        url += f"/{event}" if event else ""
        post(url + (f"?rid={rid}" if rid else ""), text.encode()[:10_000], {}, "alerts.ping")
        return True


def configured(alerts: Mapping[str, Any]) -> list[Sink]:
    """The sinks that the setting ``alerts`` describes. Raises ConfigError."""
    unknown = sorted(set(alerts) - _MAKERS.keys())
    if unknown:
        raise ConfigError(
            f"alerts: there is no sink '{unknown[0]}'", f"Known: {', '.join(_MAKERS)}."
        )
    return [_MAKERS[name](given) for name, given in alerts.items()]


def document(told: list[Incident], text: str) -> dict[str, Any]:
    """What webhooks and commands get."""
    if len(told) == 1:
        return told[0].document()
    return {"event": "several", "text": text, "incidents": [one.document() for one in told]}


def _slack(given: Any) -> Sink:
    if isinstance(given, str):
        return SlackWebhook(check(given, "alerts.slack"))
    table = _table(given, "slack", {"token", "channel", "url"}, {"token", "channel"})
    return SlackChat(**table)


def _webhook(given: Any) -> Sink:
    if isinstance(given, str):
        return Webhook(check(given, "alerts.webhook"))
    if not isinstance(given, Mapping) or not isinstance(given.get("headers", {}), Mapping):
        raise ConfigError(f"alerts.webhook: expected an address or a table, got {given!r}")
    headers = {
        str(key): check(value, f"alerts.webhook.headers.{key}")
        for key, value in given.get("headers", {}).items()
    }
    rest = {key: value for key, value in given.items() if key != "headers"}
    return Webhook(**_table(rest, "webhook", {"url"}, {"url"}), headers=headers)


def _command(given: Any) -> Sink:
    words = isinstance(given, list | tuple) and all(isinstance(one, str) for one in given)
    if not (words and given):
        raise ConfigError(
            f"alerts.command: expected a list of words, got {given!r}",
            'Write command = ["mail", "-s", "nightproof", "night@example.com"].',
        )
    return Command(tuple(given))


def _ping(given: Any) -> Sink:
    if isinstance(given, Mapping):
        return Ping({str(job): check(url, f"alerts.ping.{job}") for job, url in given.items()})
    return Ping({"": check(given, "alerts.ping")})


_MAKERS = {"slack": _slack, "webhook": _webhook, "command": _command, "ping": _ping}


def _table(given: Any, sink: str, known: set[str], needed: set[str]) -> dict[str, str]:
    if not isinstance(given, Mapping):
        raise ConfigError(f"alerts.{sink}: expected a text or a table, got {given!r}", _EXAMPLE)
    for name in sorted(needed - set(given)):
        raise ConfigError(f"alerts.{sink}: '{name}' is missing", _EXAMPLE)
    for name in sorted(set(given) - known):
        raise ConfigError(
            f"alerts.{sink}: there is no '{name}'", f"Known: {', '.join(sorted(known))}."
        )
    return {name: check(value, f"alerts.{sink}.{name}") for name, value in given.items()}


def _escaped(text: str) -> str:
    """Slack's three control characters; no name or link comes out of an error message."""
    text = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
