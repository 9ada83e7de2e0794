"""From a QEMU that runs to a guest that answers: lease, connection, ``AVAILABLE``."""

from __future__ import annotations

import asyncio
import socket

from taskgen.errors import BootError, SessionError
from taskgen.host.fleet_network import FleetNetwork
from taskgen.host.qemu import Qemu
from taskgen.profiles import Profile
from taskgen.protocol import DEFAULT_PORT
from taskgen.session import Limits, Session
from taskgen.slots import Slot

#: Limit for the answer of a guest that goes on from a saved state, at most the one for its boot.
RESTORED_S = 20.0


async def wait_ready(
    slot: Slot, profile: Profile, network: FleetNetwork, qemu: Qemu, *, adopted: bool = False
) -> Session:
    """Wait until the guest of a machine is ready; a session with it.

    :param adopted: it may have been ready for long: the lease that it has counts, and whatever it
        was doing is cleared.
    :raises BootError: if it is not within the profile's limit, with what it got to.
    """
    known = network.leases.current(slot.mac) if adopted else None
    return await _reach(
        *(slot, profile, network, qemu),
        address=str(known.address) if known else None,
        limit_s=profile.boot_timeout_s,
        clear=adopted,
    )


async def wait_restored(
    slot: Slot, profile: Profile, network: FleetNetwork, qemu: Qemu, *, address: str
) -> Session:
    """Wait until a guest answers that goes on from a saved state; a session with it.

    :param address: the guest's; it asks nobody for one.
    :raises BootError: if it does not within the limit.
    """
    limit_s = min(RESTORED_S, profile.boot_timeout_s)
    return await _reach(slot, profile, network, qemu, address=address, limit_s=limit_s)


async def _reach(
    slot: Slot,
    profile: Profile,
    network: FleetNetwork,
    qemu: Qemu,
    *,
    address: str | None,
    limit_s: float,
    clear: bool = False,
) -> Session:
    reached = "it has no DHCP lease"

    async def connect(lease: str) -> socket.socket:
        return await network.connect(lease, DEFAULT_PORT, timeout_s=limit_s)

    try:
        async with asyncio.timeout(limit_s):
            # Silence is looked into only until there is a lease: a guest need not print.
            lease = address or await _lease(slot, profile, network, qemu)
            reached = f"it has a lease, {lease}, but does not answer there"
            await network.correct_neighbour(slot, lease)
            limits = Limits(connect_s=limit_s)
            session = await Session.open(slot.name, lambda: connect(lease), limits=limits)
            if clear:
                await _clear(session)
            return session
    except TimeoutError as error:
        raise BootError(
            f"{slot.name}: not ready after {limit_s:g} s: {reached}",
            hint="its console's last lines say more",
            console=qemu.console.tail(),
        ) from error
    except SessionError as error:
        raise BootError(
            f"{slot.name}: {reached}: {error.message}", console=qemu.console.tail()
        ) from error


async def _clear(session: Session) -> None:
    try:
        session.clear()
        await session.available()
    except BaseException:
        await session.close()
        raise


async def _lease(slot: Slot, profile: Profile, network: FleetNetwork, qemu: Qemu) -> str:
    """The address that the guest gets.

    :raises BootError: if it gets none, or does not even print anything.
    """
    output = asyncio.create_task(qemu.first_output(profile.silent_s))
    lease = asyncio.create_task(network.wait_lease(slot, profile.boot_timeout_s))
    try:
        await asyncio.wait([output, lease], return_when=asyncio.FIRST_COMPLETED)
        if not lease.done():
            output.result()  # raises what silence means
        return str((await lease).address)
    finally:
        for task in (output, lease):
            task.cancel()
        await asyncio.wait([output, lease])
