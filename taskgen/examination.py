"""Gathers what can be seen of a machine with which something is wrong, within a few seconds.

Nothing here fails: what cannot be found out is left unknown. The network is only asked where the
machine itself seems to be well, and everything is asked at the same time.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import TypeVar

from taskgen.diagnosis import Doing, Evidence, Port
from taskgen.errors import ConnectionLostError, MachineError, TaskgenError
from taskgen.host.arp import QUESTIONS
from taskgen.host.console_boots import Why
from taskgen.host.console_faults import ConsoleFaults
from taskgen.host.fleet_network import FleetNetwork
from taskgen.host.guest_reset import GuestReset
from taskgen.host.qemu import Qemu
from taskgen.protocol import DEFAULT_PORT
from taskgen.session import Limits, Session
from taskgen.slots import Slot

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Limit for the whole, and for each answer: of QEMU, of the guest's network, of its Taskloader. A
#: guest that is well answers within milliseconds; one whose host is busy may take longer.
WHOLE_S = 6.0
ANSWER_S = 1.5


@dataclass(frozen=True, kw_only=True)
class Patient:
    """A machine to be examined.

    :ivar session: with its guest; ``None``: there is none. It may be closed by the examination.
    """

    slot: Slot
    network: FleetNetwork
    qemu: Qemu
    resets: GuestReset
    faults: ConsoleFaults
    session: Session | None


async def examine(patient: Patient, known: Evidence) -> Evidence:
    """Gather the evidence. Never raises; may take :data:`WHOLE_S`.

    :param known: what whoever noticed the trouble knows of it.
    """
    seen = _process(_console(known, patient), patient)
    if seen.qemu_exit is not None:
        return seen
    try:
        async with asyncio.timeout(WHOLE_S):
            seen = await _qemu(seen, patient)
            if seen.process_state in ("T", "t") or seen.status != "running":
                return seen
            seen = await _network(seen, patient)
    except TimeoutError:
        log.debug("%s: not all could be examined within %g s", patient.slot.name, WHOLE_S)
    return _console(seen, patient)  # what a guest says of itself may come late


def _process(seen: Evidence, patient: Patient) -> Evidence:
    process = patient.qemu.process
    if (ended := process.exit) is not None:
        number = -ended.code if ended.code is not None and ended.code < 0 else None
        return replace(
            seen,
            qemu_exit=str(ended),
            qemu_signal=signal.Signals(number).name if number is not None else None,
        )
    return replace(seen, process_state=process.state or seen.process_state)


def _console(seen: Evidence, patient: Patient) -> Evidence:
    seen = replace(
        seen,
        events=tuple(patient.resets.told),
        panicked=patient.resets.panicked,
        console_faults=patient.faults.seen,
    )
    console = patient.qemu.console
    with suppress(OSError):
        state = os.stat(console.path, follow_symlinks=False)
        silent_s = max(0.0, time.time() - state.st_mtime)
        printed = state.st_size > console.first
        return replace(seen, printed=printed, console_silent_s=silent_s)
    return seen


async def _qemu(seen: Evidence, patient: Patient) -> Evidence:
    try:
        status = await patient.qemu.qmp.status(timeout_s=ANSWER_S)
    except MachineError:
        await patient.qemu.death()
        ended = _process(seen, patient)  # that may be why
        return replace(ended, qmp_silent=ended.qemu_exit is None)
    return replace(seen, status=status)


async def _network(seen: Evidence, patient: Patient) -> Evidence:
    network, slot = patient.network, patient.slot
    starts = seen.doing is Doing.START  # one of before says nothing then
    leases = network.leases
    lease = leases.since_forgotten(slot.mac) if starts else leases.current(slot.mac)
    if starts and seen.printed is False and lease and lease.expires is None:
        # It may be that of the last machine; but one that was restored got its own, in silence.
        lease = lease if patient.qemu.log.boots[-1].why is Why.SNAPSHOT else None
    seen = replace(
        seen,
        mac=slot.mac,
        lease=str(lease.address) if lease else None,
        dhcp=network.dhcp.ailment,
        tap=slot.tap,
        link=await _or_none(network.link(slot)),
    )
    if seen.lease is None:
        return seen
    answers, (port, echo) = await asyncio.gather(
        _or_none(network.who_has(seen.lease)), _server(patient, seen.lease)
    )
    await _or_none(network.tell_neighbour(slot, seen.lease))
    return replace(_answers(seen, answers), port=port, echo=echo)


def _answers(seen: Evidence, answers: dict[str, int] | None) -> Evidence:
    """What the answers to ARP say."""
    if answers is None:
        return seen
    own = answers.get(seen.mac or "", 0)
    others = [mac for mac in answers if mac != seen.mac]
    answering = others[0] if others else seen.mac if own else None
    return replace(seen, answering_mac=answering, lost_share=max(0.0, 1 - own / QUESTIONS))


async def _server(patient: Patient, address: str) -> tuple[Port | None, bool]:
    """What a new connection meets, and whether ``AVAILABLE`` is answered."""
    if await _still_answers(patient.session):
        return None, True
    port, sock = await _try_port(patient.network, address)
    return (port, False) if sock is None else await _ask(patient.slot.name, sock)


async def _still_answers(session: Session | None) -> bool:
    """Whether the guest answers on the session that there is; else that is closed."""
    if session is None or not session.usable:
        return False
    try:
        await session.available(ANSWER_S)
    except TaskgenError:
        await session.close()  # a Taskloader serves one client at a time
        return False
    return True


async def _try_port(network: FleetNetwork, address: str) -> tuple[Port, socket.socket | None]:
    try:
        async with asyncio.timeout(ANSWER_S):
            return Port.ACCEPTS, await network.dial(IPv4Address(address), DEFAULT_PORT)
    except TimeoutError:
        return Port.SILENT, None
    except ConnectionRefusedError:
        return Port.REFUSES, None
    except OSError:
        return Port.UNREACHABLE, None


async def _ask(name: str, sock: socket.socket) -> tuple[Port, bool]:
    async def connected() -> socket.socket:
        return sock

    try:
        session = await Session.open(name, connected, limits=Limits(answer_s=ANSWER_S))
    except ConnectionLostError:
        return Port.REFUSES, False  # accepted, and dropped at once
    except TaskgenError:
        return Port.ACCEPTS, False
    await session.close()
    return Port.ACCEPTS, True


async def _or_none(work: Awaitable[T]) -> T | None:
    try:
        return await work
    except (TaskgenError, OSError) as error:
        log.debug("not found out: %s", error)
        return None
