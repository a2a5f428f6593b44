"""A process that has imported nightproof and forks itself whenever a test starts a command.

Started by ``forked.py``, which says what the lines below read. What a fork runs is what
``python -m nightproof`` runs, in a process of its own that ends as any interpreter does.
"""

from __future__ import annotations

import array
import gc
import json
import os
import runpy
import selectors
import socket
import struct
import sys
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path

# What commands import sooner or later. Not what changes how a command behaves once it is
# loaded: temporalio (how the process ends), opentelemetry (traces), numpy (seeds).
COMMON = """
    nightproof.app nightproof.cli.main nightproof.cli.commands nightproof.cli.running
    nightproof.stores.sqlite nightproof.stores.files nightproof.engines.embedded
    nightproof.cli.drifting nightproof.cli.environments nightproof.cli.isolating
    nightproof.cli.serving nightproof.cli.scheduling nightproof.web.dashboard
    nightproof.provenance.manifest.making rich.console rich.table rich.progress
""".split()


def asked(line: socket.socket) -> tuple[dict[str, object], list[int]] | None:
    """The next command and its files (in, out, error, where its end is told), if there is one."""
    fds = array.array("i")
    head, ancillary, _, _ = line.recvmsg(4, socket.CMSG_SPACE(4 * fds.itemsize))
    if not head:
        return None
    for _, _, data in ancillary:
        fds.frombytes(data)
    left = struct.unpack("!I", head)[0]
    text = b""
    while len(text) < left:
        text += line.recv(left - len(text))
    return json.loads(text), list(fds)


def become(command: dict, files: list[int]) -> None:
    """In the fork: what a new process would have been given."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(command["env"])
    time.tzset()
    os.chdir(command["cwd"])
    program = command["program"]
    sys.path.insert(0, str(Path(program).parent if program else Path.cwd()))
    sys.argv = [program or "nightproof", *command["words"]]


def serve(line: socket.socket) -> dict | None:
    """Fork for every command; in a fork what it is asked, None when nobody asks any more."""
    children: dict[int, tuple[int, int]] = {}
    with selectors.DefaultSelector() as ready:
        ready.register(line, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                if key.fileobj is line:
                    found = asked(line)
                    if found is None:
                        return None
                    command, files = found
                    told = files.pop()
                    pid = os.fork()
                    if pid == 0:
                        ready.close()
                        line.close()
                        for end, one in children.items():
                            os.close(end)
                            os.close(one[1])
                        os.close(told)
                        become(command, files)
                        return command
                    for file in files:
                        os.close(file)
                    end = os.pidfd_open(pid)
                    children[end] = (pid, told)
                    ready.register(end, selectors.EVENT_READ)
                    os.write(told, struct.pack("!i", pid))
                else:
                    pid, told = children.pop(key.fd)
                    ready.unregister(key.fd)
                    os.close(key.fd)
                    _, status = os.waitpid(pid, 0)
                    with suppress(BrokenPipeError):
                        os.write(told, struct.pack("!i", os.waitstatus_to_exitcode(status)))
                    os.close(told)


if __name__ == "__main__":
    sys.path.pop(0)  # this file's folder
    for name in (*COMMON, *sys.argv[2:]):
        import_module(name)
    gc.collect()
    gc.freeze()  # what a collection does not look at is not copied into every fork either
    command = serve(socket.socket(fileno=int(sys.argv[1])))
    if command is not None:
        if command["program"]:
            runpy.run_path(command["program"], run_name="__main__")
        else:
            runpy.run_module("nightproof", run_name="__main__", alter_sys=True)
