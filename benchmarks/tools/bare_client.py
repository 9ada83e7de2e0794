"""The bare client on a real machine of ours, in the place of our session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.tools.exchange import BareClient
from taskgen.local import LocalFleet
from taskgen.protocol import DEFAULT_PORT, Binary


@asynccontextmanager
async def bare_client(fleet: LocalFleet, pkg: str) -> AsyncIterator[BareClient]:
    """A machine that has just booted, and been sent a task binary, while in the block."""
    machine = fleet.machine(1)
    try:
        await machine.start()
        assert machine._manager
        await machine._manager.close()
        lease = await fleet.network.wait_lease(machine.slot, 10)
        sock = await fleet.network.connect(str(lease.address), DEFAULT_PORT, timeout_s=10)
        client = await BareClient.over(sock)
        binary = machine.kind.binaries.get(pkg)
        await client.upload(Binary(binary.name, binary.content))
        yield client
        await client.close()
    finally:
        await machine.stop()
