"""The simulator speaks what the services speak: credentials, formats, errors, counts."""

import csv
import gzip
import io
import json
import subprocess
import sys
import time
import zipfile
from datetime import date
from pathlib import Path
from urllib.parse import quote

import httpx2
import jwt
import pytest
from daily_revenue.simulator.data import Data, Move, totals

EXAMPLE = Path(__file__).parents[3] / "examples" / "daily_revenue"
DAY = date(2026, 6, 15)


class Client:
    """The services, asked by hand."""

    def __init__(self, simulator, folder):
        self.env = simulator.environment(folder)
        self.http = httpx2.Client(timeout=10)

    def secret(self, name):
        return Path(self.env[name]).read_text("utf-8")

    def token(self, **other):
        form = {
            "grant_type": "refresh_token",
            "client_id": self.env["GOOGLE_CLIENT_ID"],
            "client_secret": self.secret("GOOGLE_CLIENT_SECRET_FILE"),
            "refresh_token": self.secret("GOOGLE_REFRESH_TOKEN_FILE"),
            **other,
        }
        return self.http.post(self.env["GOOGLE_OAUTH_URL"], data=form)

    def report(self, token, *countries, day=DAY, kind="networkReport", **spec):
        one = {"year": day.year, "month": day.month, "day": day.day}
        body = {
            "dateRange": {"startDate": one, "endDate": one},
            "dimensions": ["DATE", "APP", "COUNTRY"],
            "metrics": ["ESTIMATED_EARNINGS", "IMPRESSIONS"],
            "dimensionFilters": [
                {"dimension": "COUNTRY", "matchesAny": {"values": list(countries)}}
            ],
            **spec,
        }
        publisher = spec.pop("publisher", self.env["ADMOB_PUBLISHER"])
        url = f"{self.env['ADMOB_BASE_URL']}/v1/accounts/{publisher}/{kind}:generate"
        return self.http.post(
            url, json={"reportSpec": body}, headers={"Authorization": f"Bearer {token}"}
        )

    def apple(self, life=1000, **asked):
        now = int(time.time())
        claims = {"iss": self.env["APP_STORE_ISSUER"], "iat": now, "exp": now + life}
        signed = jwt.encode(
            claims | {"aud": "appstoreconnect-v1"},
            self.secret("APP_STORE_KEY_FILE"),
            algorithm="ES256",
            headers={"kid": self.env["APP_STORE_KEY_ID"]},
        )
        query = {
            "filter[frequency]": "DAILY",
            "filter[reportDate]": DAY.isoformat(),
            "filter[reportSubType]": "SUMMARY",
            "filter[reportType]": "SALES",
            "filter[vendorNumber]": self.env["APP_STORE_VENDOR"],
            **asked,
        }
        url = f"{self.env['APP_STORE_BASE_URL']}/v1/salesReports"
        return self.http.get(url, params=query, headers={"Authorization": f"Bearer {signed}"})

    def bucket(self, token, path="", **query):
        url = f"{self.env['GCS_BASE_URL']}/storage/v1/b/{self.env['PLAY_BUCKET']}/o{path}"
        return self.http.get(url, params=query, headers={"Authorization": f"Bearer {token}"})

    def slack(self, method, **given):
        token = self.secret("SLACK_TOKEN_FILE")
        return self.http.post(
            self.env["SLACK_BASE_URL"] + method,
            json={"channel": self.env["SLACK_CHANNEL"], **given},
            headers={"Authorization": f"Bearer {token}"},
        )


@pytest.fixture
def client(simulator, tmp_path):
    """A simulator and a client of it."""

    made = []

    def make(*args, **kwargs):
        sim = simulator(*args, **kwargs)
        made.append(Client(sim, tmp_path / "secrets"))
        return sim, made[-1]

    yield make
    for one in made:
        one.http.close()


