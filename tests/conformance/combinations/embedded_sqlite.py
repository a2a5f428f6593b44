"""The embedded engine on SQLite: what everybody begins with."""

from conforming.embedded import Embedded


class EmbeddedSqlite(Embedded):
    """In one process, in one file."""

    name = "embedded-sqlite"

    def start(self) -> None:
        """The file is made by the first run."""
        self.environ["NIGHTPROOF_STORE"] = f"sqlite:///{self.folder / 'journal.db'}"
