"""The formats: the same bytes everywhere, self-contained, readable."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest
from weekly_report import chart, markdown, narrative, page, summary, wording
from weekly_report.analysis import CurrencyWeek
from weekly_report.summary import Week

from nightproof import prompt

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SVG = "{http://www.w3.org/2000/svg}"

RENDER_ALL = """
import hashlib, json
from datetime import datetime
from pathlib import Path
from nightproof import prompt
from weekly_report import analysis, chart, markdown, narrative, page, rates, slack, summary
content = rates.installed_file().read_bytes()
days = rates.fixing_days(
    datetime.fromisoformat("2026-10-19T00:00:00+02:00"),
    datetime.fromisoformat("2026-10-26T00:00:00+01:00"),
)
table = rates.table_until(content, days)
results = [analysis.analyse(table, code, days) for code in table.rates]
week = summary.summarise("fx-desk", days, results, analysis.anomalies(results))
template = prompt("weekly-report@7", folder=Path(narrative.__file__).with_name("prompts"))
text = narrative.from_template(template, week)
for made in (
    page.render(week, text, "0" * 64),
    markdown.render(week, text, "0" * 64),
    chart.bars(week),
    json.dumps(slack.message(week, text, "0" * 64)),
):
    print(hashlib.sha256(made.encode()).hexdigest())
"""


class Page(HTMLParser):
    """Collects the tags of a page and what is open at its end."""

    VOID = frozenset({"meta", "br", "img", "link", "hr", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def text(loud, example_prompts):
    """The narrative from the template."""
    template = prompt("weekly-report@7", folder=example_prompts)
    return narrative.from_template(template, loud)


@pytest.fixture(scope="module")
def html(loud, text) -> str:
    """The page of the loud week."""
    return page.render(loud, text, "0" * 64)


def test_two_processes_write_the_same_bytes(zip_bytes, tmp_path):
    """Hash seed, time zone, locale, HOME and working folder are not in the artifacts."""
    environments = (
        {"PYTHONHASHSEED": "1", "TZ": "Pacific/Auckland", "LC_ALL": "C", "PYTHONUTF8": "0"},
        {"PYTHONHASHSEED": "2", "TZ": "America/Los_Angeles", "LC_ALL": "de_DE.UTF-8"},
    )
    made = []
    for number, extra in enumerate(environments):
        home = tmp_path / str(number)
        home.mkdir()
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(EXAMPLES), "HOME": str(home), **extra}
        done = subprocess.run(
            [sys.executable, "-c", RENDER_ALL], env=env, cwd=home, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        made.append(done.stdout.split())
    assert len(made[0]) == 4
    assert made[0] == made[1]


def test_the_page_asks_nobody(html):
    """No address to load from, no script, and a policy that forbids both."""
    tags = Page(html).tags
    loading = {"src", "href", "srcset", "xlink:href", "data", "action", "poster"}
    assert not [(tag, attrs) for tag, attrs in tags if loading & attrs.keys()]
    assert not {tag for tag, _ in tags} & {"script", "link", "iframe", "img", "object", "embed"}
    assert "url(" not in html
    assert "@import" not in html
    addresses = set(re.findall(r"https?://[^\s\"'<]+", html))
    assert addresses == {"http://www.w3.org/2000/svg"}  # the name of a language, not a request
    policies = [a.get("content") for t, a in tags if t == "meta" and "http-equiv" in a]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_the_page_is_well_formed_and_accessible(html):
    """Closed tags, one h1, a language, a main region, named images, scoped headers."""
    found = Page(html)
    assert found.open == []
    names = [tag for tag, _ in found.tags]
    assert names.count("h1") == names.count("main") == names.count("title") - 1 == 1
    assert dict(found.tags)["html"] == {"lang": "en"}
    ids = [attrs["id"] for _, attrs in found.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    for tag, attrs in found.tags:
        if "aria-labelledby" in attrs:
            assert set((attrs["aria-labelledby"] or "").split()) <= set(ids)
        if tag == "svg":
            assert attrs["role"] == "img"
            assert attrs.get("aria-label") or attrs.get("aria-labelledby")
        if tag == "th":
            assert attrs["scope"] in {"row", "col"}


def test_light_dark_and_print_are_styled(html):
    """The page follows the reader's scheme and prints without colours of the night."""
    assert "prefers-color-scheme:dark" in html
    assert "@media print" in html
    assert "color-scheme:light dark" in html


def test_the_headline_says_it_at_once(quiet, loud, html):
    """A quiet week says so; a loud one names the move in the first heading."""
    assert summary.headline(quiet) == "A quiet week: no unusual move"
    assert summary.headline(loud) == f"1 unusual move: EUR/BRL +7.45{wording.SPACE}%"
    assert f"<h1>{summary.headline(loud)}</h1>" in html


