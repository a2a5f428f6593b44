"""The report as one HTML file that asks nobody for anything."""

from __future__ import annotations

from html import escape

from . import chart, summary, wording
from .analysis import CurrencyWeek
from .markdown import cells, method
from .narrative import Narrative, authorship, warnings
from .summary import Week

STYLE = """
:root{color-scheme:light dark;--ink:#16202b;--dim:#5b6875;--line:#d5dbe1;--card:#fff;
--page:#f2f4f7;--good:#1d7a55;--alert:#c8321f;--warn:#8a5a00;--warnback:#fff4dc}
@media (prefers-color-scheme:dark){:root{--ink:#e6ebf0;--dim:#98a5b3;--line:#2b353f;--card:#12181f;
--page:#0b0f14;--good:#5cc99a;--alert:#ff6b57;--warn:#f4c66a;--warnback:#2b2312}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:880px;margin:0 auto;padding:32px 20px 56px}
header{border-left:6px solid var(--good);padding:2px 0 2px 18px;margin-bottom:26px}
header.alert{border-color:var(--alert)}
.over{margin:0;color:var(--dim);font-size:14px}
h1{font-size:clamp(25px,4.4vw,36px);line-height:1.18;margin:4px 0 8px;letter-spacing:-.015em;
text-wrap:balance}
h2{font-size:18px;margin:0 0 12px}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;
padding:20px 22px;margin:0 0 18px}
.lead{margin:0;font-size:17px;color:var(--dim)}
.by{color:var(--dim);font-size:13.5px;margin-bottom:0}
.note{background:var(--warnback);color:var(--warn);border-color:currentColor}
.note p{margin:0}
section>p:first-child{margin-top:0}
.chart{overflow-x:auto}.chart svg{display:block;width:100%;min-width:620px;height:auto}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(236px,1fr));gap:14px;
list-style:none;margin:0;padding:0}
.cards li{border:1px solid var(--line);border-radius:10px;padding:12px 14px}
.cards svg{display:block;width:100%;height:46px;margin-top:8px}
.cards .top{display:flex;justify-content:space-between;gap:8px;font-weight:600}
.cards .sub{color:var(--dim);font-size:13px}
.z{font-variant-numeric:tabular-nums}.alert .z,.z.alert{color:var(--alert)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--dim);font-size:13.5px;padding-bottom:8px}
th,td{padding:5px 9px;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}
th:first-child,td:first-child,th:nth-child(2),td:nth-child(2){text-align:left}
thead th{color:var(--dim);font-weight:600}tbody th{font-weight:600}
tr.unusual td,tr.unusual th{color:var(--alert);font-weight:600}
ul.plain{columns:2 280px;margin:0;padding-left:18px;font-size:14px}
.how{font-size:13.5px;color:var(--dim);overflow-wrap:anywhere}
.how ul{margin:0;padding-left:18px}
@media (max-width:560px){main{padding:20px 12px 40px}section{padding:16px 14px}}
@media print{:root{--ink:#000;--dim:#444;--line:#bbb;--card:#fff;--page:#fff;--good:#1d7a55;
--alert:#c8321f}body{font-size:11pt}main{max-width:none;padding:0}
section{border:0;padding:0;margin-bottom:16pt}.cards li,tr{break-inside:avoid}
.chart,h2{break-inside:avoid;break-after:avoid}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
""".strip()

# The page may not load anything: not by mistake, and not through a model's text.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def render(week: Week, narrative: Narrative, dataset_sha256: str) -> str:
    """``report.html``, with the chart inside."""
    title = summary.headline(week)
    lead = f"The euro {summary.breadth_text(week)}; median change {summary.median(week)}."
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)} · {escape(week.period)}</title>",
        f"<style>{STYLE}</style>",
        "</head>",
        "<body>",
        "<main>",
        '<header class="alert">' if week.anomalies else "<header>",
        f'<p class="over">Weekly currency report · {escape(week.site)} · {escape(week.period)}</p>',
        f"<h1>{escape(title)}</h1>",
        f'<p class="lead">{escape(lead)}</p>',
        "</header>",
        *(
            f'<section class="note" role="note"><p>{escape(one)}</p></section>'
            for one in warnings(narrative)
        ),
        '<section aria-label="Narrative">',
        *(f"<p>{escape(part)}</p>" for part in narrative.text.split("\n\n")),
        f'<p class="by">{escape(authorship(narrative))}</p>',
        "</section>",
        *_movers(week),
        '<section aria-labelledby="chart"><h2 id="chart">The week, largest rise of the euro first</h2>',
        f'<div class="chart">{chart.bars(week)}</div></section>',
        *_table(week),
        *_absent(week),
        '<section class="how" aria-labelledby="how"><h2 id="how">How this was made</h2><ul>',
        *(f"<li>{escape(one)}</li>" for one in method(week, dataset_sha256)),
        "</ul></section>",
        "</main>",
        "</body>",
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def _movers(week: Week) -> list[str]:
    shown = summary.movers(week)
    if not shown:
        return []
    return [
        '<section aria-labelledby="movers"><h2 id="movers">Furthest from their own five years</h2>',
        '<ul class="cards">',
        *(_card(one) for one in shown),
        "</ul></section>",
    ]


def _card(one: CurrencyWeek) -> str:
    alert = ' class="alert"' if chart.band(one.z) == "unusual" else ""
    return (
        f'<li{alert}><div class="top"><span>{summary.pair(one.code)}</span>'
        f'<span class="z">{wording.percent(summary.change(one))}</span></div>'
        f'<div class="sub">{escape(wording.name(one.code))} · '
        f"{wording.signed(one.z or 0.0, 1)} σ</div>"
        f'<div class="sub">{escape(summary.since(one))}</div>'
        f"{chart.sparkline(one)}</li>"
    )


def _table(week: Week) -> list[str]:
    heads = ("Pair", "Currency", "Before", "Last", "Change", "σ", "Rank", "Volatility")
    return [
        '<section aria-labelledby="all"><h2 id="all">All currencies</h2><div class="scroll"><table>',
        "<caption>Units of the currency for one euro; up means that the euro buys more.</caption>",
        f"<thead><tr>{''.join(_head(one) for one in heads)}</tr></thead>",
        "<tbody>",
        *(_row(one) for one in week.active),
        "</tbody></table></div></section>",
    ]


def _head(text: str) -> str:
    return f'<th scope="col">{text}</th>'


def _row(one: CurrencyWeek) -> str:
    kind = ' class="unusual"' if chart.band(one.z) == "unusual" else ""
    data = "".join(f"<td>{cell}</td>" for cell in cells(one))
    return (
        f'<tr{kind}><th scope="row">{summary.pair(one.code)}</th>'
        f"<td>{escape(wording.name(one.code))}</td>{data}</tr>"
    )


def _absent(week: Week) -> list[str]:
    if not week.absent:
        return []
    return [
        '<section aria-labelledby="absent"><h2 id="absent">Without a rate in this period</h2>',
        '<ul class="plain">',
        *(
            f"<li>{one.code}, {escape(wording.name(one.code))}: {escape(summary.absence(one))}</li>"
            for one in week.absent
        ),
        "</ul></section>",
    ]
