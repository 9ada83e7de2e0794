"""What is wrong with real machines is found out: the right verdict, with what shows it."""

import asyncio
import os
import signal
from contextlib import ExitStack
from dataclasses import replace

import pytest
from address_thief import MAC, address_thief
from packet_loss import lose_packets
from pyroute2 import IPRoute
from test_machine import run_of
from test_machine_end import LONG, delete_tap, execute, failed, play

from taskgen.errors import BootError, MachineDiedError
from taskgen.host.links import Findings
from taskgen.interfaces import FailureClass
from taskgen.lifecycle import MachineState
from taskgen.machine_doctor import Dumps
from taskgen.task import Task

#: A guest that an NMI has panic, and that stays as it is then.
PANICS = " unknown_nmi_panic panic=0"


async def met_by(machine, fault, **changes):
    """The outcome of a run in the midst of which something happens."""
    one = machine(**changes)
    await one.start()
    began = asyncio.Event()
    quick = run_of(Task(LONG | {"numberofjobs": 20}), slack_s=0.0, margin=1.0)
    running = asyncio.create_task(one.execute(quick, lambda event: began.set()))
    await began.wait()
    await fault(one)
    async with asyncio.timeout(120):
        outcome = await running
    assert one.state is MachineState.FAILED
    assert outcome.diagnosis["doing"] == "run"
    assert outcome.diagnosis["evidence"]
    return outcome


def verdict(outcome):
    return outcome.diagnosis["verdict"], outcome.failure


def change_tap(**change):
    with IPRoute() as ipr:
        ipr.link("set", index=ipr.link_lookup(ifname="taskgen1")[0], **change)


def test_a_panic_ends_its_run_at_once_and_what_the_cpus_did_is_kept(profile, network, tmp_path):
    async def panic(one):
        await one.qemu.qmp.execute("inject-nmi")

    async def scene(machine):
        outcome = await met_by(
            machine,
            panic,
            profile=replace(profile, append=profile.append + PANICS),
            dumps=Dumps(tmp_path / "dumps", keep=1),
        )
        assert verdict(outcome) == ("guest-panic", FailureClass.GUEST)
        assert "Kernel panic - not syncing" in outcome.reason
        assert outcome.duration_s < 10  # long before the limit of the run
        assert "RIP=" in outcome.diagnosis["registers"]
        (dump,) = (tmp_path / "dumps").iterdir()
        assert str(dump) == outcome.diagnosis["memory_dump"]
        assert dump.stat().st_size > profile.memory_mb * 2**20 / 2
        assert dump.read_bytes()[:4] == b"\x7fELF"

    play(profile, network, scene)


@pytest.mark.parametrize(
    ("fault", "key", "failure"),
    [
        ("sigstop", "qemu-stopped", FailureClass.MACHINE),
        ("sigkill", "qemu-died", FailureClass.MACHINE),
        ("pause", "guest-paused", FailureClass.MACHINE),
        ("tap_deleted", "tap-gone", FailureClass.INFRASTRUCTURE),
        ("tap_off_the_bridge", "link-down", FailureClass.INFRASTRUCTURE),
        ("all_packets_lost", "guest-hangs", FailureClass.GUEST),
    ],
)
def test_what_happens_to_a_machine_in_mid_run_gets_its_verdict(
    profile, network, fault, key, failure
):
    async def scene(machine):
        async def happen(one):
            match fault:
                case "sigstop":
                    os.kill(one.qemu.pid, signal.SIGSTOP)
                case "sigkill":
                    os.kill(one.qemu.pid, signal.SIGKILL)
                case "pause":
                    await one.qemu.qmp.execute("stop")
                case "tap_deleted":
                    await machine.net.namespace.run(delete_tap)
                case "tap_off_the_bridge":
                    machine.net._links._links.look = Findings  # else it is mended at once
                    await machine.net.namespace.run(lambda: change_tap(master=0))
                case "all_packets_lost":
                    await machine.net.namespace.run(lose_packets, "taskgen1", 1.0)

        outcome = await met_by(machine, happen)
        assert verdict(outcome) == (key, failure), outcome.diagnosis

    play(profile, network, scene)


