"""The composition root: picks store, blobs and engine, and starts runs."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from nightproof import config
from nightproof.blobs.protocol import Blobs
from nightproof.config import Settings, redacted
from nightproof.contract import checking
from nightproof.durable import job as jobs
from nightproof.durable.job import Job
from nightproof.engines.attempt import Launch, Options, Outcome, Run
from nightproof.engines.embedded import Engine
from nightproof.errors import ConfigError, NotFound, UsageError
from nightproof.journal.protocol import Journal, Reader
from nightproof.journal.records import Boot
from nightproof.model import clock, crash, identity
from nightproof.stores.files import FileBlobs
from nightproof.stores.sqlite import SqliteJournal
from nightproof.stores.sqlite import open_reader as open_sqlite_reader

if TYPE_CHECKING:
    from nightproof.journal.portable import OpenSource, OpenTarget
    from nightproof.stores.sqlite.salvage import Salvaged


POSTGRES = ("postgresql", "postgres")
"""The schemes of a store on a server."""
_HOW = (
    "Write sqlite:///path/journal.db (relative), sqlite:////path/journal.db (absolute) or "
    "postgresql://user@host/database."
)
_MEMORY = ":memory:"


class Places(NamedTuple):
    """Where a store URL puts things: `journal` is a path, ``:memory:``, or the URL of a server."""

    journal: str
    folder: Path
    """What lies beside the journal: blobs, artifacts and the cache, unless set elsewhere."""
    server: bool = False

    @property
    def file(self) -> Path | None:
        """The journal's file; None where it is in memory or on a server."""
        return None if self.server or self.journal == _MEMORY else Path(self.journal)


@lru_cache(64)
def _places(url: str, folder: str) -> Places:
    scheme, separator, rest = url.partition("://")
    if scheme in POSTGRES and separator:
        return Places(url, Path(folder) / ".nightproof", server=True)
    if scheme != "sqlite" or not separator:
        raise ConfigError(f"store: cannot open '{redacted(url)}'", _HOW)
    if rest in (_MEMORY, f"/{_MEMORY}"):
        return Places(_MEMORY, Path(folder) / ".nightproof")
    if not rest.startswith("/") or len(rest) < 2:
        raise ConfigError(f"store: '{url}' names no file", _HOW)
    path = Path(folder) / rest[1:]
    return Places(str(path), path.parent)


def places(url: str) -> Places:
    """Read a store URL: ``sqlite:///relative.db``, ``sqlite:////absolute.db``,
    ``sqlite://:memory:``, ``postgresql://…``.

    A server has no folder of its own: what would lie beside the journal is in
    ``.nightproof`` of the working folder. Raises ConfigError for anything else.
    """
    return _places(url, os.getcwd())  # noqa: PTH109 - every run asks


def absolute(url: str) -> str:
    """A store URL that means the same in any folder. Raises ConfigError like :func:`places`."""
    file = places(url).file
    return url if file is None else f"sqlite:///{file.absolute()}"


def open_journal(settings: Settings, patience: float | None = None) -> Journal:
    """The journal that the settings name. Raises ConfigError where its package is missing.

    `patience` is how long (seconds) reading waits for a server that is away; by default as
    long as a run can wait.
    """
    where = places(settings.store)
    if where.server:
        journal: Journal = _postgres().PostgresJournal(
            settings.store, settings.durability, patience
        )
        return journal
    return SqliteJournal(where.journal, settings.store, settings.durability)


def require_journal(settings: Settings) -> None:
    """Raise NotFound where there is no journal file yet: reading never creates one.

    Whether there is a journal in a server's database, its reader says.
    """
    file = places(settings.store).file
    if file is not None and not file.exists():
        raise NotFound(
            f"there is no journal at {settings.store} yet",
            "The first `nightproof run` creates it; --store or NIGHTPROOF_STORE name another one.",
        )


def open_reader(settings: Settings) -> Reader:
    """The read side of the journal that the settings name. Raises NotFound without one."""
    require_journal(settings)
    where = places(settings.store)
    if where.server:
        reader: Reader = _postgres().open_reader(settings.store)
        return reader
    return open_sqlite_reader(where.journal, settings.store)


