"""What such a pipeline dies of at night, and what is left to do in the morning."""

import json
import signal
import time
from datetime import date, timedelta
from pathlib import Path

import pytest
from daily_revenue.contract import simulated_apps
from daily_revenue.simulator.data import COUNTRIES, App, Data, Move

EXAMPLE = Path(__file__).parents[3] / "examples" / "daily_revenue"
DAY = date(2026, 10, 15)


def test_an_undisturbed_night(nights):
    """Every country once, every row once, one message; both planted moves are found."""
    found = nights(Data(moves=(Move("BR", DAY, 0.5), Move("JP", DAY, 1.6))))
    contract = found.contract()
    ended = found.run(contract)
    assert ended.code == 0, ended
    assert [one["country"] for one in ended.json["result"]["anomalies"]] == ["JP", "BR"]
    assert set(found.calls().values()) == {1}
    assert found.rows() == [(288, 288)]
    assert len(found.sim.messages()) == 1
    again = found.run(contract)
    assert (again.code, again.json["steps"]["executed"]) == (0, 0)
    assert len(found.sim.messages()) == 1


def test_quota_exhausted_after_36_of_48_countries(nights):
    """The run parks until the next window, and then only the 12 missing are fetched."""
    found = nights(limits={"admob_requests": 36, "admob_seconds": 8})
    contract = found.contract()
    parked = found.run(contract)
    assert parked.code == 75, parked
    before = found.calls()
    assert len(before) == 36
    time.sleep(8)
    ended = found.run(contract)
    assert ended.code == 0, ended
    assert found.calls() == dict.fromkeys(COUNTRIES, 1)
    assert ended.json["steps"]["replayed"] >= 36


def test_token_expired_in_mid_run(nights):
    """The token is made again, and only what was refused is asked again."""
    found = nights()
    fault = {"on": {"service": "admob"}, "after": 20, "do": {"kind": "expired"}}
    found.sim.script({"faults": [fault]})
    ended = found.run(found.contract())
    assert ended.code == 0, ended
    assert found.calls() == dict.fromkeys(COUNTRIES, 1)
    assert found.sim.counts()["acts"]["oauth/token"] == 2


def test_transient_401_of_apple(nights):
    """A refusal for no reason: signed once more, asked once more."""
    found = nights()
    found.sim.script({"faults": [{"on": {"service": "appstore"}, "do": {"kind": "401"}}]})
    ended = found.run(found.contract())
    assert ended.code == 0, ended
    assert found.sim.counts()["acts"][f"appstore/{DAY}"] == 3


def test_answers_that_break_off(nights):
    """No footer, an error in the middle, a closed connection, a 503: asked again, once each."""
    found = nights()
    faults = [
        {"on": {"service": "admob", "contains": f'"{country}"'}, "do": {"kind": kind, **more}}
        for country, kind, more in [
            ("JP", "no-footer", {}), ("DE", "mid-stream-error", {"rows": 3}),
            ("FR", "truncated", {}), ("BR", "503", {}), ("IT", "reset-after-processing", {}),
        ]
    ]  # fmt: skip
    found.sim.script({"faults": faults})
    ended = found.run(found.contract())
    assert ended.code == 0, ended
    assert [one["hit"] for one in found.sim.counts()["faults"]] == [1] * 5
    assert found.rows() == [(288, 288)]


def test_connection_pool_exhausted(nights, database):
    """The night stops at the table; with less parallelism the rest goes through."""
    import psycopg

    found = nights()
    contract = found.contract()
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE ROLE small LOGIN PASSWORD 'small' CONNECTION LIMIT 1")
        connection.execute("GRANT ALL ON SCHEMA public TO small")
        url = f"postgresql://small:small@{database.rpartition('@')[2]}"
        try:
            with psycopg.connect(url):  # somebody else has the only one there is
                # Nothing is long enough to park it before it is asked to leave.
                child = found.starting(contract, DATABASE_URL=url, NIGHTPROOF_PARK_AFTER="600")
                found.wait(lambda: len(found.calls()) == len(COUNTRIES), child)
                found.wait(lambda: "too many connections" in found.logs(), child)
                child.send_signal(signal.SIGTERM)
                assert found.ended(child).code == 75
            before = found.sim.counts()["calls"]
            ended = found.run(contract, "--concurrency", "upsert=1", DATABASE_URL=url)
            assert ended.code == 0, ended
            after = found.sim.counts()["calls"]
            assert (after["admob"], after["gcs"]) == (before["admob"], before["gcs"])
            assert found.rows() == [(288, 288)]
        finally:
            connection.execute("DROP OWNED BY small CASCADE")
            connection.execute("DROP ROLE small")


