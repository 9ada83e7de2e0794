"""From a QEMU that runs to a guest that answers: lease, connection, ``AVAILABLE``."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Coroutine
from typing import Any

from taskgen.errors import BootError, SessionError
from taskgen.host.connect import BOOTING_S, PRESENT_S
from taskgen.host.fleet_network import FleetNetwork
from taskgen.host.qemu import Qemu
from taskgen.profiles import Profile
from taskgen.protocol import DEFAULT_PORT
from taskgen.session import Limits, Session
from taskgen.slots import Slot
from taskgen.waiting import innermost

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
    limit_s = profile.boot_timeout_s
    if known:  # one that is still booting has the rest of its limit, one that hangs has no more
        booting_s = max(0.0, time.time() - qemu.log.boots[-1].began)
        limit_s = min(limit_s, max(RESTORED_S, limit_s - booting_s))
    return await _reach(
        *(slot, profile, network, qemu),
        address=str(known.address) if known else None,
        limit_s=limit_s,
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

    patience_s = PRESENT_S if address else BOOTING_S

    async def connect(lease: str) -> socket.socket:
        return await network.connect(lease, DEFAULT_PORT, timeout_s=limit_s, patience_s=patience_s)

    try:
        async with asyncio.timeout(limit_s):
            # Silence is looked into only until there is a lease: a guest need not print. But one
            # without end may be that of the slot's last machine, and says nothing of this one.
            old = None if address else network.leases.since_forgotten(slot.mac)
            lease = address or await _lease(slot, profile, network, qemu)
            reached = f"it has a lease, {lease}, but does not answer there"
            await network.tell_neighbour(slot, lease)
            limits = Limits(connect_s=limit_s)
            opening = Session.open(slot.name, lambda: connect(lease), limits=limits)
            session = await (_unless_silent(opening, profile, qemu) if old else opening)
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


async def _unless_silent(
    opening: Coroutine[Any, Any, Session], profile: Profile, qemu: Qemu
) -> Session:
    """The session, unless the guest does not even print anything.

    :raises BootError: if it is silent, with what that means.
    """
    session: Session | None = None
    try:
        async with asyncio.TaskGroup() as group:
            silence = group.create_task(qemu.first_output(profile.silent_s))
            session = await opening
            silence.cancel()
    except BaseExceptionGroup as group:
        if session:
            await session.close()
        raise innermost(group) from None
    except BaseException:
        if session:
            await session.close()
        raise
    assert session is not None, "it was opened"
    return session


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