def _postgres() -> ModuleType:
    """The store on Postgres, which only those load who use it."""
    if importlib.util.find_spec("psycopg") is None:
        raise ConfigError(
            "store: postgresql:// needs the package psycopg",
            "Install it: pip install 'nightproof[postgres]'.",
        )
    return importlib.import_module("nightproof.stores.postgres")


def store_versions(url: str) -> str:
    """Which store software this is, for people."""
    if places(url).server:
        from importlib.metadata import version  # for `doctor` only

        _postgres()
        return f"psycopg {version('psycopg')}"
    from nightproof.stores.sqlite import about  # for `doctor` only

    return about.versions()


def examine_server(settings: Settings) -> Any:
    """What the server of the store says of itself; None where it is no server."""
    if not places(settings.store).server:
        return None
    _postgres()
    from nightproof.stores.postgres import direct  # for `doctor` only

    return direct.examine(settings.store)


def salvage(settings: Settings, new: Path) -> Salvaged:
    """Copy what can be read of a damaged journal into a new one; see the store's salvage."""
    from nightproof.stores.sqlite import salvage as salvaging  # for `doctor` only

    require_journal(settings)
    file = places(settings.store).file
    if file is None:
        raise UsageError(
            f"{redacted(settings.store)} is not a file: there is nothing to salvage",
            "Restore a server's database from its backup.",
        )
    return salvaging.salvage(str(file), str(new))


def open_source(settings: Settings) -> OpenSource:
    """The journal that the settings name, for a migration: nobody writes to it meanwhile."""
    require_journal(settings)
    read: OpenSource = _copying(settings, "source")
    return read


def open_target(settings: Settings) -> OpenTarget:
    """A journal that a migration makes where the settings say."""
    made: OpenTarget = _copying(settings, "target")
    return made


def _copying(settings: Settings, role: str) -> Any:
    where = places(settings.store)
    if where.server:
        _postgres()
        name, place = "postgres", settings.store
    elif where.file is not None:
        name, place = "sqlite", where.journal
    else:
        raise ConfigError("a journal in memory cannot be migrated", _HOW)
    # Only a migration needs it.
    module = importlib.import_module(f"nightproof.stores.{name}.copying")
    return getattr(module, role)(place)


def blobs_folder(settings: Settings) -> Path | None:
    """The folder of the blobs, as it is given; None where they are in an object store."""
    given = settings.blobs
    if not given:
        return places(settings.store).folder / "blobs"
    scheme, separator, rest = given.partition("://")
    if not separator:
        return Path(given)
    return Path(f"/{rest.lstrip('/')}") if scheme == "file" else None


def open_blobs(settings: Settings, patience: float | None = None) -> Blobs:
    """The blob store that the settings name. Raises ConfigError for a URL that names none.

    `patience` is how long (seconds) one that is out of reach is asked again; by default as
    long as a run can wait.
    """
    folder = blobs_folder(settings)
    if folder is not None:
        return FileBlobs(folder)
    from nightproof.stores.objects import ObjectBlobs  # what is in files needs none of it

    blobs = ObjectBlobs(settings.blobs, patience=patience)
    if importlib.util.find_spec("obstore") is None:
        raise ConfigError(
            f"blobs: {blobs.address.shown} needs the package obstore",
            "Install it: pip install 'nightproof[objects]'.",
        )
    return blobs


def artifacts_root(settings: Settings) -> Path:
    """The folder that holds a folder of artifacts for each run."""
    if settings.artifacts:
        return Path(settings.artifacts).absolute()
    return places(settings.store).folder / "artifacts"


def cache_folder(settings: Settings) -> Path:
    """Where fetched datasets are kept, by digest."""
    if settings.cache:
        return Path(settings.cache)
    return places(settings.store).folder / "cache"


async def boot(journal: Journal, stage: str = "boot", number: int | None = None) -> int:
    """Write the boot record (or a later stage of it); its id."""
    number = number if number is not None else int(clock.token_hex(6), 16)
    command = redacted(" ".join(sys.argv))[:500]
    await journal.boot(Boot(number, clock.now_ms(), identity.here(), command, stage))
    return number


def refuse_a_bad_key(settings: Settings) -> None:
    """Raise ConfigError where there is a key for manifests that cannot sign."""
    folder = config.keys_folder(settings.keys)
    if os.path.lexists(f"{folder}/{config.PRIVATE_KEY}"):
        from nightproof.provenance.signing import signer  # only for those who have a key

        signer(folder)


