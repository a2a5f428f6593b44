"""Recognising exceptions of the standard library and of packages that are never imported."""

from __future__ import annotations

from collections.abc import Callable

from nightproof.model.triage import clouds, databases, statuses, transport
from nightproof.model.triage.kinds import Triage, permanent, transient

_SERVICES: dict[str, Callable[[BaseException], Triage | None]] = {
    "aiobotocore": clouds.from_aws,
    "boto3": clouds.from_aws,
    "botocore": clouds.from_aws,
    "google": clouds.from_google,
    "grpc": clouds.from_grpc,
    "grpclib": clouds.from_grpc,
    "obstore": clouds.from_object_store,
    "slack_sdk": clouds.from_slack,
}
_RETRY_THEMSELVES = frozenset(
    """
    aiobotocore anthropic boto3 botocore cohere github google googleapiclient groq litellm
    mistralai openai pydantic_ai stripe tenacity twilio
    """.split()
)
_STANDARD = {
    "JSONDecodeError": transient("what should be JSON is not"),
    "IncompleteReadError": transient("the answer was cut short"),
    "InvalidStateError": permanent("programming error: InvalidStateError"),
    "TimeoutExpired": transient("the program did not end in time"),
    "BrokenProcessPool": transient("a worker process died"),
    "BrokenThreadPool": transient("a worker thread died"),
}
_VALIDATION = frozenset({"pydantic", "pydantic_core", "jsonschema", "marshmallow", "attrs"})


def families(exc: BaseException) -> set[str]:
    """The top-level packages that the classes of `exc` come from."""
    return {cls.__module__.partition(".")[0] for cls in type(exc).__mro__} - {"builtins"}


def read(exc: BaseException) -> Triage | None:
    """What `exc` itself says, or None."""
    known = families(exc)
    for family, service in _SERVICES.items():
        if family in known:
            found = service(exc)
            if found is not None:
                return found
    code = databases.sqlstate(exc)
    if code is not None:
        return databases.from_sqlstate(code, str(exc))
    found = statuses.from_exception(exc)
    if found is not None:
        if known & _RETRY_THEMSELVES:
            return Triage(found.kind, found.retry_after, found.resets_at, "unknown", found.reason)
        return found
    if known & databases.DRIVERS and "sqlalchemy" not in known:
        return databases.from_driver(exc)
    return _wire(exc, known) or _standard(exc, known)


def _wire(exc: BaseException, known: set[str]) -> Triage | None:
    if known & transport.HTTP_CLIENTS:
        found = transport.from_client(exc)
        if found is not None:
            return found
    if isinstance(exc, OSError) and wrapped(exc) is None:
        return transport.from_os(exc)
    return None


def _standard(exc: BaseException, known: set[str]) -> Triage | None:
    name = type(exc).__name__
    if known & {"json", "simplejson", "asyncio", "subprocess", "concurrent"}:
        return _STANDARD.get(name)
    if known & _VALIDATION and "ValidationError" in name:
        return permanent("the data is not valid")
    return None


def wrapped(exc: BaseException) -> BaseException | None:
    """The exception that a client's exception was made of, in an attribute or an argument."""
    if not families(exc) & {"requests", "urllib3", "urllib", "sqlalchemy", "google"}:
        return None
    held = (*(statuses.attribute(exc, name) for name in ("reason", "orig", "cause")), *exc.args)
    return next((value for value in held if isinstance(value, BaseException)), None)


def retries_itself(exc: BaseException) -> bool:
    """Whether the package that raised `exc` may have made earlier tries that it does not report."""
    return bool(families(exc) & _RETRY_THEMSELVES)
