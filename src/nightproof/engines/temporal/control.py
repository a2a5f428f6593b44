"""What is told to the workflow of a run, and whether there is one."""

from __future__ import annotations

from datetime import timedelta

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import TimeoutType
from temporalio.api.failure.v1 import Failure
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryReverseRequest
from temporalio.client import WorkflowExecutionStatus, WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode

from nightproof.engines.temporal.connection import PATIENCE_SECONDS, Connection, refused
from nightproof.engines.temporal.starting import long_body, workflow_id
from nightproof.errors import NightproofError
from nightproof.model.identity import WORKFLOW, ProcessIdentity

POKE = "nightproof.poke"
"""The signal that makes a workflow look into the journal."""
STATE = "nightproof.state"
"""The query that says what a workflow is at."""
_UNASKED = (
    RPCStatusCode.NOT_FOUND,
    RPCStatusCode.FAILED_PRECONDITION,
    RPCStatusCode.DEADLINE_EXCEEDED,
)
_RPC = timedelta(seconds=PATIENCE_SECONDS)
_TOO_LONG = TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE
TIMED_OUT = 2
"""So many times what a worker should have decided may time out before it is said."""


def label(run: str) -> str:
    """How messages name a run's workflow, as the label of an owner does."""
    return ProcessIdentity(f"{WORKFLOW}{workflow_id(run)}", 0, 0).label


async def lives(connection: Connection, run: str) -> bool:
    """Whether Temporal has a workflow of the run that is not over. Raises EngineError."""
    try:
        found = await connection.client.get_workflow_handle(workflow_id(run)).describe(
            rpc_timeout=_RPC
        )
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise refused(error, connection.address) from None
    return found.status is WorkflowExecutionStatus.RUNNING


async def poke(connection: Connection, run: str) -> bool:
    """Make the workflow look into the journal; False where there is none. Raises EngineError."""
    try:
        await connection.client.get_workflow_handle(workflow_id(run)).signal(POKE, rpc_timeout=_RPC)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise refused(error, connection.address) from None
    return True


async def cancel(connection: Connection, run: str) -> bool:
    """Ask the workflow to cancel; False where there is none. Raises EngineError."""
    if not await lives(connection, run):  # the server takes the request for one that is over
        return False
    try:
        await connection.client.get_workflow_handle(workflow_id(run)).cancel(rpc_timeout=_RPC)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise refused(error, connection.address) from None
    return True


async def idle(connection: Connection, run: str) -> bool:
    """Whether nothing is under way and all its waits are long, now. Raises EngineError.

    A workflow that nobody can ask, for want of a worker, is not at work either.
    """
    try:
        told = await connection.client.get_workflow_handle(workflow_id(run)).query(
            STATE, rpc_timeout=_RPC
        )
    except RPCError as error:
        if error.status in _UNASKED:
            return True
        raise refused(error, connection.address) from None
    except WorkflowQueryFailedError:
        return False
    return bool(told["idle"])


async def troubles(connection: Connection, run: str) -> list[str]:
    """What workers try again and again for a run, with the error; [] where all is well.

    A worker that died is none: what it did is begun elsewhere. Raises EngineError.
    """
    try:
        found = await connection.client.get_workflow_handle(workflow_id(run)).describe(
            rpc_timeout=_RPC
        )
        told = found.raw_description
        texts = [
            f"{one.activity_type.name}: {await _why(connection, one.last_failure)}"
            for one in told.pending_activities
            if one.attempt > 1 and _is_error(one.last_failure)
        ]
        if told.HasField("pending_workflow_task") and told.pending_workflow_task.attempt > 1:
            texts += await _last_task(connection, run, told.pending_workflow_task.attempt)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return []
        raise refused(error, connection.address) from None
    return sorted(set(texts))


async def _last_task(connection: Connection, run: str, tries: int) -> list[str]:
    """Why the last workflow task failed, if it did, or did not end."""
    newest = await connection.client.workflow_service.get_workflow_execution_history_reverse(
        GetWorkflowExecutionHistoryReverseRequest(
            namespace=connection.address.namespace,
            execution=WorkflowExecution(workflow_id=workflow_id(run)),
            maximum_page_size=3,
        ),
        timeout=_RPC,
    )
    for event in newest.history.events:
        if event.HasField("workflow_task_timed_out_event_attributes"):
            why = event.workflow_task_timed_out_event_attributes.timeout_type
            # Once or twice it may be a worker that has died.
            return [long_body()] if why == _TOO_LONG and tries > TIMED_OUT else []
        if event.HasField("workflow_task_failed_event_attributes"):
            failure = event.workflow_task_failed_event_attributes.failure
            return [await _why(connection, failure)] if _is_error(failure) else []
    return []


def _is_error(failure: Failure) -> bool:
    return bool(failure.message) and not failure.HasField("timeout_failure_info")


async def _why(connection: Connection, failure: Failure) -> str:
    """The message of a failure, in one line."""
    try:
        error = await connection.client.data_converter.decode_failure(failure)
    except NightproofError as unreadable:  # encrypted with a key that is not here
        return unreadable.message
    lines = str(getattr(error, "message", error)).splitlines()
    return ". ".join(line.strip().rstrip(".") for line in lines)
