"""What a crash costs: work that is done again."""

from __future__ import annotations

from bench.spec import NIGHTPROOF, Bound, Contender, Row

CALLS = "bench.recovering:calls"
PLAIN = "plain script"
STAGES = "one checkpoint per stage"
APPS, COUNTRIES = 100, 48
SMALL = {"apps": 20, "countries": 12}


def _killed(percent: int, *bounds: Bound) -> Row:
    def side(label: str, how: str) -> Contender:
        params = {"how": how, "percent": percent, "apps": APPS, "countries": COUNTRIES}
        return Contender(label, CALLS, params, SMALL, needs="postgres")

    return Row(
        name=f"recovery-{percent}",
        title=f"kill -9 at {percent} % of a night: work done again",
        unit="calls",
        contenders=(side(PLAIN, "plain"), side(STAGES, "stages"), side(NIGHTPROOF, "nightproof")),
        bounds=bounds,
        note=f"Calls that the services of examples/daily_revenue receive more than once, of the "
        f"{APPS * 3 // 2 + COUNTRIES + 2} of a night: {COUNTRIES} countries, 12 at a time, then "
        f"{APPS} apps, 4 at a time. The kill comes when a call has arrived and is not yet "
        "answered, so what is under way is lost for everybody; so is the token, which nobody "
        "keeps. What a checkpoint per stage saves depends on how far its last stage was.",
    )


RECOVERY = (
    _killed(10),
    _killed(50),
    _killed(90, *(Bound(NIGHTPROOF, "ratio", 0.1, False, over) for over in (PLAIN, STAGES))),
)
