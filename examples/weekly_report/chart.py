"""The charts, as SVG written by hand: the same numbers give the same bytes."""

from __future__ import annotations

import math
from html import escape

from . import summary, wording
from .analysis import THRESHOLD, CurrencyWeek
from .summary import Week

WIDTH = 760
ROW = 22
TOP = 58
LEFT, RIGHT = 196, 560
"""Where the axis begins and ends, in SVG units."""

BANDS = (
    (1.0, "usual", "within 1 σ"),
    (2.0, "notable", "1 to 2 σ"),
    (THRESHOLD, "rare", "2 to 3 σ"),
    (math.inf, "unusual", "beyond 3 σ"),
)
"""Classes of |z|: upper bound, CSS class, legend."""

STYLE = """
.fx{--ink:#16202b;--dim:#5b6875;--line:#d5dbe1;--band:#e9edf1;--back:#ffffff;
--usual:#9fb0bf;--notable:#5b8db8;--rare:#e08a1e;--unusual:#c8321f;
font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
@media (prefers-color-scheme:dark){.fx{--ink:#e6ebf0;--dim:#98a5b3;--line:#313c47;--band:#232c36;
--back:#12181f;--usual:#66788a;--notable:#5f9fd4;--rare:#f0a340;--unusual:#ff6b57}}
@media print{.fx{--ink:#000;--dim:#444;--line:#bbb;--band:#eee;--back:#fff;--usual:#9fb0bf;
--notable:#5b8db8;--rare:#e08a1e;--unusual:#c8321f}}
.fx text{fill:var(--ink);font-size:12.5px;font-variant-numeric:tabular-nums}
.fx .dim{fill:var(--dim)}.fx .small{font-size:11px}.fx .code{font-weight:600}
.fx .end{text-anchor:end}.fx .mid{text-anchor:middle}
.fx .grid{stroke:var(--line);stroke-width:1}.fx .zero{stroke:var(--dim);stroke-width:1}
.fx .band{fill:var(--band)}.fx .usual{fill:var(--usual)}.fx .notable{fill:var(--notable)}
.fx .rare{fill:var(--rare)}.fx .unusual{fill:var(--unusual)}
.fx .flag{fill:var(--unusual);font-weight:700}
.fx .spark{fill:none;stroke:var(--dim);stroke-width:1.4;stroke-linejoin:round}
""".strip()


def band(z: float | None) -> str:
    """The CSS class of a z-score."""
    size = abs(z or 0.0)
    return next(name for limit, name, _ in BANDS if size <= limit)


def bars(week: Week) -> str:
    """Sorted weekly changes, each over the range that is usual for its currency."""
    height = TOP + ROW * len(week.active) + 34
    limit, tick = _axis(max(abs(summary.change(one)) for one in week.active))
    body = [*_legend(), *_grid(limit, tick, height)]
    for index, one in enumerate(week.active):
        body += _bar(one, TOP + index * ROW, limit)
    title = f"Weekly change of the euro against {len(week.active)} currencies, {week.period}"
    about = f"{summary.headline(week)}. {summary.extremes(week)} {summary.unusual(week)}"
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" class="fx" viewBox="0 0 {WIDTH} {height}" '
                f'role="img" aria-labelledby="fx-title fx-about">'
            ),
            f'<title id="fx-title">{escape(title)}</title>',
            f'<desc id="fx-about">{escape(about)}</desc>',
            f"<style>{STYLE}</style>",
            f'<rect width="{WIDTH}" height="{height}" fill="var(--back)"/>',
            *body,
            "</svg>",
        ]
    )


def _axis(largest: float) -> tuple[float, float]:
    """Half the width of the axis and the distance of its ticks, round numbers."""
    need = max(largest * 1.05, 1e-4)
    step = 10.0 ** math.floor(math.log10(need))
    tick = next(step * part for part in (0.2, 0.5, 1.0, 2.0) if need / (step * part) <= 5)
    return math.ceil(need / tick) * tick, tick


