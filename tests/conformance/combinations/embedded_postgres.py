"""The embedded engine on Postgres: several machines, one store."""

from __future__ import annotations

from conforming.embedded import Embedded
from conforming.postgres import rows_of


class EmbeddedPostgres(Embedded):
    """In one process, on a server."""

    name = "embedded-postgres"

    def start(self) -> None:
        """A database of the session's server."""
        server = self.server("postgres_server")
        self.environ["NIGHTPROOF_STORE"] = server.database("conformance")

    def written(self) -> bytes:
        """Also every row of the database."""
        return super().written() + rows_of(self.environ["NIGHTPROOF_STORE"])
