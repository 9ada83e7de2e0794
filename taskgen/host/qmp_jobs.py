"""Commands that QEMU works off as jobs, from their start to what became of them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any

from taskgen.errors import MachineError
from taskgen.host.qmp import Qmp


async def run_job(
    qmp: Qmp, command: str, arguments: Mapping[str, object], *, timeout_s: float
) -> None:
    """Carry out a command that makes a job, and wait for the job's end.

    :raises MachineError: if it fails, with QEMU's words, or takes longer; it may go on then, for
        not all jobs can be cancelled.
    """
    job = f"taskgen-{secrets.token_hex(4)}"
    concluded = asyncio.Event()

    def on_event(name: str, data: Mapping[str, Any]) -> None:
        told = data.get("id") == job and data.get("status") == "concluded"
        if name == "JOB_STATUS_CHANGE" and told:
            concluded.set()

    stop = qmp.on_event(on_event)
    try:
        await qmp.execute(command, {"job-id": job, **arguments})
        async with asyncio.timeout(timeout_s):
            await concluded.wait()
    except TimeoutError as error:
        raise MachineError(
            f"{qmp.name}: QEMU has not done {command} within {timeout_s:g} s"
        ) from error
    finally:
        stop()
    jobs = await qmp.execute("query-jobs")
    await qmp.execute("job-dismiss", {"id": job})
    assert isinstance(jobs, list), "query-jobs returns a list"
    if words := next((each.get("error") for each in jobs if each["id"] == job), None):
        raise MachineError(f"{qmp.name}: {command}: {words}")