def test_killed_between_slacks_acceptance_and_our_confirmation(nights):
    """The message is there, the answer never came: the probe finds it, nobody posts again."""
    found = nights()
    contract = found.contract()
    drip = {
        "on": {"service": "slack", "path": "postMessage"},
        "do": {"kind": "drip", "seconds": 30},
    }
    found.sim.script({"faults": [drip]})
    child = found.starting(contract)
    found.wait(found.sim.messages, child)
    found.kill(child)
    ended = found.run(contract)
    assert ended.code == 0, ended
    [message] = found.sim.messages()
    assert ended.json["result"]["message"]["ts"] == message["message"]["ts"]
    assert found.sim.counts()["acts"][f"slack/post/daily-revenue/{DAY}"] == 1


def test_slack_says_internal_error_although_it_posted(nights):
    """An answer that may mean either is no reason to post twice."""
    found = nights()
    unknown = {"on": {"service": "slack", "path": "postMessage"}, "do": {"kind": "unknown"}}
    found.sim.script({"faults": [unknown]})
    ended = found.run(found.contract())
    assert ended.code == 0, ended
    assert len(found.sim.messages()) == 1


def test_late_data_corrects_the_one_message(nights):
    """Another revision of the day: rows are updated, the message is edited, none is added."""
    found = nights()
    first = found.run(found.contract())
    assert first.code == 0, first
    same = found.run(found.contract(revision=1))
    assert (same.json["result"]["unchanged"], same.json["result"]["updated"]) == (288, 0), same
    assert found.sim.counts()["updates"] == 0
    found.sim.world.data.late[DAY] = 1.05
    second = found.run(found.contract(revision=2))
    assert second.code == 0, second
    assert second.json["result"]["updated"] == 288
    [message] = found.sim.messages()
    assert message["edits"] != []
    assert message["message"]["ts"] == first.json["result"]["message"]["ts"]
    revenue = second.json["result"]["revenue_micros"] / 1_000_000
    assert f"{revenue:,.2f} EUR" in message["message"]["text"]
    assert found.rows() == [(288, 288)]


def test_a_day_without_sales_and_one_that_is_not_out_yet(nights):
    """No sales is a zero; a report that is not out yet is waited for."""
    found = nights()
    found.sim.world.available = DAY - timedelta(days=1)
    parked = found.run(found.contract())
    assert parked.code == 75, parked
    assert "not out yet" in parked.json["error"]["message"] + parked.err
    assert not found.sim.messages()


def test_a_night_without_a_single_row_fails(nights):
    """A run that did nothing is a failed run."""
    found = nights(Data(given={}))
    ended = found.run(found.contract())
    assert ended.code == 1
    assert "no revenue rows" in ended.json["error"]["message"]
    assert not found.sim.messages()


def test_cold_start_leaves_a_boot_record_before_any_import(nights, tmp_path):
    """A process that dies while it imports the pipeline has left a trace."""
    found = nights()
    job = tmp_path / "job.py"
    job.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n", encoding="utf-8")
    child = found.start("run", f"{job}:daily_revenue", found.contract())
    child.communicate(timeout=30)
    assert child.returncode == -signal.SIGKILL
    told = found.command("doctor").out
    assert "died before its run began" in told
    assert str(job) in told


