"""What every page of a dashboard can reach."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.requests import Request

from nightproof import app
from nightproof.blobs.protocol import Blobs
from nightproof.config import Settings, redacted
from nightproof.journal.protocol import Journal
from nightproof.observe import Watcher
from nightproof.serving.server import Server
from nightproof.web.commands import Commands
from nightproof.web.live import Live
from nightproof.web.security.access import Access


@dataclass
class Site:
    """One dashboard; `journal` belongs to its event loop.

    `server` is the schedule's server beside it, None for a dashboard that only shows.
    `live` has to be told (`live.poke()`) of what is written through `journal`. `store` is where
    the journal is, in words.
    """

    settings: Settings
    journal: Journal
    blobs: Blobs
    commands: Commands
    server: Server | None = None
    access: Access = field(default_factory=Access)
    watcher: Watcher | None = None
    """The one of the server, in the server's thread."""

    def __post_init__(self) -> None:
        self.scraper = Watcher(self.settings, [])
        self.store = store_name(self.settings)
        self.live = Live(self.journal, not app.places(self.settings.store).server)


def store_name(settings: Settings) -> str:
    """Where the journal is, as people may see it: a file, or a server without its password."""
    return redacted(app.absolute(settings.store)).removeprefix("sqlite:///")


def site_of(request: Request) -> Site:
    """The dashboard that was asked."""
    found: Site = request.app.state.site
    return found
