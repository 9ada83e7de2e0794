"""What a machine's guest is given, and when it has to start anew, on real machines."""

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import replace

from host_tools import fleet

from taskgen.binaries import Binaries
from taskgen.host.qemu_command import Accelerator
from taskgen.interfaces import FailureClass, Run, SessionSettings
from taskgen.lifecycle import MachineState
from taskgen.machine import Machine
from taskgen.machine_kind import MachineKind
from taskgen.run_settings import Reset
from taskgen.task import Task
from taskgen.taskset import TaskSet


@asynccontextmanager
async def booted(profile, network, binaries=None, **options):
    kind = MachineKind(
        profile=profile,
        accelerator=Accelerator.TCG,
        binaries=Binaries([binaries or profile.binaries], profile.architecture),
        **options,
    )
    async with fleet(network) as (directory, net):
        machine = Machine(network.slot(1), kind, net, directory)
        try:
            await machine.start()
            yield machine
        finally:
            await machine.stop()


async def execute(machine, task, emit=lambda event: None, **settings):
    run = Run(
        id="run",
        job_id="job",
        variant=TaskSet([Task(task)]).variants()[0],
        attempt=1,
        settings=SessionSettings(**{"slack_s": 60.0, **settings}),
    )
    return await machine.execute(run, emit)


HEY = {"pkg": "hey", "period": 20, "numberofjobs": 2}
FAILS = {"pkg": "hey", "period": 0, "config": {"arg1": 1, "arg2": 3}}
STALLS = {"pkg": "idle", "period": 0, "config": {"arg1": 0}}


def test_a_changed_binary_resets_the_machine_and_the_new_one_runs(profile, network, tmp_path):
    async def main():
        async with booted(profile, network, tmp_path) as machine:
            exits, since_boot, pids = [], [], set()
            for binary in ("hey", "hey", "idle"):
                (tmp_path / "hey").write_bytes((profile.binaries / binary).read_bytes())
                outcome = await execute(machine, FAILS)
                assert outcome.failure is None, outcome.reason
                exits.append(outcome.activations[0].exit)
                since_boot.append(outcome.provenance["runs_since_boot"])
                pids.add(machine.qemu.pid)
            assert exits == ["EXIT", "EXIT", "EXIT_ERROR"]
            assert since_boot == [0, 1, 0]
            assert len(pids) == 1

    asyncio.run(main())


def test_with_the_policy_reboot_each_run_has_a_fresh_guest(profile, network):
    async def main():
        async with booted(profile, network, reset=Reset.REBOOT) as machine:
            for _ in range(3):
                outcome = await execute(machine, HEY)
                assert outcome.failure is None, outcome.reason
                assert outcome.provenance["runs_since_boot"] == 0
                assert outcome.provenance["reset"] == "reboot"

    asyncio.run(main())


def test_a_machine_on_which_a_run_stalled_is_reset_before_the_next_one(profile, network):
    async def main():
        async with booted(profile, network) as machine:
            stalled = await execute(machine, STALLS, slack_s=0.5, margin=1.0)
            assert stalled.failure is FailureClass.TASK
            assert "no JOBS_DONE of task 1" in stalled.reason
            assert machine.usable
            outcome = await execute(machine, HEY)
            assert outcome.failure is None, outcome.reason
            assert outcome.provenance["runs_since_boot"] == 0

    asyncio.run(main())


def test_a_guest_that_reboots_by_itself_in_mid_run_is_noticed_at_once(profile, network):
    async def main():
        async with booted(profile, network) as machine:
            session = machine._manager.session
            outcome = await execute(
                machine,
                {**HEY, "numberofjobs": 10_000},
                lambda event: session.reboot() if event.type == "START" else None,
                duration_s=60.0,
            )
            assert outcome.failure is FailureClass.GUEST
            assert "the guest was reset by itself" in outcome.reason
            assert outcome.duration_s < 30
            assert machine.state is MachineState.FAILED

    asyncio.run(main())


def test_a_machine_that_is_reset_while_it_has_nothing_to_do_takes_no_further_run(profile, network):
    async def main():
        async with booted(profile, network) as machine:
            assert machine.usable
            await machine.qemu.qmp.execute("system_reset")
            await machine._manager.session.dropped(30)
            assert not machine.usable

    asyncio.run(main())


def test_a_guest_that_does_not_come_back_after_a_reset_is_the_machines_failure(profile, network):
    async def main():
        async with booted(profile, network, reset=Reset.REBOOT) as machine:
            assert (await execute(machine, HEY)).failure is None
            machine._body.guest._profile = replace(profile, boot_timeout_s=0.5)
            outcome = await execute(machine, HEY)
            assert outcome.failure is FailureClass.MACHINE
            assert re.search(
                r"not ready( for \d+ s)? after its start: it has no DHCP", outcome.reason
            )
            assert outcome.diagnosis["verdict"] == "no-lease"
            assert outcome.started_at == 0
            assert machine.state is MachineState.FAILED

    asyncio.run(main())
