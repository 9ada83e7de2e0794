"""The floor of cold boots: bare QEMU, from exec until the guest answers ``AVAILABLE``.

Nothing of Taskgen's own way to start a machine is in here: no user of its own, no sandbox, no QMP,
no watching of leases or consoles. Network namespace, bridge, taps and DHCP server are made once,
before anything is measured. What is taken from Taskgen is data: the profile and the addresses.

It is a process of its own, ``python -m benchmarks.tools.bare PROFILE ACCELERATOR``, in a nameless
namespace that ends with it. A line ``MACHINES AT_ONCE`` on standard input boots so many; the answer
is a line of JSON. The end of the input ends it.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from pyroute2 import IPRoute

from benchmarks.tools.cpu import cpu_s
from benchmarks.tools.memory import pss_mb
from benchmarks.tools.stopping import stopping_in_order
from taskgen import assets
from taskgen.profiles import Profile, load_profile
from taskgen.slots import Network, Slot, load_network

AVAILABLE = (0xAAAAA).to_bytes(4, "little")
PORT = 3001
POLL_S = 0.01
LIMIT_S = 300.0

#: For the first connection; then a quarter more each time. While the guest has a MAC but no address
#: yet, what is sent to it is lost, and the kernel would send it again after a second only.
PATIENCE_S = 0.02


def main() -> None:
    """Make the network, then boot as often as is asked for."""
    profile, accelerator = load_profile(sys.argv[1]), sys.argv[2]
    network = load_network(assets.root() / "network" / "network.toml")
    if ctypes.CDLL(None, use_errno=True).unshare(0x40000000) != 0:  # CLONE_NEWNET
        raise OSError(ctypes.get_errno(), "no new network namespace: this needs root")
    with (
        stopping_in_order(),
        tempfile.TemporaryDirectory() as folder,
        bare_network(network, Path(folder)),
    ):
        joined = 0
        for line in sys.stdin:
            machines, at_once = map(int, line.split())
            slots = [network.slot(number) for number in range(1, machines + 1)]
            for slot in slots[joined:]:
                join(network, slot)
            joined = max(joined, machines)
            commands = {
                slot: qemu_command(profile, accelerator, slot, Path(folder, slot.name))
                for slot in slots
            }
            print(json.dumps(boot(commands, at_once)), flush=True)


@contextmanager
def bare_network(network: Network, folder: Path) -> Iterator[None]:
    """Bridge and dnsmasq in the namespace that we are in, and that ends with us."""
    with IPRoute() as ipr:
        ipr.link("set", index=1, state="up")
        ipr.link("add", ifname=network.bridge, kind="bridge", br_stp_state=0, br_forward_delay=0)
        bridge = socket.if_nametoindex(network.bridge)
        address, length = str(network.bridge_address), network.subnet.prefixlen
        ipr.addr("add", index=bridge, address=address, prefixlen=length)
        ipr.link("set", index=bridge, state="up")
    silence(network.bridge)
    retransmission = Path(f"/proc/sys/net/ipv4/neigh/{network.bridge}/retrans_time_ms")
    retransmission.write_text("20", "ascii")  # of ARP requests; else one a second
    dnsmasq = start_dnsmasq(network, folder)
    try:
        yield
    finally:
        dnsmasq.kill()
        dnsmasq.wait()


def join(network: Network, slot: Slot) -> None:
    """Make the slot's tap, which then waits for its QEMU, and join it to the bridge."""
    make_tap(slot.tap)
    silence(slot.tap)
    bridge, tap = socket.if_nametoindex(network.bridge), socket.if_nametoindex(slot.tap)
    with IPRoute() as ipr:
        ipr.link("set", index=tap, master=bridge, state="up")


def silence(device: str) -> None:
    """No IPv6 of the host's on the device, as in a fleet: it would wake the guests."""
    Path(f"/proc/sys/net/ipv6/conf/{device}/disable_ipv6").write_text("1", "ascii")


