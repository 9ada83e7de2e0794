"""How machines are lost, let go and taken over, on real ones."""

import asyncio
import os
import signal
import socket
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address
from stat import S_ISSOCK
from types import SimpleNamespace

import pytest
from host_tools import fleet
from pyroute2 import IPRoute
from test_machine import exits, kind_of, run_of

from taskgen import booting, machine_loss
from taskgen.diagnosis import Link
from taskgen.errors import AdoptionError, MachineError
from taskgen.host import qemu
from taskgen.host.origins import launched_from
from taskgen.host.qmp import Qmp
from taskgen.interfaces import FailureClass
from taskgen.lifecycle import MachineState
from taskgen.machine import Machine
from taskgen.machine_guest import Guest
from taskgen.task import Task

HEY = {"pkg": "hey", "period": 50, "numberofjobs": 2}
LONG = {"pkg": "hey", "period": 100, "numberofjobs": 300}


@asynccontextmanager
async def world(profile, network):
    """Makes machines of slot 1."""
    async with fleet(network) as (directory, net):
        made = []
        kind = kind_of(profile)

        def machine(**changes):
            one = Machine(network.slot(1), replace(kind, **changes), net, directory)
            net.on_tap_gone(lambda tap: one.tap_gone())
            made.append(one)
            return one

        machine.directory, machine.net = directory, net
        try:
            yield machine
        finally:
            for one in made:
                if one.state is not MachineState.STOPPED:
                    await one.stop()


async def execute(machine, task=HEY, emit=lambda event: None):
    return await machine.execute(run_of(Task(task)), emit)


async def failed(machine):
    """Wait until it has failed while it had nothing to do."""
    happened = asyncio.Event()
    machine.on_change(happened.set)
    async with asyncio.timeout(30):
        while machine.state is not MachineState.FAILED:
            happened.clear()
            await happened.wait()


def play(profile, network, scene):
    async def main():
        async with world(profile, network) as machine:
            await scene(machine)

    asyncio.run(main())


async def left(machine, directory):
    """A machine that has carried out a run and was let go; its record and its pid."""
    one = machine()
    await one.start()
    assert (await execute(one)).failure is None
    pid = one.qemu.pid
    await one.release()
    (record,) = directory.machine_records()
    os.kill(pid, 0)
    return record, pid


async def has_ended(pid, options=os.WEXITED | os.WNOWAIT):
    """Wait until a child has ended."""
    async with asyncio.timeout(20):
        await asyncio.to_thread(os.waitid, os.P_PID, pid, options)


def test_an_adopted_machine_goes_on_without_a_reboot_or_another_upload(profile, network):
    async def scene(machine):
        record, pid = await left(machine, machine.directory)
        two = machine()
        await two.adopt(record)
        info = two.info
        assert (info.pid, info.uuid, info.adopted) == (pid, record.uuid, True)
        assert (info.address, info.state) == ("10.200.45.1", "ready")
        outcome = await execute(two)
        assert outcome.failure is None
        assert len(exits(outcome)) == 2
        assert outcome.provenance["runs_since_boot"] is None
        log = two.qemu.console.tail(500)
        assert log.count("binary hey") == 1
        viewer = two.console_hub.attach()
        viewer.close()
        os.kill(pid, signal.SIGKILL)
        await failed(two)
        assert "ended with an unknown status" in two.info.reason
        await two.stop()
        assert machine.directory.machine_records() == []
        await has_ended(pid, os.WEXITED)  # it is a child of ours, after all

    play(profile, network, scene)


