"""What a worker's log says of errors that Temporal has tried again: a line instead of a traceback."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from temporalio.exceptions import ApplicationError

from nightproof.engines.temporal.messages import OUTAGE, UNKNOWN_STEP
from nightproof.errors import NightproofError

_LOGGERS = ("temporalio.activity", "temporalio.worker._workflow", "temporalio.worker._activity")
_AGAIN = "Temporal has it tried again"


def speak_plainly() -> None:
    """Have temporalio's loggers say in one line what has an explanation."""
    for name in _LOGGERS:
        log = logging.getLogger(name)
        if not any(isinstance(one, _Plainly) for one in log.filters):
            log.addFilter(_Plainly())


class _Plainly(logging.Filter):
    """Replaces the traceback of a foreseen error by its message; others stay as they are."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is None or (told := _foreseen(error)) is None:
            return True
        about = getattr(record, "temporal_activity", None) or {}
        where = " of ".join(
            str(about[key]) for key in ("activity_type", "workflow_id") if key in about
        )
        record.msg = f"nightproof: {where + ': ' if where else ''}{told}; {_AGAIN}"
        record.args, record.exc_info, record.exc_text = (), None, None
        return True


def _foreseen(error: BaseException) -> str | None:
    """The message and hint of an error that says what to do; None for any other."""
    for one in _chain(error):
        if isinstance(one, NightproofError):
            return " ".join(f"{one.message}. {one.hint}".split()).rstrip(". ")
    if isinstance(error, ApplicationError) and error.type in (OUTAGE, UNKNOWN_STEP):
        return " ".join(error.message.split())
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