def test_admob_streams_rows_between_header_and_footer(client):
    """int64 are texts, the money is what the data holds, each country asked for is counted."""
    sim, ask = client()
    answer = ask.report(ask.token().json()["access_token"], "JP").json()
    header, *rows, footer = answer
    assert header["header"]["reportingTimeZone"] == "America/Los_Angeles"
    assert footer["footer"]["matchingRowCount"] == str(len(rows)) == "6"
    micros = [one["row"]["metricValues"]["ESTIMATED_EARNINGS"]["microsValue"] for one in rows]
    assert sum(map(int, micros)) == totals(r for r in Data().rows(DAY) if r.country == "JP")
    assert sim.counts()["acts"][f"admob/{DAY}/JP"] == 1


def test_admob_refuses_what_the_real_one_refuses(client):
    """Tokens, scopes, accounts, metrics and row limits."""
    _, ask = client()
    token = ask.token().json()["access_token"]
    assert ask.report("wrong", "JP").status_code == 401
    storage = ask.token(scope="https://www.googleapis.com/auth/devstorage.read_only").json()
    assert ask.report(storage["access_token"], "JP").status_code == 403
    assert ask.report(token, "JP", maxReportRows=100_001).status_code == 400
    wrong = ask.report(token, "JP", metrics=["IMPRESSION_RPM"], kind="mediationReport")
    assert wrong.json()[0]["error"]["status"] == "INVALID_ARGUMENT"
    assert "pub-1" in ask.report(token, "JP", publisher="pub-1").text
    assert ask.token(refresh_token="no").json()["error"] == "invalid_grant"


def test_admob_quota_comes_back_after_its_window(client):
    """The 429 is wrapped in an array and says how long, where it says anything."""
    _, ask = client(limits={"admob_requests": 2, "admob_seconds": 0.3})
    token = ask.token().json()["access_token"]
    found = [ask.report(token, "JP") for _ in range(3)]
    assert [one.status_code for one in found] == [200, 200, 429]
    details = found[2].json()[0]["error"]["details"]
    delay = float(details[1]["retryDelay"].removesuffix("s"))
    assert 0 < delay <= 0.3
    time.sleep(delay)
    assert ask.report(token, "JP").status_code == 200


def test_app_store_verifies_tokens_and_tells_its_404s_apart(client):
    """A token for more than 20 minutes is refused; gzip comes as a file, not as an encoding."""
    sim, ask = client()
    answer = ask.apple()
    assert "content-encoding" not in answer.headers
    assert answer.headers["x-rate-limit"].startswith("user-hour-lim:3500;user-hour-rem:")
    rows = list(
        csv.DictReader(gzip.decompress(answer.content).decode().splitlines(), delimiter="\t")
    )
    assert len(rows[0]) == 28
    assert {row["Product Type Identifier"] for row in rows} == {"1F", "7F", "IA1"}
    assert any(int(row["Units"]) < 0 for row in rows)
    assert ask.apple(life=1300).status_code == 401
    wrong = ask.apple(**{"filter[version]": "1_0"}).json()["errors"][0]
    assert wrong["detail"].endswith("The latest version for this report is 1_1.")
    sim.world.available = date(2026, 6, 14)
    assert "not available yet" in ask.apple().text
    sim.world.available, sim.world.data.given = None, {}
    assert "There were no sales" in ask.apple().text


def test_play_bucket_rewrites_its_monthly_files(client):
    """UTF-16LE with a mark; a correction is another generation; earnings are zips."""
    sim, ask = client()
    token = ask.token().json()["access_token"]
    name = "stats/installs/installs_com.example.chess_202606_country.csv"
    before = ask.bucket(token, prefix=name).json()["items"][0]
    content = ask.bucket(token, "/" + quote(name, safe=""), alt="media").content
    assert content.startswith(b"\xff\xfe")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-16"), newline="")))
    assert {row["Package Name"] for row in rows} == {"com.example.chess"}
    sim.world.data.late[DAY] = 1.1
    after = ask.bucket(token, prefix=name).json()["items"][0]
    assert before["generation"] != after["generation"]
    gone = ask.bucket(
        token, "/" + quote(name, safe=""), alt="media", generation=before["generation"]
    )
    assert gone.status_code == 404
    zipped = ask.bucket(token, "/" + quote("earnings/earnings_202606_0123456789-1.zip", safe=""),
                        alt="media").content  # fmt: skip
    inner = zipfile.ZipFile(io.BytesIO(zipped))
    assert inner.namelist() == ["PlayApps_202606.csv"]