def test_a_guest_that_hangs_is_not_waited_for_as_one_that_boots(profile, network, monkeypatch):
    async def scene(machine):
        record, pid = await left(machine, machine.directory)
        qmp = await Qmp.connect("test", machine.directory.machine("taskgen-1") / "qmp.sock")
        await qmp.execute("set_link", {"name": "net", "up": False})
        await qmp.close()
        # Its boot began so long ago that it must be through.
        later = time.time() + profile.boot_timeout_s
        monkeypatch.setattr(booting, "time", SimpleNamespace(time=lambda: later))
        monkeypatch.setattr(booting, "RESTORED_S", 2.0)
        two = machine()
        with pytest.raises(MachineError, match=r"not ready after 2 s: it has a lease, 10\.200"):
            await two.adopt(record)
        await two.stop()
        await has_ended(pid, os.WEXITED)

    play(profile, network, scene)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        ("kind", "is not what would be launched now"),
        ("guest", "its guest is shutdown"),
        ("qemu", "its QEMU has ended while nobody watched it"),
        ("tap", "its tap taskgen1 is gone"),
    ],
)
def test_what_cannot_be_adopted_is_ended_and_nothing_is_left_of_it(profile, network, spoil, why):
    async def scene(machine):
        record, pid = await left(machine, machine.directory)
        two = machine(profile=replace(profile, memory_mb=100)) if spoil == "kind" else machine()
        if spoil == "guest":
            qmp = await Qmp.connect("test", machine.directory.machine("taskgen-1") / "qmp.sock")
            await qmp.execute("system_reset")  # as a guest that resets itself
            await qmp.close()
        elif spoil == "qemu":
            os.kill(pid, signal.SIGKILL)
            await has_ended(pid)
        elif spoil == "tap":
            await machine.net.namespace.run(delete_tap)
        with pytest.raises(AdoptionError, match=why):
            await two.adopt(record)
        await two.stop()
        assert machine.directory.machine_records() == []
        await has_ended(pid)
        three = machine()
        await three.start()
        assert (await execute(three)).failure is None

    play(profile, network, scene)


@pytest.mark.parametrize("back", [False, True])
def test_what_an_adopted_machine_was_launched_with_is_what_counts(profile, network, tmp_path, back):
    """Not what the engine had found there that launched it."""
    image = tmp_path / "kernel"
    content = profile.kernel.read_bytes()
    image.write_bytes(content)
    profile = replace(profile, kernel=image)

    async def scene(machine):
        before = await launched_from(profile)
        image.write_bytes(content + b"built anew")
        now = await launched_from(profile)
        record, pid = await left(partial(machine, provenance=before), machine.directory)
        if back:
            image.write_bytes(content)
            two = machine(provenance=before)
            with pytest.raises(AdoptionError, match="is not what would be launched now"):
                await two.adopt(record)
        else:
            two = machine(provenance=now)
            await two.adopt(record)
            outcome = await execute(two)
            assert outcome.failure is None
            assert now != before
            assert outcome.provenance | now == outcome.provenance
        await two.stop()
        await has_ended(pid, os.WEXITED)

    play(profile, network, scene)


def delete_tap():
    with IPRoute() as ipr:
        ipr.link("del", ifname="taskgen1")


def test_a_tap_that_is_deleted_in_mid_run_is_the_infrastructures_failure(profile, network):
    async def scene(machine):
        one = machine()
        await one.start()
        began = asyncio.Event()
        running = asyncio.create_task(execute(one, LONG, lambda event: began.set()))
        await began.wait()
        await machine.net.namespace.run(delete_tap)
        async with asyncio.timeout(20):
            outcome = await running
        assert outcome.failure is FailureClass.INFRASTRUCTURE
        assert "its tap taskgen1 is gone" in outcome.reason
        assert outcome.started_at > 0
        assert outcome.events
        assert one.state is MachineState.FAILED

    play(profile, network, scene)


def test_a_qemu_that_is_killed_in_mid_run_is_the_machines_failure(profile, network):
    async def scene(machine):
        one = machine()
        await one.start()
        began = asyncio.Event()
        running = asyncio.create_task(execute(one, LONG, lambda event: began.set()))
        await began.wait()
        os.kill(one.qemu.pid, signal.SIGKILL)
        outcome = await running
        assert outcome.failure is FailureClass.MACHINE
        assert "killed by SIGKILL" in outcome.reason
        assert outcome.started_at > 0

    play(profile, network, scene)


def test_a_qemu_that_takes_its_time_to_die_is_no_tap_that_somebody_deleted(
    profile, network, monkeypatch
):
    """On a busy host the kernel tells long before of the end of its tap, if that goes with it."""
    monkeypatch.setattr(machine_loss, "TAP_S", 0.1)

    async def scene(machine):
        one = machine()
        await one.start()
        began, gone = asyncio.Event(), asyncio.Event()
        machine.net.on_tap_gone(lambda tap: gone.set())
        running = asyncio.create_task(execute(one, LONG, lambda event: began.set()))
        await began.wait()
        process, loop = one.qemu.process, asyncio.get_running_loop()
        assert not process.is_ending
        loop.remove_reader(process._pidfd)
        os.kill(process.pid, signal.SIGKILL)
        await machine.net.namespace.run(delete_tap)  # ours does not go with it
        await gone.wait()
        assert process.is_ending
        loop.call_later(4 * machine_loss.TAP_S + qemu._ENDING_S, _hear_of_its_end, process)
        outcome = await running
        assert outcome.failure is FailureClass.MACHINE
        assert "killed by SIGKILL" in outcome.reason

    play(profile, network, scene)


