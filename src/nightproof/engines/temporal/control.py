"""What is told to the workflow of a run, and whether there is one."""

from __future__ import annotations

from datetime import timedelta

from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from nightproof.engines.temporal.connection import PATIENCE_SECONDS, Connection, refused
from nightproof.engines.temporal.starting import workflow_id

POKE = "nightproof.poke"
"""The signal that makes a workflow look into the journal."""
_RPC = timedelta(seconds=PATIENCE_SECONDS)


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
    try:
        await connection.client.get_workflow_handle(workflow_id(run)).cancel(rpc_timeout=_RPC)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise refused(error, connection.address) from None
    return True