def test_bucket_lists_in_pages(client):
    """Every name once."""
    _, ask = client()
    token = ask.token().json()["access_token"]
    names, page = [], {}
    while True:
        answer = ask.bucket(token, prefix="stats/", maxResults=7, **page).json()
        names += [item["name"] for item in answer["items"]]
        if "nextPageToken" not in answer:
            break
        page = {"pageToken": answer["nextPageToken"]}
    assert len(names) == len(set(names)) > 30


def test_slack_keeps_messages_with_their_metadata(client):
    """Errors are HTTP 200; an edited message remembers what it said."""
    sim, ask = client()
    key = {"event_type": "daily_report", "event_payload": {"key": "2026-06-15"}}
    sent = ask.slack("chat.postMessage", text="first", metadata=key).json()
    assert sent["ok"]
    assert ask.slack("chat.update", ts=sent["ts"], text="second").json()["ok"]
    wrong = ask.slack("chat.postMessage", text="x", channel="elsewhere")
    assert (wrong.status_code, wrong.json()["error"]) == (200, "channel_not_found")
    told = ask.slack("conversations.history", include_all_metadata=True).json()["messages"]
    assert [(one["text"], one["metadata"]["event_payload"]["key"]) for one in told] == [
        ("second", "2026-06-15")
    ]
    assert sim.messages()[0]["edits"] == ["first"]
    assert sim.counts()["acts"] == {"slack/post/2026-06-15": 1, "slack/update/2026-06-15": 1}


def test_stripe_answers_a_key_once(client):
    """The same key again is the same charge; with other parameters it is refused."""
    sim, ask = client()
    url, key = f"{sim.url}/stripe/v1/charges", sim.world.stripe_key

    def charge(amount):
        headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "june"}
        return ask.http.post(url, data={"amount": amount}, headers=headers)

    assert charge(100).json()["id"] == charge(100).json()["id"]
    assert charge(200).json()["error"]["type"] == "idempotency_error"
    assert sim.counts()["charges"] == 1


FAULTS = [
    ("no-footer", lambda answer: "footer" not in answer.text),
    ("mid-stream-error", lambda answer: "UNAVAILABLE" in answer.text and '"row"' in answer.text),
    ("503", lambda answer: answer.status_code == 503),
    ("401", lambda answer: answer.status_code == 401),
    ("429", lambda answer: "RetryInfo" not in answer.text and answer.status_code == 429),
    ("429-retryinfo", lambda answer: "RetryInfo" in answer.text),
]


@pytest.mark.parametrize(("kind", "holds"), FAULTS, ids=[kind for kind, _ in FAULTS])
def test_faults_strike_when_the_script_says(client, kind, holds):
    """After two good answers once, and then no more."""
    sim, ask = client()
    token = ask.token().json()["access_token"]
    sim.script({"faults": [{"on": {"service": "admob"}, "after": 2, "do": {"kind": kind}}]})
    found = [holds(ask.report(token, "US")) for _ in range(4)]
    assert found == [False, False, True, False]
    assert sim.counts()["faults"][0]["hit"] == 1


@pytest.mark.parametrize("kind", ["reset-before", "reset-after-processing", "truncated"])
def test_broken_connections(client, kind):
    """What was processed is counted, although no answer came."""
    sim, ask = client()
    sim.script({"faults": [{"on": {"service": "slack"}, "do": {"kind": kind}}]})
    with pytest.raises(httpx2.TransportError):
        ask.slack("chat.postMessage", text="lost")
    assert len(sim.messages()) == (0 if kind == "reset-before" else 1)


