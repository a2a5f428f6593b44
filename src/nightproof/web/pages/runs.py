"""The list of runs, narrowed down and page by page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from nightproof.journal.records import RunFilter
from nightproof.model.states import RunStatus
from nightproof.views import listing
from nightproof.views.runs import RunView, word
from nightproof.web.nights import bound, zone_of
from nightproof.web.rendering import page, url
from nightproof.web.site import site_of

_PAGE = 50
_JOBS = 500


class Listed(NamedTuple):
    """A run and its status in a word."""

    run: RunView
    word: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for; dates as they were written, both included."""

    text: str
    job: str
    status: str
    since: str
    until: str
    own: bool
    before: int | None

    @classmethod
    def of(cls, request: Request) -> Asked:
        """The filter in an address; what cannot be read counts as not given."""
        given = request.query_params
        before = given.get("before", "")
        status = given.get("status", "")
        return cls(
            given.get("q", "").strip(),
            given.get("job", ""),
            status if status in (*listing.STATUSES, "open") else "",
            given.get("since", ""),
            given.get("until", ""),
            given.get("own") == "1",
            int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None,
        )

    def address(self, **other: object) -> str:
        """The list with this filter."""
        given: dict[str, object] = {
            "q": self.text, "job": self.job, "status": self.status, "since": self.since,
            "until": self.until, "own": "1" if self.own else None, **other,
        }  # fmt: skip
        return url("/runs", **given)

    def filter(self, zone: str) -> RunFilter:
        """The same for a store."""
        status: tuple[RunStatus, ...] = ()
        if self.status == "open":
            status = listing.OPEN
        elif self.status not in ("", "interrupted"):
            status = (RunStatus(self.status),)
        return RunFilter(
            job=self.job or None, status=status, limit=_PAGE, since=bound(self.since, zone),
            until=bound(self.until, zone, 1), before=self.before, own=self.own, text=self.text,
        )  # fmt: skip

    @property
    def standing(self) -> str:
        """What a store cannot tell apart."""
        return self.status if self.status in ("running", "interrupted") else ""

    def problems(self, zone: str) -> list[str]:
        """What could not be read."""
        dates = (("since", self.since), ("until", self.until))
        return [
            f"{name}: this is no date, write it like 2026-11-20"
            for name, text in dates
            if text and bound(text, zone) is None
        ]


async def runs(request: Request) -> Response:
    """See the module."""
    site, asked, zone = site_of(request), Asked.of(request), zone_of(request)
    found = await listing.listed(site.journal, asked.filter(zone), asked.standing)
    opened = listing.counts(await listing.open_rows(site.journal))
    jobs = await listing.job_names(site.journal, _JOBS)
    if asked.job and asked.job not in jobs:
        jobs.append(asked.job)
    return page(
        request,
        "runs.html",
        asked=asked,
        problems=asked.problems(zone),
        runs=[Listed(one, word(one)) for one in found.runs],
        opened=opened,
        jobs=jobs,
        statuses=listing.STATUSES,
        newest=asked.address() if asked.before is not None else None,
        older=asked.address(before=found.next) if found.next is not None else None,
    )


routes: list[BaseRoute] = [Route("/runs", runs, name="runs")]
