"""Where the command begins: the short way to a run, errors as messages, exit codes."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable, Sequence

from nightproof.cli import quick
from nightproof.cli.session import complain, debugging, isolated, take_actor
from nightproof.errors import NightproofError

INTERRUPTED = 130
PATIENCE_SECONDS = 0.2
"""How long the end waits for a step's thread before the process leaves without it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    inside = isolated()
    if inside is not None:
        inside.enter()
    take_actor()
    code = guarded(lambda: _command(given))
    # Only where this is the process: a program that calls the command goes on.
    if arguments is None and ("temporalio" in sys.modules or _threads_at_work()):
        # Python would wait for threads at exit, and SIGTERM has a deadline; those of
        # Temporal's client sometimes abort the interpreter while it ends. Whatever was
        # acknowledged is on disk.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    if inside is not None:
        inside.leave()
    if arguments is None:
        gc.freeze()  # at its end Python would look through everything for cycles, several times
    return code


def _command(given: list[str]) -> int:
    request = quick.parse(given)
    if request is not None:
        from nightproof.cli import running

        return running.run(request)
    from nightproof.cli import commands  # typer, and the description of every option

    return commands.invoke(given)


def _threads_at_work() -> bool:
    """Whether a plain step is still running in its thread."""
    for thread in threading.enumerate():
        if thread.name.startswith("nightproof-step"):
            thread.join(PATIENCE_SECONDS)
            if thread.is_alive():
                return True
    return False


def guarded(act: Callable[[], int]) -> int:
    """The exit code of `act`; what it raises becomes one message on stderr."""
    try:
        code = act()
        sys.stdout.flush()  # a reader that has left is noticed here, not at exit
    except NightproofError as error:
        _traceback(error)
        complain(error)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (`head`) has seen enough; Python must not complain at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001  the last line of defence against tracebacks
        _traceback(error)
        text = " ".join(str(error).split())
        complain(
            NightproofError(
                f"unexpected {type(error).__name__}: {text}",
                "--debug shows where; please report it.",
            )
        )
        return 1
    return code


def _traceback(error: BaseException) -> None:
    if debugging():
        import traceback

        traceback.print_exception(error)
