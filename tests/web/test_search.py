"""Searching the store, by words and by files."""

import asyncio
import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from nightproof import app
from nightproof.views import search as searching
from nightproof.views.search import SearchView, digests, search
from nightproof.web.pages import search as page


def looked(house: Any, query: str, **how: Any) -> SearchView:
    """A search of the house."""
    return asyncio.run(search(app.open_reader(house.settings()), query, **how))


def sent(dashboard: Any, data: Any, name: str = "file", **headers: str) -> Any:
    """A file as the page's script sends it."""
    import httpx2

    with httpx2.Client(base_url=dashboard.url) as client:
        shown = client.get("/search").text
        token = re.search('data-csrf="([^"]+)"', shown)
        assert token is not None
        given = {"x-csrf-token": token[1], "x-file-name": name, **headers}
        return client.post("/search/file", content=data, headers=given, timeout=30)


def delivered(house: Any, run: str, name: str) -> Path:
    """A file that a run of the house has delivered."""
    path: Path = house.folder / ".nightproof" / "artifacts" / house.runs[run] / name
    return path


def test_a_run_by_its_name(house: Any):
    """Whole, its beginning, its middle, and its job."""
    name = house.runs["styled"]
    assert [run.run for run in looked(house, house.runs["failed"]).runs] == [house.runs["failed"]]
    for query in (name, name[:12], name[3:12]):
        found = {run.run for run in looked(house, query).runs}
        assert {name, house.runs["drifted"], house.runs["equal"]} <= found
    assert len(looked(house, "nightly").runs) == 4


@pytest.mark.parametrize(
    ("query", "runs"),
    [
        ("countries=IT", ["crashed"]),
        ("countries[1]=FR", ["crashed", "night 2", "night 1", "night 0"]),
        ("countries[0]=FR", []),
        ("window.start=2026-11-19", ["night 1"]),
        ("window.start = 2026-11-19T00:00:00+01:00", ["night 1"]),
        ("n=300", ["many"]),
        ("n=true", []),
        ("text=y", ["failed"]),
        ('text="y"', ["failed"]),
        ("task=fail*", []),
        ("task=man*", ["many"]),
        ("window=2026", []),
    ],
)
def test_a_field_of_a_contract(house: Any, query: str, runs: list[str]):
    """Dotted, into lists, numbers as numbers, times by their beginning, a star at the end."""
    found = [hit.run.run for hit in looked(house, query).fields]
    assert found == [house.runs[one] for one in runs]


def test_an_effect_and_an_item_by_key(house: Any):
    """Keys are found by any part of them; an item leads to its place in the history."""
    effects = looked(house, "nightly/2026-11-2").effects
    assert [one.key for one in effects] == ["nightly/2026-11-21", "nightly/2026-11-20"]
    (item,) = looked(house, "tem-000107").items
    assert (item.step, item.key, item.state) == ("enrich", "item-000107", "failed")
    assert item.run == house.runs["many"]
    many = looked(house, "item-0001")
    assert len(many.items) == 5
    assert many.items[0].more
    assert not looked(house, '"key"').items
    assert not looked(house, "key=item-000107").items
    assert looked(house, '"item-000107"').items


def test_a_search_that_takes_long_goes_on(house: Any, monkeypatch: pytest.MonkeyPatch):
    """It stops when its time is over, and from there on finds the rest, each thing once."""
    monkeypatch.setattr(searching, "_WINDOW", 10)
    whole = looked(house, "item-00010", seconds=60)
    assert whole.next is None
    items, after, steps = [], "", 0
    while steps == 0 or after:
        part = looked(house, "item-00010", after=after, seconds=0)
        items += part.items
        after, steps = part.next or "", steps + 1
    assert steps > 10
    assert [one.seq for one in items] == [one.seq for one in whole.items]
    monkeypatch.setattr(searching, "_NAMES", 2)
    names, after, steps = [], "", 0
    while steps == 0 or after:
        part = looked(house, "nightly", after=after, seconds=0)
        names += [run.run for run in part.runs]
        after, steps = part.next or "", steps + 1
    assert sorted(names) == sorted(run.run for run in looked(house, "nightly").runs)
    for nonsense in ("x", "1.1", "1.x.1", "9" * 40 + ".1.1", "-1.1.1", "².1.1"):
        looked(house, "item-00010", after=nonsense)