def make_tap(name: str) -> None:
    """A tap without a process at its other end."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    flags = 0x0002 | 0x1000 | 0x4000  # linux/if_tun.h: IFF_TAP, IFF_NO_PI, IFF_VNET_HDR
    fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", name.encode("ascii"), flags))  # TUNSETIFF
    fcntl.ioctl(fd, 0x400454CB, 1)  # TUNSETPERSIST
    os.close(fd)


def start_dnsmasq(network: Network, folder: Path) -> subprocess.Popen[bytes]:
    """A dnsmasq that knows the slots; it answers when this returns."""
    slots = [network.slot(number) for number in range(1, network.slots + 1)]
    command = [
        *["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--no-ping"],
        *[f"--interface={network.bridge}", "--bind-interfaces", "--dhcp-authoritative"],
        *["--dhcp-ignore-clid", "--log-facility=-"],
        *[f"--dhcp-leasefile={folder / 'leases'}", f"--pid-file={folder / 'pid'}"],
        f"--dhcp-range={network.subnet.network_address},static,{network.subnet.netmask}",
        *[f"--dhcp-host={slot.mac},{slot.address}" for slot in slots],
    ]
    with (folder / "log").open("wb") as log:
        dnsmasq = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    while not (folder / "pid").exists():
        if dnsmasq.poll() is not None:
            raise RuntimeError(f"dnsmasq: {(folder / 'log').read_text()}")
        time.sleep(POLL_S)
    return dnsmasq


def qemu_command(profile: Profile, accelerator: str, slot: Slot, console: Path) -> list[str]:
    """The bare command, for a profile that boots a kernel and has a plug-in network card."""
    options = f",{profile.nic.options}" if profile.nic.options else ""
    return [
        *[profile.emulator, "-nodefaults", "-no-user-config", "-display", "none"],
        *["-accel", "tcg,tb-size=64" if accelerator == "tcg" else accelerator],
        *["-machine", profile.machine, *(["-cpu", profile.cpu] if profile.cpu else [])],
        *["-m", str(profile.memory_mb), "-smp", str(profile.cpus)],
        *["-kernel", str(profile.kernel)],
        *(["-initrd", str(profile.initrd)] if profile.initrd else []),
        *["-append", profile.append],
        *["-serial", f"file:{console}"],
        *["-netdev", f"tap,id=net,ifname={slot.tap},script=no,downscript=no"],
        *["-device", f"{profile.nic.model},netdev=net,mac={slot.mac}{options}"],
        *profile.arguments,
    ]


def boot(commands: Mapping[Slot, Sequence[str]], at_once: int) -> dict[str, float]:
    """Boot the machines, ``at_once`` at a time, until all have answered; then end them.

    :returns: ``wall_s`` until the last answer, and ``cpu_s`` and ``pss_mb``, what all the QEMUs had
        used of CPU, and took of memory, by then.
    """
    qemus: list[subprocess.Popen[bytes]] = []

    def one(slot: Slot) -> None:
        limit = time.monotonic() + LIMIT_S
        before = packets_from(slot.tap)
        qemu = subprocess.Popen(commands[slot], stdin=subprocess.DEVNULL)
        qemus.append(qemu)
        # Whoever asks before the guest has sent anything only keeps it from its boot.
        while packets_from(slot.tap) == before:
            time.sleep(POLL_S)
            check(slot, qemu, limit)
        patience_s = PATIENCE_S
        while not answers(str(slot.address), patience_s):
            patience_s *= 1.25
            check(slot, qemu, limit)

    try:
        began = time.monotonic()
        with ThreadPoolExecutor(at_once) as executor:
            try:
                list(executor.map(one, commands))
            except BaseException:
                for qemu in qemus:
                    qemu.kill()  # so that nobody waits for its guest
                raise
            return {
                "wall_s": time.monotonic() - began,
                "cpu_s": sum(cpu_s(qemu.pid) for qemu in qemus),
                "pss_mb": sum(pss_mb(qemu.pid) for qemu in qemus),
            }
    finally:
        for qemu in qemus:
            qemu.kill()
            qemu.wait()


def check(slot: Slot, qemu: subprocess.Popen[bytes], limit: float) -> None:
    """Raise if there is nothing more to wait for."""
    if qemu.poll() is not None:
        raise RuntimeError(f"bare {slot.name}: QEMU ended with status {qemu.returncode}")
    if time.monotonic() > limit:
        raise TimeoutError(f"bare {slot.name}: not ready after {LIMIT_S:g} s")


def packets_from(tap: str) -> int:
    """How many packets the guest behind the tap has sent."""
    for line in Path("/proc/thread-self/net/dev").read_text("ascii").splitlines():
        name, _, counters = line.partition(":")
        if name.strip() == tap:
            return int(counters.split()[1])
    raise LookupError(tap)


def answers(address: str, patience_s: float) -> bool:
    """Whether the guest there accepts a connection within the time, and then echoes."""
    try:
        with socket.create_connection((address, PORT), timeout=patience_s) as connection:
            connection.settimeout(LIMIT_S)
            connection.sendall(AVAILABLE)
            return connection.recv(len(AVAILABLE), socket.MSG_WAITALL) == AVAILABLE
    except TimeoutError:
        return False
    except OSError:  # nobody listens yet, or there is no such neighbour yet
        time.sleep(POLL_S)
        return False


if __name__ == "__main__":
    main()
