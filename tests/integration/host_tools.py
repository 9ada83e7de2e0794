"""Fleets and machines for tests, and a DHCP client that sits on a tap."""

import asyncio
import os
import socket
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from taskgen.host.fleet_directory import FleetDirectory
from taskgen.host.fleet_network import fleet_network
from taskgen.host.frames import Dhcp, dhcp_frame
from taskgen.host.inotify import Inotify
from taskgen.host.qemu_command import Accelerator
from taskgen.host.qemu_start import launch
from taskgen.host.records import Kind, embedded_name
from taskgen.settings import DhcpChoice

_VNET_HEADER = bytes(10)  # linux/virtio_net.h: no offloads


@asynccontextmanager
async def fleet_directory(namespace=None, kind=Kind.EMBEDDED, **wiring):
    """The directory of a fleet of its own."""
    name = embedded_name()
    directory = FleetDirectory.create(
        name, kind=kind, namespace=name if namespace is None else namespace, **wiring
    )
    try:
        yield directory
    finally:
        directory.close()


@asynccontextmanager
async def fleet(network, namespace=None, problems=None, server=DhcpChoice.DNSMASQ, **wiring):
    """A fleet's directory and network."""
    async with (
        fleet_directory(namespace, **wiring) as directory,
        fleet_network(network, directory, problems, server=server) as net,
    ):
        yield directory, net


@asynccontextmanager
async def lone_machine(profile, **options):
    """A machine without a network."""
    async with fleet_directory("") as directory:
        with Inotify() as inotify:
            async with await launch(
                profile,
                "taskgen-1",
                directory=directory,
                accelerator=Accelerator.TCG,
                inotify=inotify,
                **options,
            ) as qemu:
                yield qemu


@asynccontextmanager
async def machine(profile, directory, net, number=1):
    """A machine of a fleet."""
    slot = net.network.slot(number)
    async with await launch(
        profile,
        slot.name,
        directory=directory,
        accelerator=Accelerator.TCG,
        inotify=net.inotify,
        namespace=net.namespace,
        tap=await net.open_tap(slot),
        mac=slot.mac,
    ) as qemu:
        yield qemu


def shell(profile, script=""):
    """A guest whose console is a shell, which begins with a script without quotes."""
    words = f' -- -c "{script}"' if script else ""
    return replace(profile, append=f"{profile.append} rdinit=/bin/sh{words}")


def counting(profile, pause="j=0; while [ $j -lt 500 ]; do j=$((j+1)); done"):
    """A guest that prints numbered lines without end."""
    return shell(profile, f"i=0; while :; do echo line $i .; i=$((i+1)); {pause}; done")


async def available(net, address, timeout_s=20):
    """Connect to a guest and see that it answers AVAILABLE."""
    sock = await net.connect(str(address), 3001, timeout_s)
    loop = asyncio.get_running_loop()
    with sock:
        message = (0xAAAAA).to_bytes(4, "little")
        await loop.sock_sendall(sock, message)
        async with asyncio.timeout(timeout_s):
            return await loop.sock_recv(sock, 4) == message


async def read_frame(tap, wanted, timeout_s=60):
    """The first frame from the tap that ``wanted`` accepts; ``None`` if there is none in time."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(tap.fd, readable.set)
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                readable.clear()
                try:
                    frame = os.read(tap.fd, 4096)[len(_VNET_HEADER) :]
                except BlockingIOError:
                    await readable.wait()
                else:
                    if wanted(frame):
                        return frame
    except TimeoutError:
        return None
    finally:
        loop.remove_reader(tap.fd)


def status(pid):
    """What ``/proc`` says of a process, by key."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def write_frame(tap, frame):
    """Send a frame, as a guest would."""
    os.write(tap.fd, _VNET_HEADER + frame)


def _is_answer(kind, xid):
    def check(frame):
        bootp = frame[14 + 20 + 8 :]
        return (
            frame[12:14] == b"\x08\x00"
            and frame[14 + 9] == 17
            and bootp[:1] == b"\x02"
            and bootp[4:8] == xid.to_bytes(4, "big")
            and bytes([53, 1, kind]) in bootp
        )

    return check


async def dhcp_request(tap, mac, address, *, xid, timeout_s=60):
    """Ask for an address as a guest that has had it before; the answer's kind, or ``None``."""
    options = b"\x32\x04" + socket.inet_aton(address)
    checks = {kind: _is_answer(kind, xid) for kind in (Dhcp.ACK, Dhcp.NAK)}
    for again_s in [min(timeout_s, 1.0)] * max(1, int(timeout_s)):
        write_frame(tap, dhcp_frame(mac, Dhcp.REQUEST, xid=xid, options=options))
        answer = await read_frame(tap, lambda f: any(c(f) for c in checks.values()), again_s)
        if answer is not None:
            return next(kind for kind, check in checks.items() if check(answer))
    return None


async def dhcp_exchange(tap, mac, *, xid=0xE4C14788, options=b"", timeout_s=60):
    """Ask for an address as a guest; the address, or ``None`` if nobody answers.

    It asks again each second, as guests do: a bridge's port that has just come up may lose a frame.
    """
    for again_s in [min(timeout_s, 1.0)] * max(1, int(timeout_s)):
        write_frame(tap, dhcp_frame(mac, Dhcp.DISCOVER, xid=xid, options=options))
        offer = await read_frame(tap, _is_answer(Dhcp.OFFER, xid), again_s)
        if offer is not None:
            break
    else:
        return None
    address = offer[14 + 20 + 8 + 16 :][:4]
    server = offer[14 + 12 :][:4]
    options += b"\x32\x04" + address + b"\x36\x04" + server
    write_frame(tap, dhcp_frame(mac, Dhcp.REQUEST, xid=xid, options=options))
    assert await read_frame(tap, _is_answer(Dhcp.ACK, xid), timeout_s=60)
    return socket.inet_ntoa(address)