def test_no_secret_turns_up_anywhere(nights):
    """Journal, blobs, artifacts, manifests, logs and errors hold no credential and no token."""
    found = nights()
    found.sim.script(
        {
            "faults": [
                {"on": {"service": "admob"}, "after": 5, "times": 2, "do": {"kind": "401"}},
                {"on": {"service": "slack"}, "times": 1, "do": {"kind": "500"}},
            ]
        }
    )
    contract = found.contract()
    ended = found.run(contract)
    assert ended.code == 0, ended
    name = ended.json["run"]
    broken = found.run(found.contract(revision=1), SLACK_TOKEN="xoxb-a-wrong-one-0123456789")
    shown = [found.command(*words) for words in (
        ("show", name), ("logs", name), ("steps", name), ("show", name, "--json"), ("env", "show"),
    )]  # fmt: skip
    texts = [Path(contract).read_bytes()]
    texts += [(one.out + one.err).encode() for one in [ended, broken, *shown]]
    secrets = found.folder / "secrets"
    texts += [
        path.read_bytes()
        for path in found.folder.rglob("*")
        if path.is_file() and secrets not in path.parents
    ]
    assert len(texts) > 12
    for secret in [*found.sim.secrets(), "xoxb-a-wrong-one-0123456789"]:
        assert not [text[:80] for text in texts if secret.encode() in text]


def test_missing_credentials_say_what_to_set(nights):
    """A variable that is not there is named; nothing was asked of anybody."""
    found = nights()
    found.env.pop("GOOGLE_REFRESH_TOKEN_FILE")
    ended = found.run(found.contract())
    assert ended.code == 1
    assert "GOOGLE_REFRESH_TOKEN_FILE" in json.dumps(ended.json)
    assert found.sim.counts()["calls"].get("admob", 0) == 0


def test_a_greedy_job_gets_no_more_than_its_share(nights):
    """Telemetry asks without end; the night goes on, and nobody exceeds what is allowed."""
    found = nights(limits={"admob_requests": 40, "admob_seconds": 2})
    window = json.loads(Path(found.contract()).read_text("utf-8"))["window"]
    wanted = {
        "contractVersion": "1", "task": "telemetry", "window": window,
        "countries": list(COUNTRIES), "rounds": 20,
    }  # fmt: skip
    # A little less than is allowed: calls arrive later than they were let go, not all alike.
    rate = {"ADMOB_RATE": "36/2s", "NIGHTPROOF_PARK_AFTER": "60"}
    target = str(EXAMPLE / "telemetry.py") + ":telemetry"
    greedy = found.start("run", target, json.dumps(wanted), **rate)
    found.wait(lambda: found.sim.counts()["calls"].get("admob"), greedy)
    ended = found.run(found.contract(), **rate)
    assert ended.code == 0, ended
    found.kill(greedy)
    times = dict(found.sim.world.times)
    assert most_within(times["telemetry"], 2.0) <= 12
    together = [at for one in times.values() for at in one]
    assert most_within(together, 2.0) <= 40
    assert found.sim.counts()["calls"]["admob"] == len(together), "nothing was refused"
    shown = found.command("quotas", "--json").json["quotas"]
    assert [one["name"] for one in shown] == ["admob"]


def most_within(times, seconds):
    """The largest number of times that lie within so many seconds."""
    return max(sum(at <= other < at + seconds for other in times) for at in times)


@pytest.mark.drill
@pytest.mark.timeout(400)
def test_a_checkpoint_of_80_mb_leaves_the_journal_small(nights):
    """Large results lie outside of it, and a resume asks for none of them again."""
    apps = tuple(
        App(f"App {n}", "ios", f"com.example.a{n}", f"ca-app-pub-8123415297019784~{n:010d}", str(n))
        for n in range(2200)
    )
    found = nights(Data(apps=apps))
    contract = found.contract(apps=simulated_apps())
    child = found.starting(contract)
    found.wait(lambda: found.sim.counts()["calls"].get("gcs"), child, 350)
    found.kill(child)
    blobs = [path.stat().st_size for path in (found.folder / "blobs").rglob("*.zst")]
    assert len(blobs) >= len(COUNTRIES)
    assert (found.folder / "journal.db").stat().st_size < 1_000_000
    before = found.sim.counts()["calls"]
    child = found.starting(contract)
    found.wait(lambda: found.sim.counts()["calls"]["gcs"] > before["gcs"], child, 100)
    found.kill(child)
    assert found.sim.counts()["calls"]["admob"] == before["admob"]