def test_a_file_leads_to_the_run_that_made_it(dashboard: Any, house: Any):
    """Its bytes are enough; replicates that made the same are named, and who did not."""
    data = delivered(house, "styled", "styled.txt").read_bytes()
    answer = sent(dashboard, data, "mine%20%3Cb%3E.txt")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["sha256"] == hashlib.sha256(data).hexdigest()
    text = dashboard.get(found["href"]).text
    assert house.runs["styled"] in text
    assert house.runs["equal"] in text
    assert f'not by <a class="mono" href="/runs/{house.runs["drifted"]}"' in text
    assert "mine &lt;b&gt;.txt" in text
    unknown = sent(dashboard, data + b"?").json()
    assert "No run delivered it" in dashboard.get(unknown["href"]).text


def test_a_manifest_leads_to_what_it_is_about(dashboard: Any, house: Any):
    """Plain or in an envelope; so does the output of sha256sum."""
    path = delivered(house, "night 0", "report.md")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest = path.with_name("report.md.manifest.json").read_bytes()
    envelope = json.dumps({"payload": base64.b64encode(manifest).decode(), "signatures": []})
    for data in (manifest, envelope.encode(), f"{digest}  report.md\n".encode()):
        found = sent(dashboard, data).json()
        assert digest in found["href"]
        assert house.runs["night 0"] in dashboard.get(found["href"]).text


def test_digests_are_pasted_as_they_come(dashboard: Any, house: Any):
    """A line of sha256sum, a digest with its prefix, and a contract's."""
    a, b = (delivered(house, one, "report.md").read_bytes() for one in ("night 0", "night 1"))
    pasted = "\n".join(f"{hashlib.sha256(one).hexdigest()} *r.md" for one in (a, b))
    text = dashboard.get("/search", params={"q": pasted}).text
    assert house.runs["night 0"] in text
    assert house.runs["night 1"] in text
    assert digests(f"SHA256:{'A' * 64} {'a' * 64} {'b' * 65}") == ["a" * 64]
    (run,) = looked(house, house.runs["failed"]).runs
    assert looked(house, run.contract).contracts[0].run == house.runs["failed"]


def test_a_file_is_taken_only_from_this_page(dashboard: Any):
    """Without the page's token, or from another site, nothing is hashed."""
    import httpx2

    bare = httpx2.post(f"{dashboard.url}/search/file", content=b"")
    assert bare.status_code == 403
    other = sent(dashboard, b"", origin="https://elsewhere.example")
    assert other.status_code == 403


def test_a_file_that_is_too_large(dashboard: Any, monkeypatch: pytest.MonkeyPatch):
    """Large ones are hashed piece by piece; there is an end to it."""
    block = b"0123456789abcdef" * 65536
    found = sent(dashboard, (block for _ in range(20))).json()
    assert found["sha256"] == hashlib.sha256(block * 20).hexdigest()
    monkeypatch.setattr(page, "MOST_BYTES", 3 << 20)
    refused = sent(dashboard, block * 5)
    assert refused.status_code == 413
    assert "sha256sum" in refused.json()["message"]


def test_hostile_queries_are_harmless(dashboard: Any):
    """Shown as text, and never an error."""
    for query in (
        "<script>alert(1)</script>", "\x00", "%", "' OR 1=1 --", "a=" + "[" * 5000, "\ud800",
        "x" * 15_000, "a.b.c=", "={", "a[-1]=1", "\u202egnp",
    ):  # fmt: skip
        answer = dashboard.get("/search", params={"q": query.encode("utf-8", "surrogatepass")})
        assert answer.status_code == 200, query
        assert "<script>alert" not in answer.text


def test_a_file_that_only_looks_like_a_manifest():
    """Whatever is in it, it is a file."""
    for data in (
        b"\xff\xfe", b"", b"[]", b"7", b'{"payload": "!"}', b'{"subject": [1, {"digest": 2}]}',
        b'{"payload": "' + base64.b64encode(b"[" * 100_000) + b'"}', b"[" * 100_000,
        b'{"subject": {"digest": {}}}', b"\n\n",
    ):  # fmt: skip
        assert page.mentioned(data) == []
