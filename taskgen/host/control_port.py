"""The control port of a guest that takes part in a template: its words, one line each.

The guest says ``ready`` once it is quiescent, and after a restore it is told who it is. What it
says is a guest's: nothing of it is believed but that it has spoken.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from taskgen.errors import MachineError, SilentGuestError
from taskgen.slots import Network, Slot

#: The longest line of a guest.
LINE_BYTES = 256

#: Bytes of randomness that each machine is given.
SEED_BYTES = 32


class ControlPort:
    """A connection to the control port of one machine. Made by :func:`control_port`."""

    def __init__(
        self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._name = name
        self._reader = reader
        self._writer = writer

    async def wait_ready(self, timeout_s: float) -> None:
        """Wait until the guest is quiescent: its state can be saved.

        :raises SilentGuestError: if it says nothing.
        :raises MachineError: if it says something else.
        """
        said = await self._line(timeout_s)
        if said != "ready":
            raise MachineError(f"{self._name}: its control port says {said!r} instead of ready")

    async def tell(self, slot: Slot, network: Network, timeout_s: float) -> float:
        """Have the guest be the one of a slot: MAC, address, clock, and random numbers of its own.

        :returns: by how many seconds its clock may be wrong at most.
        :raises MachineError: if it cannot do that, or does not say.
        """
        told_ns = time.time_ns()
        self._writer.write(identity(slot, network, told_ns, secrets.token_bytes(SEED_BYTES)))
        said = await self._line(timeout_s)
        heard_ns = time.time_ns()
        word, _, clock = said.partition(" clock_ns=")
        if word != "done" or not clock.isascii() or not clock.isdigit():
            raise MachineError(f"{self._name}: told who it is, it says {said!r}")
        # When it looked at its clock it was not before the one, nor after the other.
        wrong_ns = max(abs(int(clock) - told_ns), abs(int(clock) - heard_ns))
        return wrong_ns / 1e9

    async def _line(self, timeout_s: float) -> str:
        try:
            async with asyncio.timeout(timeout_s):
                line = await self._reader.readline()
        except TimeoutError as error:
            raise SilentGuestError(
                f"{self._name}: its control port is silent for {timeout_s:g} s",
                hint="is the guest older than its profile? The reference guest: make guest",
            ) from error
        except (OSError, ValueError) as error:  # ValueError: a line too long
            raise MachineError(f"{self._name}: its control port: {error}") from error
        if not line.endswith(b"\n"):
            raise MachineError(f"{self._name}: its control port has closed")
        return line.decode("ascii", errors="replace").strip()


def identity(slot: Slot, network: Network, clock_ns: int, seed: bytes) -> bytes:
    """The line that tells a guest who it is.

    :param clock_ns: since the epoch.
    """
    words = {
        "clock_ns": clock_ns,
        "seed": seed.hex(),
        "mac": slot.mac,
        "address": slot.address,
        "mask": network.subnet.netmask,
        "router": network.bridge_address,
    }
    return f"identity {' '.join(f'{key}={value}' for key, value in words.items())}\n".encode()


@asynccontextmanager
async def control_port(name: str, path: Path) -> AsyncIterator[ControlPort]:
    """A connection to the control port of machine ``name`` while in the block.

    :param path: the Unix socket on which its QEMU listens.
    :raises MachineError: if nobody listens there.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(str(path), limit=LINE_BYTES)
    except OSError as error:
        raise MachineError(f"{name}: no connection to its control port: {error}") from error
    try:
        yield ControlPort(name, reader, writer)
    finally:
        writer.transport.abort()  # nothing that we wrote is still wanted
