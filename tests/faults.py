"""What can go wrong under a daemon with machines at work, and what it should say of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from address_thief import inside
from fault_scene import Fault, Scene
from pyroute2 import IPRoute

from taskgen.resources import EventKind, Machine, StreamEvent

NAMESPACE, BRIDGE = "taskgen", "br0"


def _kill_daemon(scene: Scene, victim: Machine) -> None:
    scene.daemon.kill()
    scene.daemon.start()


def _kill_dnsmasq(scene: Scene, victim: Machine) -> None:
    os.kill(dnsmasq(scene.daemon.run), signal.SIGKILL)


def _signal(number: signal.Signals) -> Callable[[Scene, Machine], object]:
    def do(scene: Scene, victim: Machine) -> None:
        assert victim.pid
        os.kill(victim.pid, number)

    return do


def _delete_lease_file(scene: Scene, victim: Machine) -> None:
    (scene.daemon.run / "taskgen" / "dnsmasq.leases").unlink()


def _delete_link(name: str) -> None:
    def delete() -> None:
        with IPRoute() as ipr:
            ipr.link("del", index=ipr.link_lookup(ifname=name)[0])

    inside(NAMESPACE, delete)


def dnsmasq(run: Path) -> int:
    """The pid of the fleet's DHCP server: it has its files in the fleet's directory."""
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if b"dnsmasq" in words.partition(b"\0")[0] and str(run).encode() in words:
            return int(entry.name)
    raise AssertionError("no dnsmasq")


def _lost(victim: Machine, event: StreamEvent) -> bool:
    """Whether an event says that a machine is of no use any more."""
    if event.data.get("name") != victim.name:
        return False
    if event.kind is EventKind.MACHINE_GONE:
        return True
    return event.kind is EventKind.MACHINE and event.data["state"] in ("failed", "stopping")


def problem(key: str) -> Callable[[Machine, StreamEvent], bool]:
    return lambda _, event: event.kind is EventKind.PROBLEM and event.data["key"] == key


QEMU_KILLED = Fault(
    "kill -9 of a QEMU",
    _signal(signal.SIGKILL),
    _lost,
    "failed (",
    verdicts=("qemu-died",),
)
QEMU_STOPPED = Fault(
    "SIGSTOP of a QEMU",
    _signal(signal.SIGSTOP),
    _lost,
    "failed (",
    verdicts=("qemu-stopped",),
)
TAP_DELETED = Fault(
    "a tap deleted",
    lambda _, victim: _delete_link(victim.tap),
    _lost,
    "failed (",
    verdicts=("tap-gone",),
)

#: Those of which the table of docs/reliability.md is; see machine_faults.py for more.
FAULTS = (
    Fault("kill -9 of the daemon, and its start", _kill_daemon, None, "adopted", restarts=True),
    QEMU_KILLED,
    QEMU_STOPPED,
    Fault("kill -9 of dnsmasq", _kill_dnsmasq, problem("dhcp"), "dnsmasq"),
    TAP_DELETED,
    Fault("the bridge deleted", lambda *_: _delete_link(BRIDGE), problem("bridge"), BRIDGE),
    Fault("the lease file deleted", _delete_lease_file, problem("leases"), "leases"),
)
