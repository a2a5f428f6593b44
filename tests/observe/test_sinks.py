"""Alert sinks, against a real HTTP server and real programs."""

import json
import sys
from datetime import UTC, datetime, timedelta

import pytest

from nightproof.errors import ConfigError, NightproofError
from nightproof.model import clock
from nightproof.observe import Incident, Watcher
from nightproof.observe.sinks import configured

pytestmark = pytest.mark.sqlite_only

AT = datetime(2026, 10, 15, 4, 30, tzinfo=UTC)
STALLED = Incident("stalled:a", "stalled", "main", "main-1", AT, None, "no <checkpoint> & more")
OVER = Incident("stalled:a", "stalled", "main", "main-1", AT, AT + timedelta(minutes=5), "gone")


class Hasty(clock.System):
    """Does not wait between two tries."""

    def __init__(self):
        self.waited = []

    def block(self, seconds):
        self.waited.append(seconds)


@pytest.fixture
def hasty():
    source = Hasty()
    with clock.use(source):
        yield source


def send(alerts, told=STALLED):
    [sink] = configured(alerts)
    sink.send([told], str(told))


def test_a_slack_webhook_gets_escaped_text(server, monkeypatch):
    """The address comes from the environment; nothing in the text is a link or a mention."""
    monkeypatch.setenv("HOOK", f"{server.url}/services/T0/B0/secret")
    send({"slack": "env:HOOK"})
    [(path, headers, body)] = server.got
    assert path == "/services/T0/B0/secret"
    text = json.loads(body)["text"]
    assert text.startswith("main stalled: no &lt;checkpoint&gt; &amp; more\n")
    assert headers["Content-Type"].startswith("application/json")


def test_a_slack_channel_by_token(server, tmp_path):
    """chat.postMessage, with a token from a file; Slack's refusals come with status 200."""
    (tmp_path / "token").write_text("xoxb-secret\n")
    alerts = {
        "slack": {"token": f"file:{tmp_path}/token", "channel": "C01", "url": f"{server.url}/api"}
    }
    send(alerts)
    [(path, headers, body)] = server.got
    assert (path, headers["Authorization"]) == ("/api/chat.postMessage", "Bearer xoxb-secret")
    assert json.loads(body)["channel"] == "C01"
    server.answers = [(200, '{"ok": false, "error": "channel_not_found"}')]
    with pytest.raises(NightproofError, match="channel_not_found"):
        send(alerts)


def test_a_webhook_gets_the_document(server, monkeypatch):
    """All fields, with headers by reference; several at once in one list."""
    monkeypatch.setenv("AUTH", "Bearer secret")
    alerts = {"webhook": {"url": f"{server.url}/hook", "headers": {"Authorization": "env:AUTH"}}}
    send(alerts, OVER)
    [(_, headers, body)] = server.got
    assert headers["Authorization"] == "Bearer secret"
    document = json.loads(body)
    assert (document["event"], document["kind"], document["run"]) == (
        "cleared",
        "stalled",
        "main-1",
    )
    assert (document["opened"], document["cleared"]) == (
        "2026-10-15T04:30:00+00:00", "2026-10-15T04:35:00+00:00",
    )  # fmt: skip
    [sink] = configured(alerts)
    sink.send([STALLED, OVER], "text")
    assert len(json.loads(server.got[1][2])["incidents"]) == 2


def test_a_command_gets_text_and_document(tmp_path):
    """On its input and in its environment; another exit than 0 is a failure."""
    script = (
        "import os, sys, pathlib; pathlib.Path(sys.argv[1]).write_text("
        "sys.stdin.read() + os.environ['NIGHTPROOF_ALERT'])"
    )
    send({"command": [sys.executable, "-c", script, str(tmp_path / "out")]})
    text = (tmp_path / "out").read_text()
    assert text.startswith("main stalled: no <checkpoint>")
    assert json.loads(text.splitlines()[-1])["key"] == "stalled:a"
    code = "import sys; print('no mail today', file=sys.stderr); sys.exit(3)"
    with pytest.raises(NightproofError, match="exit 3: no mail today"):
        send({"command": [sys.executable, "-c", code]})
    with pytest.raises(NightproofError, match="could not be started"):
        send({"command": ["/no/such/program"]})


def test_an_incident_makes_the_checks_ping_fail(server):
    """Only its opening, and only of the job's own check."""
    alerts = {"ping": {"main": f"{server.url}/uuid"}}
    send(alerts)
    send(alerts, OVER)
    [sink] = configured(alerts)
    assert not sink.ping("other", "start", "")
    assert sink.ping("main", "", "abc")
    assert [path for path, _, _ in server.got] == ["/uuid/fail", "/uuid?rid=abc"]


@pytest.mark.parametrize(
    ("answers", "requests", "waited"),
    [
        ([(503, ""), (200, "ok")], 2, [1.0]),
        ([(429, ""), (500, ""), (200, "ok")], 3, [1.0, 3.0]),
    ],
)
def test_what_may_pass_is_tried_again(server, hasty, answers, requests, waited):
    """Too many requests, and errors of the server."""
    server.answers = list(answers)
    send({"webhook": server.url})
    assert (len(server.got), hasty.waited) == (requests, waited)


def test_what_is_refused_is_not_tried_again(server, hasty):
    """The message names the host and the answer, never the address."""
    server.answers = [(404, "")]
    with pytest.raises(NightproofError) as caught:
        send({"webhook": f"{server.url}/secret"})
    assert caught.value.message == "alerts.webhook: 127.0.0.1 answered 404"
    assert len(server.got) == 1


def test_nobody_at_the_address(server, hasty):
    """Three tries; the message says what went wrong."""
    url = server.url
    server.shutdown()
    server.server_close()
    with pytest.raises(NightproofError, match=r"cannot be reached \(ConnectionRefusedError\)"):
        send({"webhook": f"{url}/secret"})
    assert hasty.waited == [1.0, 3.0]


@pytest.mark.parametrize(
    ("alerts", "part"),
    [
        ({"slak": "env:X"}, "there is no sink 'slak'"),
        ({"slack": "https://hooks.slack.com/services/x"}, "does not belong into"),
        ({"slack": {"token": "xoxb-1", "channel": "C"}}, "does not belong into"),
        ({"slack": {"token": "env:X"}}, "'channel' is missing"),
        ({"slack": {"token": "env:X", "channel": "C", "room": "x"}}, "there is no 'room'"),
        ({"slack": 3}, "expected a text or a table"),
        ({"webhook": "https://user:pw@example.com/"}, "does not belong into"),
        ({"webhook": {"url": "https://e.com", "headers": {"Authorization": "Bearer x"}}}, "belong"),
        ({"webhook": {"headers": {}}}, "'url' is missing"),
        ({"command": "mail me"}, "a list of words"),
        ({"command": []}, "a list of words"),
        ({"ping": {"main": 3}}, "alerts.ping.main"),
        ({"webhook": "env:"}, "names nothing"),
    ],
)
def test_nonsense_is_refused_before_anything_is_watched(night, alerts, part):
    """One message that names the setting."""
    with pytest.raises(ConfigError) as caught:
        Watcher(night.settings(alerts=alerts))
    assert part in caught.value.message


def test_a_missing_reference_says_what_to_set(monkeypatch):
    """When it is needed, by name."""
    monkeypatch.delenv("NO_SUCH", raising=False)
    with pytest.raises(ConfigError, match="NO_SUCH is not set"):
        send({"webhook": "env:NO_SUCH"})
    with pytest.raises(ConfigError, match="/no/such/file cannot be read"):
        send({"webhook": "file:/no/such/file"})