async def verify(settings: Settings, contract: Any) -> None:
    """Refuse datasets that are not what the contract says. Raises DatasetMismatch."""
    # A dataset cannot be named without its hash; most small contracts have none.
    if "ha256" in contract.to_json():
        from nightproof.contract.dataset import verify_all  # models that most do not need

        await verify_all(contract, cache_folder(settings))


def require_temporal() -> None:
    """Raise ConfigError where the package for the engine `temporal` is missing."""
    if importlib.util.find_spec("temporalio") is None:
        raise ConfigError(
            "engine: temporal needs the package temporalio",
            "Install it: pip install 'nightproof[temporal]'.",
        )


class App:
    """One store with an engine on it, for one event loop."""

    def __init__(self, settings: Settings, journal: Journal | None = None, boot: int = 0) -> None:
        crash.arm_from_environment()
        self.settings = settings
        self.journal = journal if journal is not None else open_journal(settings)
        self.blobs = open_blobs(settings)
        self._key_is_good = False
        self.engine = Engine(self.journal, self.blobs, settings, artifacts_root(settings), boot)

    async def run(
        self,
        job: Job[Any, Any],
        contract: Any,
        *,
        replicate: int = 0,
        options: Options | None = None,
        target: str = "",
        watch: Callable[[Run], None] | None = None,
        notes: Mapping[str, dict[str, Any]] | None = None,
    ) -> Outcome:
        """Check the contract, then run or resume the job."""
        checking.ensure_clean(contract)
        self._refuse_a_bad_key()
        return await self.engine.run(
            Launch(
                job,
                contract,
                replicate,
                options or Options(),
                target=target,
                verify=self.verify,
                watch=watch,
                notes=notes or {},
            )
        )

    def _refuse_a_bad_key(self) -> None:
        """A key that cannot sign is noticed before anything is done, not at the end."""
        if not self._key_is_good:
            refuse_a_bad_key(self.settings)
            self._key_is_good = True

    async def verify(self, contract: Any) -> None:
        """Refuse datasets that are not what the contract says, before any step."""
        await verify(self.settings, contract)

    async def close(self) -> None:
        """Give everything back."""
        await self.engine.close()


_apps: dict[tuple[int, Settings], App] = {}
_settings: dict[tuple[str | None, ...], Settings] = {}


def _settings_for(store: str | None) -> Settings:
    """The settings in force here; files are read once per folder and environment."""
    # The environment's store by name is the same store, and in memory it has to be the same one.
    store = store or os.environ.get("NIGHTPROOF_STORE")
    key = (os.getcwd(), store, *map(os.environ.get, config.VARIABLES))  # noqa: PTH109 - every run asks
    found = _settings.get(key)
    if found is None:
        found = _settings[key] = config.load(store=store)
    return found


def _app_for(settings: Settings) -> App:
    """The app of the running loop for a store; kept while the loop lives."""
    loop = asyncio.get_running_loop()
    for other in [other for other, app in _apps.items() if app.engine.loop.is_closed()]:
        _apps.pop(other).engine.abandon()
    key = (id(loop), settings)
    found = _apps.get(key)
    if found is None:
        found = _apps[key] = App(settings)
    return found


class _Launcher:
    """What ``job.run`` and ``job.run_sync`` reach."""

    async def __call__(self, job: Job[Any, Any], contract: Any, options: dict[str, Any]) -> Any:
        app = _app_for(_settings_for(options.get("store")))
        outcome = await app.run(
            job,
            contract,
            replicate=-1 if options.get("replicate") else 0,
            options=Options(
                effects=bool(options.get("effects")),
                strict=bool(options.get("strict")),
                concurrency=options.get("concurrency") or {},
            ),
        )
        if outcome.error is not None:
            raise outcome.error
        return outcome.value

    def sync(self, job: Job[Any, Any], contract: Any, options: dict[str, Any]) -> Any:
        async def main() -> Any:
            loop = asyncio.get_running_loop()
            try:
                return await self(job, contract, options)
            finally:
                for key in [key for key in _apps if key[0] == id(loop)]:
                    await _apps.pop(key).close()

        return asyncio.run(main())


jobs.install(_Launcher())