def _hear_of_its_end(process):
    asyncio.get_running_loop().add_reader(process._pidfd, process._on_death)


def test_the_end_of_qemu_is_told_before_its_tap_is_gone(profile, network):
    """The kernel needs longer for that than for the rest of a QEMU."""

    async def scene(machine):
        one, slot = machine(), network.slot(1)
        gone = []
        machine.net.on_tap_gone(gone.append)
        await one.start()
        os.kill(one.qemu.pid, signal.SIGKILL)
        await failed(one)
        assert await machine.net.link(slot) is Link.UP
        await one.stop()
        again = machine()
        await again.start()  # in the same slot, with another tap of the same name
        assert await machine.net.link(slot) is Link.UP
        assert (await execute(again)).failure is None
        assert gone == []

    play(profile, network, scene)


def test_a_start_that_is_cancelled_as_its_session_opens_leaves_no_connection(
    profile, network, monkeypatch
):
    start, opened = Guest.start, []

    async def scene(machine):
        one = machine()

        async def start_and_cancel(guest):
            opened.append(await start(guest))
            starting.cancel()
            return opened[0]

        monkeypatch.setattr(Guest, "start", start_and_cancel)
        starting = asyncio.create_task(one.start())
        with pytest.raises(asyncio.CancelledError):
            await starting
        os.kill(one.qemu.pid, signal.SIGKILL)  # so it cannot tell of its end itself
        await one.stop()
        assert not opened[0].usable
        assert all(taken != network.slot(1).address for taken in connected())

    play(profile, network, scene)


def connected():
    """The other ends of this process's TCP connections."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        if os.path.exists(f"/proc/self/fd/{name}") and S_ISSOCK(os.fstat(int(name)).st_mode):
            with suppress(OSError), socket.socket(fileno=os.dup(int(name))) as sock:
                if sock.family == socket.AF_INET:
                    found.append(IPv4Address(sock.getpeername()[0]))
    return found


def test_what_happens_to_a_machine_that_has_nothing_to_do_is_noticed(profile, network):
    async def scene(machine):
        one = machine()
        await one.start()
        await machine.net.namespace.run(delete_tap)
        await failed(one)
        assert "its tap taskgen1 is gone" in one.info.reason
        assert not one.usable
        outcome = await execute(one)  # a run that was on its way
        assert (outcome.failure, outcome.started_at) == (FailureClass.INFRASTRUCTURE, 0)

    play(profile, network, scene)


def test_a_stopped_qemu_fails_its_run_and_can_be_ended(profile, network):
    async def scene(machine):
        one = machine()
        await one.start()
        began = asyncio.Event()
        quick = run_of(Task(LONG | {"numberofjobs": 20}), slack_s=0.0, margin=1.0)
        running = asyncio.create_task(one.execute(quick, lambda event: began.set()))
        await began.wait()
        os.kill(one.qemu.pid, signal.SIGSTOP)
        async with asyncio.timeout(60):
            outcome = await running
            assert outcome.failure is FailureClass.MACHINE
            assert "stopped by a signal" in outcome.reason
            assert one.state is MachineState.FAILED
            await one.stop()

    play(profile, network, scene)


def test_a_qemu_whose_end_is_told_after_its_connection_has_ended_is_seen_to_have_died(
    profile, network
):
    async def scene(machine):
        one = machine()
        await one.start()
        guest = one._body.guest
        await one.qemu.qmp.close()  # as the kernel closes it, some time before it tells of the end
        told = asyncio.create_task(guest.of_idle("it does not answer"))
        await asyncio.sleep(0)
        assert not told.done()
        os.kill(one.qemu.pid, signal.SIGKILL)
        assert "SIGKILL" in await told

    play(profile, network, scene)