def _x(value: float, limit: float) -> float:
    middle = (LEFT + RIGHT) / 2
    inside = min(1.0, max(-1.0, value / limit))
    return middle + inside * (RIGHT - LEFT) / 2


def _legend() -> list[str]:
    parts = ['<text x="0" y="14" class="dim small">Colour: distance from the five-year mean</text>']
    x = LEFT + 44
    for _, kind, label in BANDS:
        parts.append(f'<rect x="{x}" y="5" width="11" height="11" rx="2" class="{kind}"/>')
        parts.append(f'<text x="{x + 16}" y="14" class="dim small">{label}</text>')
        x += 92
    parts.append(f'<rect x="{x}" y="5" width="22" height="11" rx="2" class="band"/>')
    parts.append(f'<text x="{x + 27}" y="14" class="dim small">a usual week (±1 σ)</text>')
    return parts


def _grid(limit: float, tick: float, height: int) -> list[str]:
    parts = []
    count = round(limit / tick)
    places = max(0, -math.floor(math.log10(tick * 100) + 1e-9))
    for number in range(-count, count + 1):
        x = f"{_x(number * tick, limit):.2f}"
        kind = "grid" if number else "zero"
        parts.append(f'<line x1="{x}" x2="{x}" y1="{TOP - 6}" y2="{height - 26}" class="{kind}"/>')
        label = wording.percent(number * tick, places)
        parts.append(f'<text x="{x}" y="{TOP - 13}" class="dim small mid">{label}</text>')
    parts.append(
        f'<text x="{LEFT}" y="{height - 8}" class="dim small">← the euro fell</text>'
        f'<text x="{RIGHT}" y="{height - 8}" class="dim small end">the euro rose →</text>'
    )
    parts.append(f'<text x="656" y="{TOP - 13}" class="dim small end">change</text>')
    parts.append(f'<text x="{WIDTH - 4}" y="{TOP - 13}" class="dim small end">σ</text>')
    return parts


def _bar(one: CurrencyWeek, top: int, limit: float) -> list[str]:
    value = summary.change(one)
    base = top + 14.5
    kind = band(one.z)
    parts = [f'<text x="0" y="{base}" class="code">{one.code}</text>']
    parts.append(f'<text x="40" y="{base}" class="dim">{escape(wording.name(one.code))}</text>')
    if one.mean is not None and one.deviation is not None:
        low = _x(one.mean - one.deviation, limit)
        high = _x(one.mean + one.deviation, limit)
        parts.append(
            f'<rect x="{low:.2f}" y="{top + 2}" width="{high - low:.2f}" height="17" rx="3" '
            'class="band"/>'
        )
    a, b = sorted((_x(0, limit), _x(value, limit)))
    # A currency that did not move keeps a hairline, so that its row is not empty.
    parts.append(
        f'<rect x="{a:.2f}" y="{top + 5}" width="{max(b - a, 1.5):.2f}" height="11" rx="2" '
        f'class="{kind}"/>'
    )
    flag = " flag" if kind == "unusual" else ""
    z = "–" if one.z is None else wording.signed(one.z, 1)
    parts.append(
        f'<text x="656" y="{base}" class="end{flag}">{wording.percent(value)}</text>'
        f'<text x="{WIDTH - 4}" y="{base}" class="end{flag or " dim"}">{z}</text>'
    )
    return parts


def sparkline(one: CurrencyWeek, width: int = 220, height: int = 46) -> str:
    """Five years of one rate, the last point marked."""
    values = one.spark
    low, high = min(values), max(values)
    reach = (high - low) or 1.0
    step = (width - 10) / max(len(values) - 1, 1)
    points = [
        (4 + index * step, 4 + (high - value) / reach * (height - 8))
        for index, value in enumerate(values)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    x, y = points[-1]
    about = (
        f"{summary.pair(one.code)} over five years: between {wording.rate(low)} and "
        f"{wording.rate(high)}, now {wording.rate(values[-1])}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="fx" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{escape(about)}"><polyline points="{line}" class="spark"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" class="{band(one.z)}"/></svg>'
    )