def test_all_currencies_are_in_every_format(loud, text, html):
    """29 rows, 12 reasons, in the page and in the Markdown."""
    written = markdown.render(loud, text, "0" * 64)
    for one in loud.active:
        assert f'<th scope="row">EUR/{one.code}</th>' in html
        assert f"| EUR/{one.code} |" in written
    for one in loud.absent:
        assert f"<li>{one.code}, " in html
        assert f"- {one.code}, " in written


@pytest.mark.parametrize("week", ["quiet", "loud"])
def test_the_chart_is_valid_svg(week, request):
    """Parses as XML, has a title, one bar a currency inside the axis, largest first."""
    shown: Week = request.getfixturevalue(week)
    root = ET.fromstring(chart.bars(shown))
    assert root.tag == f"{SVG}svg"
    assert root.find(f"{SVG}title") is not None
    codes = [one.text for one in root.iter(f"{SVG}text") if one.get("class") == "code"]
    assert codes == [one.code for one in shown.active]
    bars = [one for one in root.iter(f"{SVG}rect") if one.get("height") == "11" and one.get("x")]
    bars = [one for one in bars if float(one.get("y", 0)) > chart.TOP]
    assert len(bars) == len(shown.active)
    for one in bars:
        begin = float(one.get("x", 0))
        assert begin >= chart.LEFT
        assert begin + float(one.get("width", 0)) <= chart.RIGHT + 1.5


def test_the_unusual_bar_is_marked(loud):
    """The real has the class of the unusual, and nobody else."""
    root = ET.fromstring(chart.bars(loud))
    marked = [one for one in root.iter(f"{SVG}rect") if one.get("class") == "unusual"]
    assert len(marked) == 2  # the legend and the bar


def test_axis_labels_are_exact():
    """A tick is labelled with its own value, from tiny weeks to wild ones."""
    for largest in (1e-6, 0.00017, 0.004, 0.0169, 0.0745, 0.11, 0.39, 2.5):
        limit, tick = chart._axis(largest)
        assert limit >= largest
        assert 1 <= round(limit / tick) <= 6
        root = ET.fromstring(f"<svg>{''.join(chart._grid(limit, tick, 100))}</svg>")
        labels = [one.text or "" for one in root.iter("text") if "mid" in one.get("class", "")]
        values = [float(one.split(wording.SPACE)[0].replace(wording.MINUS, "-")) for one in labels]
        count = round(limit / tick)
        exact = [number * tick * 100 for number in range(-count, count + 1)]
        assert values == pytest.approx(exact, abs=1e-9)


def test_a_flat_line_is_drawn():
    """A rate that never moved has no range to divide by."""
    one = CurrencyWeek("DKK", "active", change=0.0, z=0.0, spark=[7.46] * 3)
    assert ET.fromstring(chart.sparkline(one)).find(f"{SVG}polyline") is not None


def test_numbers_as_they_are_written():
    """True minus signs, no sign for what rounds to zero, the ECB's own digits."""
    space = wording.SPACE
    assert wording.percent(-0.016944) == f"{wording.MINUS}1.69{space}%"
    assert wording.percent(0.00004) == f"0.00{space}%"
    assert wording.percent(-0.0) == f"0.00{space}%"
    assert wording.rate(20268.06) == "20268.06"
    assert wording.rate(136.0) == "136"


def test_periods_as_they_are_written(quiet, loud):
    """Months and years only where they differ."""
    from datetime import date

    assert quiet.period == "19 to 25 October 2026"
    assert loud.period == "26 October to 1 November 2026"
    turn = wording.day_range(date(2026, 12, 28), date(2027, 1, 3))
    assert turn == "28 December 2026 to 3 January 2027"
    assert wording.day_range(date(2026, 1, 5), date(2026, 1, 5)) == "5 January 2026"


def test_every_currency_has_a_name(quiet):
    """The list of names knows all 41."""
    codes = {one.code for one in [*quiet.active, *quiet.absent]}
    assert codes == set(wording.NAMES)


def test_extremes_hold_when_all_went_one_way(quiet):
    """The euro cannot have 'fallen most' where it only rose."""
    rose = [
        CurrencyWeek("USD", "active", change=0.02),
        CurrencyWeek("JPY", "active", change=0.01),
    ]
    week = Week("desk", quiet.days, rose, [], [])
    assert "rose most against the US dollar" in summary.extremes(week)
    assert "rose least against the Japanese yen" in summary.extremes(week)


def test_a_hostile_narrative_stays_text(loud, text):
    """A model's text is escaped in the page and is no markup in the Markdown."""
    from dataclasses import replace

    evil = replace(text, text='<script>x</script> ![a](http://b.example/c.png) "q"')
    assert "<script>" not in page.render(loud, evil, "0" * 64)
    assert "<script>" not in markdown.render(loud, evil, "0" * 64)
    assert "![a](http" not in markdown.render(loud, evil, "0" * 64)