def test_expired_tokens_and_wrong_data(client):
    """A fault can end all tokens, and report numbers that are corrected later."""
    sim, ask = client()
    token = ask.token().json()["access_token"]
    right = ask.report(token, "JP").json()
    faults = [
        {"on": {"service": "admob"}, "do": {"kind": "wrong-data", "factor": 0.5}},
        {"on": {"service": "admob"}, "after": 1, "do": {"kind": "expired"}},
    ]
    sim.script({"faults": faults})
    assert ask.report(token, "JP").json()[1:-1] != right[1:-1]
    assert ask.report(token, "JP").status_code == 401
    again = ask.report(ask.token().json()["access_token"], "JP").json()
    assert again[1:-1] == right[1:-1]


def test_faults_by_chance_are_the_same_for_the_same_seed(client):
    """A rate with a seed hits the same requests again."""
    sim, ask = client()
    token = ask.token().json()["access_token"]
    script = {"seed": 5, "faults": [{"on": {}, "rate": 0.5, "do": {"kind": "503"}}]}

    def night():
        sim.script(script)
        return [ask.report(token, "US").status_code for _ in range(12)]

    assert night() == night()
    assert set(night()) == {200, 503}


def test_data_comes_from_a_file_where_one_is_given(tmp_path):
    """The columns of the issue's CSV; a wrong line is named."""
    path = tmp_path / "real.csv"
    head = "date,country,app,platform,impressions,installs,revenue_micros,currency\n"
    path.write_text(head + "2026-06-15,JP,Chess,ios,10,2,3000000,USD\n", encoding="utf-8")
    rows = list(Data.read(path).rows(DAY))
    assert (rows[0].country, rows[0].revenue_micros) == ("JP", 3_000_000)
    path.write_text(head + "yesterday,JP,Chess,ios,10,2,3,USD\n", encoding="utf-8")
    with pytest.raises(ValueError, match="line 2"):
        Data.read(path)


def test_moves_and_corrections_change_the_data():
    """A country moves from a day on; a late day differs from what it was."""
    data = Data(moves=(Move("BR", DAY, 0.5),))
    plain = Data()
    brazil = [totals(r for r in one.rows(DAY) if r.country == "BR") for one in (data, plain)]
    assert 0.49 < brazil[0] / brazil[1] < 0.51
    data.late[DAY] = 2.0
    assert totals(data.rows(DAY)) == pytest.approx(2 * totals(data.rows(DAY, settled=False)))


def test_it_runs_as_a_process_and_takes_a_script_while_it_runs(tmp_path):
    """The first line says where; control and wrong input answer clearly."""
    command = [sys.executable, "-m", "simulator", "--credentials", str(tmp_path / "c")]
    with subprocess.Popen(command, cwd=EXAMPLE, stdout=subprocess.PIPE, text=True) as child:
        told = json.loads(child.stdout.readline())
        url = told["url"]
        assert httpx2.put(f"{url}/_script", json={"faults": []}).json() == {"ok": True}
        wrong = httpx2.put(f"{url}/_script", json={"faults": [{"do": {"kind": "flood"}}]})
        assert (wrong.status_code, "flood" in wrong.text) == (400, True)
        assert httpx2.get(f"{url}/_counts").json()["messages"] == 0
        child.terminate()
        assert child.wait(10) == 0
    assert Path(told["environment"]["SLACK_TOKEN_FILE"]).stat().st_mode & 0o777 == 0o600
    bad = subprocess.run([*command, "--move", "BR"], cwd=EXAMPLE, capture_output=True, text=True)
    assert (bad.returncode, "COUNTRY:YYYY-MM-DD:FACTOR" in bad.stderr) == (2, True)
