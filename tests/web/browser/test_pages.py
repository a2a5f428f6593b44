"""Every page in a real browser: light, dark, on a phone; accessible, quiet, and offline."""

import re
from typing import Any
from urllib.parse import quote

import pytest

AGAIN = ("runs filtered", "no drift", "grid failed", "search found", "run many", "run drifted")
"""Pages that others in the list are made like: seen in the looks of the drill."""
LOOKS = {
    "light": {"scheme": "light", "width": 1280},
    "dark": {"scheme": "dark", "width": 1280},
    "phone": {"scheme": "light", "width": 390},
}


def paths(runs: dict[str, str]) -> dict[str, str]:
    """Every page of the house."""
    at = {what: "/runs/" + quote(name) for what, name in runs.items()}
    found = {
        "home": "/",
        "runs": "/runs",
        "runs filtered": "/runs?status=failed",
        "job": "/jobs/nightly",
        "schedule": "/schedule",
        "effects": "/effects",
        "quotas": "/quotas",
        "audit": "/audit",
        "search": "/search",
        "search found": "/search?q=item-000007",
        "api docs": "/api/docs",
        "drift form": "/drift",
        "drift": f"/drift?a={quote(runs['styled'])}&b={quote(runs['drifted'])}",
        "no drift": f"/drift?a={quote(runs['styled'])}&b={quote(runs['equal'])}",
        "budget": "/jobs/styled/budget",
        "grid": at["many"] + "/steps/enrich",
        "grid failed": at["many"] + "/steps/enrich?state=failed",
        "missing": "/runs/there-is-none",
    }
    for what in ("crashed", "many", "parked", "held", "failed", "drifted"):
        found[f"run {what}"] = at[what]
    for part in ("log", "artifacts", "input", "environment", "reads", "cost", "artifacts/check"):
        found[part] = f"{at['crashed']}/{part}"
    return found


def artifacts(dashboard: Any, run: str) -> list[str]:
    """The pages of what a run delivered."""
    listed = dashboard.get(f"/runs/{quote(run)}/artifacts").text
    return sorted(set(re.findall(r'href="(/runs/[^"]+/artifacts/\d+)"', listed)))


@pytest.mark.parametrize(
    "look",
    [
        "light",
        pytest.param("dark", marks=pytest.mark.drill),
        pytest.param("phone", marks=pytest.mark.drill),
    ],
)
@pytest.mark.timeout(300)
def test_every_page(dashboard: Any, visit: Any, look: str):
    """No console message, no request to anywhere else, no serious finding, nothing too wide."""
    visitor = visit(**LOOKS[look])
    found = []
    runs = dashboard.house.runs
    delivered = artifacts(dashboard, runs["crashed"])
    assert len(delivered) == 4
    wanted = {**paths(runs), **{f"artifact {n}": path for n, path in enumerate(delivered)}}
    for what, path in wanted.items():
        if look == "light" and what in AGAIN:
            continue
        if what == "missing":
            visitor.expected = [r"status of 404"]
        elif what.startswith("artifact"):
            visitor.expected = [r"Blocked script execution in .*/sandbox'"]
        else:
            visitor.expected = []
        page = visitor.open(dashboard.url + path)
        found += [f"{what}: {one}" for one in visitor.findings()]
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        found += [f"{what}: {wide} px wider than the screen"] * (wide > 0)
        found += [f"{what}: no heading, or several"] * (page.locator("h1").count() != 1)
        found += [f"{what}: no title"] * (not page.title())
        found += [f"{what}: {one}" for one in visitor.wrong]
        visitor.wrong.clear()
        visitor.shot(f"{look}-{what}")
    assert found == []
