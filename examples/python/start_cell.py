"""Starts a cell, shows how it comes along, and says how it ended.

    python start_cell.py request.json        # or - for standard input

A request is JSON with the fields of docs/contract.md. All that is used of agent-cells are the names of that page: the task
queue, the workflow type, the query and the failure types. The server is found by Temporal's own settings
(TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, a profile).
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowQueryFailedError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.envconfig import ClientConfig
from temporalio.exceptions import ApplicationError, CancelledError, WorkflowAlreadyStartedError
from temporalio.service import RPCError

TASK_QUEUE = "agent-cells"
WORKFLOW_TYPE = "agentCell"


async def main() -> int:
    request = read_request()
    client = await Client.connect(**ClientConfig.load_client_connect_config())
    try:
        cell = await start(client, request)
    except WorkflowAlreadyStartedError:
        return fail(f"a cell of task {request['taskId']} and agent {request['agentId']} is running already")
    print(f"started {cell.id}", flush=True)

    ended = asyncio.ensure_future(cell.result())
    await show_progress(cell, ended)
    try:
        return report(await ended)
    except WorkflowFailureError as error:
        return explain(error)


def read_request() -> dict[str, Any]:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    return json.loads(sys.stdin.read() if sys.argv[1] == "-" else Path(sys.argv[1]).read_text())


async def start(client: Client, request: dict[str, Any]) -> WorkflowHandle[Any, Any]:
    """The same id for the same agent: Temporal refuses a second start while one runs, so starting is idempotent."""
    return await client.start_workflow(
        WORKFLOW_TYPE,
        request,
        id=f"cell/{request['taskId']}/{request['agentId']}",
        task_queue=TASK_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        static_summary=request["prompt"].splitlines()[0][:80],
    )


async def show_progress(cell: WorkflowHandle[Any, Any], ended: "asyncio.Future[Any]") -> None:
    """Asks the running cell for its state, and prints a line whenever that has changed."""
    shown = ""
    while not ended.done():
        try:
            state = await cell.query("state")
        except (RPCError, WorkflowQueryFailedError) as error:  # Nobody to ask just now; the cell is not touched by that.
            line = f"no answer: {error}"
        else:
            line = f"{state['lifecycle']}/{state['step']}: {state['tokens']['total']} of {state['tokenBudget']} tokens"
        if line != shown:
            print(line, flush=True)
            shown = line
        await asyncio.wait([ended], timeout=0.5)


def report(result: dict[str, Any]) -> int:
    """A cell that reached a verdict completes, whatever the verdict: `status` says which."""
    print(f"{result['status']}: {result['reason']}")
    for file in result["filesModified"]:
        print(f"  {file['change']} {file['path']}")
    if result["status"] == "committed":
        print(f"  {result['branch']} at {result['commit']}")
    return 0 if result["status"] == "committed" else 1


def explain(error: WorkflowFailureError) -> int:
    """Without a verdict the workflow fails. The type of the failure is stable, its first detail is the result so far."""
    cause = error.cause
    if isinstance(cause, CancelledError):
        return fail("the cell was cancelled")
    if not isinstance(cause, ApplicationError):
        return fail(f"the workflow ended otherwise: {cause}")
    so_far = cause.details[0] if cause.details else {}
    match cause.type:
        case "InvalidCellRequest" | "RepositoryError":
            advice = "correct the request"
        case "TokenBudgetExceeded" | "CellTimedOut":
            advice = f"allow for more; the work so far is kept as {so_far.get('revertedRef')}"
        case _:
            advice = "do not try the same again" if cause.non_retryable else "it may be tried again"
    return fail(f"{cause.type}: {cause.message} ({advice})")


def fail(message: str) -> int:
    print(message, file=sys.stderr)
    return 1


if __name__ == "__main__":
    code = asyncio.run(main())
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of the SDK may be at work still, and abort a process whose interpreter ends (temporalio/sdk-python, issue 300).
    os._exit(code)