def test_a_machine_that_hangs_with_nothing_to_do_tells_why(profile, network):
    async def scene(machine):
        one = machine(profile=replace(profile, append=profile.append + PANICS))
        await one.start()
        await one.qemu.qmp.execute("inject-nmi")
        await failed(one)
        await one.stop()
        assert "the guest's kernel has panicked" in one.info.reason
        assert one.info.trouble["verdict"] == "guest-panic"
        assert one.info.trouble["doing"] == "idle"

    play(profile, network, scene)


def test_another_device_with_the_address_of_a_machine_is_told_by_its_mac(profile, network):
    async def scene(machine):
        with ExitStack() as stack:

            async def happen(one):
                await machine.net.namespace.run(lose_packets, "taskgen1", 1.0)
                namespace = machine.directory.record.namespace
                stack.enter_context(
                    address_thief("10.200.45.1", namespace=namespace, bridge=network.bridge)
                )

            outcome = await met_by(machine, happen)
        assert verdict(outcome) == ("duplicate-address", FailureClass.INFRASTRUCTURE)
        assert MAC in outcome.reason

    play(profile, network, scene)


def test_a_run_that_lost_packets_held_up_is_not_the_task_sets_failure(profile, network):
    async def scene(machine):
        one = machine()
        await one.start()
        began = asyncio.Event()
        # It never tells that it is through, so it is over by its limit in any case.
        stalls = run_of(Task(pkg="idle", period=0, config={"arg1": 600_000}), slack_s=2.0)
        running = asyncio.create_task(one.execute(stalls, lambda event: began.set()))
        await began.wait()
        await machine.net.namespace.run(lose_packets, "taskgen1", 0.4)
        async with asyncio.timeout(300):
            outcome = await running
        assert verdict(outcome) == ("packet-loss", FailureClass.INFRASTRUCTURE)
        assert one.state is MachineState.FAILED

    play(profile, network, scene)


def test_a_run_that_stalls_is_its_task_sets_failure_and_what_was_seen_is_kept(profile, network):
    async def scene(machine):
        one = machine()
        await one.start()
        stalls = run_of(Task(pkg="idle", period=0, config={"arg1": 600_000}), slack_s=1.0)
        outcome = await one.execute(stalls, lambda event: None)
        assert verdict(outcome) == ("serves", FailureClass.TASK)
        assert "no JOBS_DONE" in outcome.reason
        assert (one.usable, one.info.trouble) == (True, None)

    play(profile, network, scene)


@pytest.mark.parametrize(
    ("spoiled", "key"),
    [
        ({"drop": "initrd"}, "guest-panic"),
        ({"memory_mb": 64}, "guest-panic"),
    ],
)
def test_a_machine_that_does_not_start_tells_why(profile, network, spoiled, key):
    async def scene(machine):
        changes = dict(spoiled)
        if changes.pop("drop", None):
            changes["initrd"] = None
            changes["append"] = profile.append
        one = machine(profile=replace(profile, silent_s=8.0, boot_timeout_s=60.0, **changes))
        with pytest.raises((BootError, MachineDiedError)) as caught:
            await one.start()
        assert one.info.trouble["verdict"] == key, (str(caught.value), one.info.trouble)
        assert one.info.trouble["doing"] == "start"

    play(profile, network, scene)


def test_nothing_is_examined_where_a_task_set_fails_by_itself(profile, network):
    async def scene(machine):
        one = machine()
        await one.start()
        outcome = await execute(one, {"pkg": "nowhere", "period": 50, "numberofjobs": 1})
        assert outcome.failure is FailureClass.TASK
        assert outcome.diagnosis == {}

    play(profile, network, scene)
