"""The way to a Temporal server: connect, and say in one line why that is not possible."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from temporalio.api.enums.v1 import IndexedValueType, TaskQueueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode, TLSConfig

from nightproof.blobs.protocol import Blobs
from nightproof.config import Settings
from nightproof.engines.temporal.address import Address, parse
from nightproof.engines.temporal.codec import Refer, data_converter
from nightproof.errors import ConfigError, EngineError
from nightproof.model import clock

API_KEY = "NIGHTPROOF_TEMPORAL_API_KEY"
PATIENCE_SECONDS = 10.0
"""How long a server may take to answer before it counts as away."""
POLL_SECONDS = 70.0
"""A worker asks again within a minute; one that was not heard of for longer has left."""
ATTRIBUTES = ("NightproofJob", "NightproofContract", "NightproofStatus")
"""Search attributes of workflows, all keywords: job, contract digest, status."""

_RPC = timedelta(seconds=PATIENCE_SECONDS)
_PASSING = (
    RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.RESOURCE_EXHAUSTED,
    # What becomes of calls on a connection that breaks.
    RPCStatusCode.CANCELLED, RPCStatusCode.ABORTED, RPCStatusCode.UNKNOWN, RPCStatusCode.INTERNAL,
)  # fmt: skip
_DENIED = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED)


class Away(EngineError):
    """The server does not answer just now; what runs there goes on when it is back."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A client, connected, and what is known about its server."""

    client: Client
    address: Address
    attributes: bool
    """Whether the namespace has the search attributes."""

    async def pollers(self) -> list[str]:
        """Who works on the task queue, as each worker names itself; [] for nobody.

        Raises EngineError.
        """
        found = set()
        for kind in (
            TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
            TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        ):
            ask = DescribeTaskQueueRequest(
                namespace=self.address.namespace,
                task_queue=TaskQueue(name=self.address.task_queue),
                task_queue_type=kind,
            )
            try:
                told = await self.client.workflow_service.describe_task_queue(ask, timeout=_RPC)
            except RPCError as error:
                raise refused(error, self.address) from None
            since = clock.now().timestamp() - POLL_SECONDS
            found |= {one.identity for one in told.pollers if one.last_access_time.seconds >= since}
        return sorted(found)


async def connect(
    settings: Settings, blobs: Blobs, refer: Refer | None = None, *, register: bool = False
) -> Connection:
    """Connect to the server that the settings name, and see that the namespace is there.

    `refer` is the journal's: it keeps the large values that Temporal holds claim checks of.
    With `register` the search attributes are added to it where that is allowed; without
    them everything works but searching by them. Raises ConfigError for a setting that is
    wrong, EngineError where the server is away or refuses.
    """
    address = parse(settings.temporal)
    converter = data_converter(settings, blobs, refer)
    api_key = os.environ.get(API_KEY) or None
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            client = await Client.connect(
                address.target, namespace=address.namespace, api_key=api_key,
                tls=_tls(address, api_key), data_converter=converter, identity=_identity(),
            )  # fmt: skip
            await client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=address.namespace), timeout=_RPC
            )
    except TimeoutError:
        raise EngineError(
            f"temporal: {address.target} does not answer within {PATIENCE_SECONDS:.0f} s", _away()
        ) from None
    except RuntimeError as error:
        raise _unreachable(address, str(error), api_key is not None) from None
    except RPCError as error:
        raise refused(error, address) from None
    return Connection(client, address, await _attributes(client, address, register))


def refused(error: RPCError, address: Address) -> EngineError:
    """What an answer of the server means, in one line and what to do."""
    where, status, told = address.target, error.status, " ".join(error.message.split())
    if status is RPCStatusCode.NOT_FOUND and "amespace" in told:
        return EngineError(
            f"temporal: there is no namespace '{address.namespace}' on {where}",
            f"Name another one, or make it: temporal operator namespace create -n "
            f"{address.namespace} --address {where}",
        )
    if status in _DENIED:
        return EngineError(
            f"temporal: {where} refuses these credentials for namespace "
            f"'{address.namespace}': {told}",
            f"Check {API_KEY}, or ?cert=…&key=… of the setting `temporal`.",
        )
    if status in _PASSING:
        return Away(f"temporal: {where} is away: {told}", _away())
    return EngineError(f"temporal: {where} refuses: {told}", f"Its answer was {status.name}.")


def _away() -> str:
    return (
        "Start the server (`temporal server start-dev` on one machine), or correct the setting "
        "`temporal`."
    )


def _unreachable(address: Address, told: str, keyed: bool) -> EngineError:
    where = f"temporal: {address.target}"
    if "dns error" in told:
        return EngineError(f"{where}: there is no machine '{address.host}'", _away())
    if "ConnectionRefused" in told:
        return EngineError(f"{where}: nothing listens there", _away())
    if "UnknownIssuer" in told or "certificate" in told.lower():
        why = told.rpartition("ConnectError(")[2].rstrip(")") or told
        return EngineError(
            f"{where}: its certificate is not accepted, or it does not accept ours: {why}",
            "Give ?ca=FILE for who signed it, &server_name=NAME where its name is another one, "
            "&cert=FILE&key=FILE where it wants to know who asks.",
        )
    if "InvalidContentType" in told or "InvalidMessage" in told:
        return EngineError(
            f"{where} does not speak TLS",
            "Leave out tls=true and certificates."
            + (f" {API_KEY} asks for TLS as well: add ?tls=false." if keyed else ""),
        )
    if "Unauthenticated" in told or "PermissionDenied" in told:
        return EngineError(f"{where} refuses these credentials", f"Check {API_KEY}.")
    if "h2 protocol" in told or "http2" in told or "transport error" in told:
        return EngineError(
            f"{where} answers, but not as a Temporal server does",
            "Is it the port of its web page, or does it want tls=true?",
        )
    return EngineError(f"{where} cannot be reached: {' '.join(told.split())[:300]}", _away())


def _tls(address: Address, api_key: str | None) -> TLSConfig | bool:
    wanted = address.tls if address.tls is not None else api_key is not None
    if not wanted:
        return False

    def read(path: str) -> bytes | None:
        try:
            return Path(path).read_bytes() if path else None
        except OSError as error:
            raise ConfigError(f"temporal: {path} cannot be read: {error.strerror}") from None

    return TLSConfig(
        server_root_ca_cert=read(address.ca),
        domain=address.server_name or None,
        client_cert=read(address.cert),
        client_private_key=read(address.key),
    )


def _identity() -> str:
    from nightproof.model.identity import here

    return f"nightproof {here().label}"


async def _attributes(client: Client, address: Address, register: bool) -> bool:
    """Whether the search attributes are there; a server that does not say has none."""
    try:
        missing = await _missing(client, address)
        if missing and register:
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(
                    namespace=address.namespace,
                    search_attributes=dict.fromkeys(
                        missing, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
                    ),
                ),
                timeout=_RPC,
            )
            missing = await _missing(client, address)
    except RPCError:
        return False
    return not missing


async def _missing(client: Client, address: Address) -> Sequence[str]:
    found = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=address.namespace), timeout=_RPC
    )
    return [name for name in ATTRIBUTES if name not in found.custom_attributes]
