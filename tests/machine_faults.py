"""The catalogue of what happens to machines: in the guest, to its QEMU, its network and its image.

For a scene that :func:`breakable` prepares.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from address_thief import address_thief, inside
from fault_scene import Fault, Scene
from faults import BRIDGE, NAMESPACE, QEMU_KILLED, QEMU_STOPPED, TAP_DELETED, dnsmasq, problem
from packet_loss import lose_packets
from pyroute2 import IPRoute, NetlinkError
from sabotage import Sabotage, sabotage

from taskgen.resources import Machine

#: The guest's kernel does not start with so little.
TOO_LITTLE_MB = 64

#: Of the file system that the daemon's state is on.
STATE_MB = 64

LOST = 0.3


@contextmanager
def breakable(folder: Path) -> Iterator[Sabotage]:
    """Machines with a saboteur, and a state directory on a file system that can be filled."""
    image, state = folder / "image", folder / "state"
    image.mkdir(mode=0o755)
    state.mkdir(mode=0o711)
    options = f"size={STATE_MB}m,mode=711"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "taskgen-test", state], check=True)
    try:
        with sabotage(image) as made:
            yield made
    finally:
        subprocess.run(["umount", state], check=True)


def _tell_saboteur(word: str) -> Callable[[Scene, Machine], object]:
    def do(scene: Scene, victim: Machine) -> None:
        with scene.daemon.client.console(victim.name) as console:
            console.write(f"{word}\n".encode())
            echo = b""
            while word.encode() not in echo and (piece := console.read(60)):
                echo += piece

    return do


def _set_tap_down(scene: Scene, victim: Machine) -> None:
    def set_down() -> None:
        with IPRoute() as ipr:
            ipr.link("set", index=ipr.link_lookup(ifname=victim.tap)[0], state="down")

    inside(NAMESPACE, set_down)


@contextmanager
def _lose_packets(scene: Scene, victim: Machine) -> Iterator[None]:
    before = inside(NAMESPACE, _sent_again)
    inside(NAMESPACE, lambda: lose_packets(victim.tap, LOST))
    try:
        yield
    finally:
        inside(NAMESPACE, lambda: _lose_no_more(victim.tap))
    again = inside(NAMESPACE, _sent_again) - before
    assert again, "no packet was lost"
    scene.notes.append(f"TCP has sent {again} segments again")


def _sent_again() -> int:
    """Segments that TCP of this thread's namespace has sent again so far."""
    text = Path("/proc/thread-self/net/snmp").read_text(encoding="ascii")
    names, values = (line.split() for line in text.splitlines() if line.startswith("Tcp:"))
    return int(values[names.index("RetransSegs")])


def _lose_no_more(tap: str) -> None:
    with IPRoute() as ipr:
        for index in ipr.link_lookup(ifname=tap):  # none: it has gone with its machine
            with suppress(NetlinkError):  # another machine has a tap of the same name now
                ipr.tc("del", "clsact", index)


@contextmanager
def _take_address(scene: Scene, victim: Machine) -> Iterator[None]:
    assert victim.address
    with address_thief(victim.address, namespace=NAMESPACE, bridge=BRIDGE):
        yield


@contextmanager
def _fill_disk(scene: Scene, victim: Machine) -> Iterator[None]:
    filler = scene.daemon.state / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                yield
    finally:
        filler.unlink()


@contextmanager
def _boot_without_dhcp(scene: Scene, victim: Machine) -> Iterator[None]:
    """A directory where dnsmasq wants to have a file: it cannot be started again."""
    in_the_way = scene.daemon.run / "taskgen" / "dnsmasq.pid"
    in_the_way.unlink()
    in_the_way.mkdir()
    try:
        os.kill(dnsmasq(scene.daemon.run), signal.SIGKILL)
        scene.daemon.client.kill_machine(victim.name)
        yield
    finally:
        in_the_way.rmdir()


def _boot_with(spoil: Callable[[Sabotage], object]) -> Callable[[Scene, Machine], object]:
    @contextmanager
    def do(scene: Scene, victim: Machine) -> Iterator[None]:
        with spoil(scene.prepared):
            scene.daemon.client.kill_machine(victim.name)
            yield

    return do


@contextmanager
def _boot_with_little_memory(scene: Scene, victim: Machine) -> Iterator[None]:
    """All machines, because the daemon reads a profile when it is started."""
    assert isinstance(scene.prepared, Sabotage)
    try:
        with scene.prepared.memory(TOO_LITTLE_MB):
            assert scene.daemon.stop() == 0
            scene.daemon.start()
        yield
    finally:
        assert scene.daemon.stop() == 0
        scene.daemon.start()


CATALOGUE = (
    Fault("guest panic", _tell_saboteur("panic"), verdicts=("guest-panic",)),
    Fault("guest hang", _tell_saboteur("hang"), verdicts=("guest-hangs",)),
    Fault("server dead", _tell_saboteur("kill server"), verdicts=("guest-fault",)),
    Fault("server hangs", _tell_saboteur("stop server"), verdicts=("server-hangs",)),
    QEMU_STOPPED,
    QEMU_KILLED,
    Fault("link down, on the host", _set_tap_down, problem("bridge"), "tap"),
    Fault("link down, in the guest", _tell_saboteur("unplug"), verdicts=("guest-hangs",)),
    Fault(
        f"{LOST:.0%} packet loss",
        _lose_packets,
        verdicts=("packet-loss", "serves"),
        spared=True,
    ),
    Fault("duplicate IP", _take_address, verdicts=("duplicate-address",)),
    Fault("full disk", _fill_disk, problem("queue"), "nothing can be kept"),
    TAP_DELETED,
    Fault("DHCP server dead at boot", _boot_without_dhcp, verdicts=("dhcp-dead",)),
    Fault(
        "wrong image: a text",
        _boot_with(Sabotage.text_for_kernel),
        verdicts=("qemu-refuses",),
    ),
    Fault("wrong image: damaged", _boot_with(Sabotage.damaged_kernel), verdicts=("no-output",)),
    Fault("too little memory", _boot_with_little_memory, restarts=True, verdicts=("guest-panic",)),
)
