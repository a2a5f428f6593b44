"""What is told to the workflow of a run, and whether there is one."""

from __future__ import annotations

from datetime import timedelta

from temporalio.client import WorkflowExecutionStatus, WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode

from nightproof.engines.temporal.connection import PATIENCE_SECONDS, Connection, refused
from nightproof.engines.temporal.starting import workflow_id
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
