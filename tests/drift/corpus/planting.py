"""What pairs plant: packages, files, variables, programs, and a host that answers."""

from __future__ import annotations

import json
import os
import signal
import struct
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import apsw
from tests.drift.corpus.play import Act, Broken, Stage
from tests.drift.corpus.wheels import install, remove

from nightproof.testing.models import ModelServer

HALF_EVEN = """
from decimal import Decimal, ROUND_HALF_EVEN

def rounded(amount):
    return str(Decimal(amount).quantize(Decimal("0.01"), ROUND_HALF_EVEN))
"""
HALF_UP = HALF_EVEN.replace("HALF_EVEN", "HALF_UP")
LATER_SECONDS = 12.0
"""So long after its run A the cutoff of a job falls due."""


def both(*acts: Act) -> Act:
    """One act after another."""

    def act(stage: Stage) -> None:
        for one in acts:
            one(stage)

    return act


def package(version: str, code: str, tag: str = "1", name: str = "halfcent") -> Act:
    """Install a wheel of a package of one module."""
    return lambda stage: install(stage.site, name, version, {f"{name}.py": code}, tag)


def unused(version: str) -> Act:
    """Install a version of a package that no job uses."""
    return package(version, f"VERSION = {version!r}\n", name="bystander")


def edited(old: str, new: str) -> Act:
    """Edit an installed file by hand."""

    def act(stage: Stage) -> None:
        path = stage.site / "halfcent.py"
        path.write_text(path.read_text().replace(old, new))

    return act


def uninstalled(stage: Stage) -> None:
    """Remove the package."""
    remove(stage.site, "halfcent")


def written(place: str, name: str, text: str) -> Act:
    """Write a file into a folder of the stage ("home", "work", "data")."""

    def act(stage: Stage) -> None:
        folder = stage.folder / place
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(text)

    return act


def data(stage: Stage) -> None:
    """Name the data folder in the contract."""
    folder = stage.folder / "data"
    folder.mkdir(exist_ok=True)
    stage.contract["folder"] = str(folder)


def program(text: str) -> Act:
    """Put a shell script that answers `text` on the PATH."""

    def act(stage: Stage) -> None:
        path = stage.bin / "ledger-convert"
        path.write_text(f'#!/bin/sh\nset -- $1\necho "{text}"\n')
        path.chmod(0o755)

    return act


def database(rows: int) -> Act:
    """A SQLite database of so many customers, which the job reads without Python's open()."""

    def act(stage: Stage) -> None:
        path = stage.folder / "data" / "crm.db"
        path.unlink(missing_ok=True)
        connection = apsw.Connection(str(path))
        connection.execute("CREATE TABLE customer (id INTEGER PRIMARY KEY)")
        connection.executemany("INSERT INTO customer VALUES (?)", [(n,) for n in range(rows)])
        connection.close()

    return act


def catalog(stage: Stage) -> None:
    """A German catalog of messages beside the job."""
    folder = stage.code / "locale" / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    pairs = [(b"", b"Content-Type: text/plain; charset=UTF-8\n"), (b"Revenue", b"Umsatz")]
    (folder / "report.mo").write_bytes(_compiled(pairs))


def _compiled(pairs: list[tuple[bytes, bytes]]) -> bytes:
    """The binary form of a catalog (GNU gettext manual, section 10.3)."""
    texts, tables, at = b"", [b"", b""], 28 + 16 * len(pairs)
    for side in (0, 1):
        for pair in pairs:
            tables[side] += struct.pack("<2I", len(pair[side]), at + len(texts))
            texts += pair[side] + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, 0)
    return head + tables[0] + tables[1] + texts


def due_later(stage: Stage) -> None:
    """A cutoff that run A is in time for."""
    stage.contract["cutoff"] = time.time() + LATER_SECONDS


def until_due(stage: Stage) -> None:
    """Wait until run B is too late."""
    time.sleep(max(0.0, stage.contract["cutoff"] - time.time()) + 0.1)


def ratebook(version: str, rates: str) -> Act:
    """Install a package that holds a data file."""
    files = {"ratebook/__init__.py": "", "ratebook/rates.csv": rates}
    return lambda stage: install(stage.site, "ratebook", version, files)


def linked(name: str, rate: str) -> Act:
    """Let the link `current` lead to a folder with a rate."""

    def act(stage: Stage) -> None:
        folder = stage.folder / "data" / name
        folder.mkdir()
        (folder / "rate").write_text(rate)
        link = stage.folder / "data" / "current"
        link.unlink(missing_ok=True)
        link.symlink_to(name)

    return act


def aged(seconds: int) -> Act:
    """Set the time at which the input was written."""
    return lambda stage: os.utime(stage.folder / "data" / "input.csv", (seconds, seconds))


class Host:
    """An HTTP server on loopback that answers every request with one document."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.answer = answer
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(host.answer).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Answer nobody any more."""
        self.server.shutdown()
        self.server.server_close()


def answering(answer: Mapping[str, Any]) -> Act:
    """Start a host, or let the one that runs answer otherwise."""

    def act(stage: Stage) -> None:
        if stage.host is None:
            stage.host = host = Host(answer)
            stage.cleanup.callback(host.close)
            stage.contract["host"] = host.address
        stage.host.answer = answer

    return act


def without(place: str, name: str) -> Act:
    """Remove a file."""
    return lambda stage: Path(stage.folder / place / name).unlink()


ALIAS = "flash-latest"
PINNED = "flash-2.5-001"
PIN = {"id": ALIAS, "pinnedVersion": PINNED}


def serving(name: str = ALIAS, **route: Any) -> Act:
    """Start a model server, or give the one that runs another script.

    `route` says how `name` is served; see nightproof.testing.models.
    """
    return scripted({"models": {name: {"version": PINNED, **route}}})


def bystanding(stage: Stage) -> None:
    """Change how a model is served that nobody asks."""
    models = {ALIAS: {"version": PINNED}, "pro-latest": {"tools": ["search"]}}
    scripted({"models": models})(stage)


def constant(version: str) -> Act:
    """A version of which every answer is the same text."""
    answers = [{"contains": "", "text": "No remarks."}]
    return scripted({"models": {ALIAS: {"version": version}}, "answers": answers})


def scripted(script: Mapping[str, Any]) -> Act:
    """Start a model server with a script, or give it to the one that runs."""

    def act(stage: Stage) -> None:
        drawn = {**script, "randomSeed": stage.pair.seed}
        if stage.models is None:
            stage.models = ModelServer(drawn)
            stage.cleanup.enter_context(stage.models)
            stage.contract["gemini"] = stage.models.url
            stage.contract["openai"] = stage.models.openai_url
        else:
            stage.models.script(drawn)

    return act


def dying(stage: Stage) -> None:
    """A first attempt that is killed; what is called run A resumes it."""
    (stage.work / "kill").touch()
    code, _, err = stage.command("run", stage.target, json.dumps(stage.contract), environ={})
    if code != -signal.SIGKILL:
        raise Broken(f"the first attempt was to be killed: exit {code}: {err}")
