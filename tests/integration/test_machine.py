"""Real machines, from their launch to the last event of a task-set."""

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from host_tools import fleet

from taskgen.binaries import Binaries
from taskgen.errors import BootError, MachineDiedError
from taskgen.host.qemu_command import Accelerator
from taskgen.interfaces import FailureClass, Run, SessionSettings
from taskgen.lifecycle import MachineState
from taskgen.machine import Machine
from taskgen.machine_kind import MachineKind
from taskgen.task import Task
from taskgen.taskset import TaskSet


@asynccontextmanager
async def booted(profile, network, number=1):
    """A machine that is ready."""
    async with fleet(network) as (directory, net):
        machine = Machine(network.slot(number), kind_of(profile), net, directory)
        try:
            await machine.start()
            yield machine
        finally:
            await machine.stop()


def kind_of(profile):
    return MachineKind(
        profile=profile,
        accelerator=Accelerator.TCG,
        binaries=Binaries([profile.binaries], profile.architecture),
    )


def run_of(*tasks, **settings):
    return Run(
        id="run",
        job_id="job",
        variant=TaskSet(tasks).variants()[0],
        attempt=1,
        settings=SessionSettings(**{"slack_s": 60.0, **settings}),
    )


def perform(profile, network, *tasks, says=(), **settings):
    """The outcome of one run.

    :param says: regular expressions for lines of the guest's console, which may come late.
    """

    async def main():
        async with booted(profile, network) as machine:
            outcome = await machine.execute(run_of(*tasks, **settings), lambda event: None)
            assert machine.state is MachineState.READY
            for pattern in says:
                console = machine.qemu.console
                assert await console.wait_for(pattern, 30), f"{pattern}: {console.tail(200)}"
            return outcome

    outcome = asyncio.run(main())
    assert outcome.failure is None, outcome.reason
    return outcome


def exits(outcome, task_id=1):
    return [a.exit for a in outcome.activations if a.task_id == task_id]


def test_a_machine_gets_a_lease_answers_and_runs_a_task_set_to_its_end(profile, network):
    outcome = perform(profile, network, Task(pkg="hey", period=300, numberofjobs=5))
    assert exits(outcome) == ["EXIT"] * 5
    assert outcome.events[-1].type == "JOBS_DONE"
    assert [a.release_us for a in outcome.activations] == [300_000 * n for n in range(1, 6)]
    assert all(a.cpu_us > 0 for a in outcome.activations)
    assert outcome.provenance["accelerator"] == "tcg"
    assert outcome.provenance["profile"] == "linux-x86_64"


def test_runs_follow_each_other_on_one_machine_and_uploads_stay(profile, network):
    async def main():
        async with booted(profile, network) as machine:
            for number in range(3):
                outcome = await machine.execute(
                    run_of(Task(pkg="hey", period=400, numberofjobs=2)), lambda event: None
                )
                assert exits(outcome) == ["EXIT"] * 2
                assert outcome.provenance["runs_since_boot"] == number
            uploads = machine.qemu.console.tail(200).count("binary hey")
            assert uploads == 1

    asyncio.run(main())


def test_the_critical_time_kills(profile, network):
    spinner = Task(pkg="idle", config={"arg1": 0}, period=400, criticaltime=100, numberofjobs=2)
    outcome = perform(profile, network, spinner)
    assert exits(outcome) == ["EXIT_CRITICAL"] * 2
    for activation in outcome.activations:
        assert 100_000 <= activation.end_us - activation.start_us < 400_000
        assert activation.missed is True


def test_the_next_release_kills_and_starts_nothing(profile, network):
    spinner = Task(pkg="idle", config={"arg1": 0}, period=100, numberofjobs=2)
    outcome = perform(profile, network, spinner)
    assert exits(outcome) == ["EXIT_PERIOD"] * 2
    assert [a.release_us for a in outcome.activations] == [100_000, 300_000]


def test_more_memory_than_the_quota_is_out_of_quota(profile, network):
    greedy = Task(pkg="hog", config={"arg1": 8}, quota="2M", period=2000, numberofjobs=2)
    frugal = Task(pkg="hog", config={"arg1": 8}, quota="16M", period=2000, numberofjobs=2)
    outcome = perform(profile, network, greedy, frugal)
    assert exits(outcome, 1) == ["OUT_OF_QUOTA"] * 2
    assert exits(outcome, 2) == ["EXIT"] * 2


def test_an_exit_value_other_than_zero_is_an_error(profile, network):
    failing = Task(pkg="idle", config={"arg1": 1, "arg2": 3}, period=0)
    outcome = perform(profile, network, failing)
    assert exits(outcome) == ["EXIT_ERROR"]


@pytest.mark.parametrize(("first", "second"), [(10, 20), (20, 10)])
def test_the_smaller_priority_runs_first_on_one_core(profile, network, first, second):
    load = {"pkg": "idle", "config": {"arg1": 60}, "period": 0, "offset": 50}
    outcome = perform(profile, network, Task(load, priority=first), Task(load, priority=second))
    by_end = [a.task_id for a in sorted(outcome.activations, key=lambda a: a.end_us)]
    assert by_end == ([1, 2] if first < second else [2, 1])
    urgent, other = sorted(outcome.activations, key=lambda a: a.end_us)
    # Both need 60 ms: the one waits until the other is through.
    assert other.end_us >= urgent.end_us + 55_000


def test_a_deadline_is_sched_deadline_in_the_guest(profile, network):
    edf = Task(pkg="hey", executiontime=100, deadline=1900, period=2000, numberofjobs=2)
    kernel_says = "task 1 hey: SCHED_DEADLINE runtime 100000us deadline 1900000us period 2000000us"
    outcome = perform(profile, network, edf, says=[kernel_says])
    assert exits(outcome) == ["EXIT"] * 2


def test_neither_is_sched_other_and_a_priority_is_sched_fifo(profile, network):
    perform(
        profile,
        network,
        Task(pkg="hey", period=0),
        Task(pkg="hey", period=0, priority=7),
        Task(pkg="hey", period=0, priority=0),
        says=[
            "task 1 hey: SCHED_OTHER",
            "task 2 hey: SCHED_FIFO priority 96",
            "task 3 hey: SCHED_FIFO priority 97",
        ],
    )


def test_admission_control_refuses_what_does_not_fit_and_says_why(profile, network):
    fits = Task(pkg="hey", executiontime=300, deadline=500, period=500, numberofjobs=2)
    outcome = perform(
        profile,
        network,
        fits,
        Task(pkg="hey", executiontime=300, deadline=500, period=500, numberofjobs=2),
        Task(pkg="hey", executiontime=0, deadline=250, period=500, numberofjobs=2),
        Task(pkg="hey", executiontime=50, deadline=750, period=500, numberofjobs=2),
        says=[
            "task 2 hey: not scheduled: it does not fit",
            "task 3 hey: not scheduled: a deadline without an executiontime",
            "task 4 hey: not scheduled: deadline 750ms over period 500ms",
        ],
    )
    assert exits(outcome, 1) == ["EXIT"] * 2
    for refused in (2, 3, 4):
        assert set(exits(outcome, refused)) == {"NOT_SCHEDULED"}


def test_a_set_that_never_ends_is_stopped_after_its_duration(profile, network):
    endless = Task(pkg="idle", config={"arg1": 0}, period=60_000, numberofjobs=0)
    often = Task(pkg="hey", period=50, numberofjobs=0)
    outcome = perform(profile, network, endless, often, duration_s=1.0)
    assert len(exits(outcome, 2)) >= 5


def test_a_machine_that_dies_in_mid_run_is_an_outcome_of_its_own(profile, network):
    async def main():
        async with booted(profile, network) as machine:
            spinner = run_of(Task(pkg="idle", config={"arg1": 0}, period=0))

            def kill(event):
                machine.qemu.process.signal(9)

            outcome = await machine.execute(spinner, kill)
            assert outcome.failure is FailureClass.MACHINE
            assert "taskgen-1: QEMU killed by SIGKILL" in outcome.reason
            assert "listening on port 3001" in outcome.console
            assert machine.state is MachineState.FAILED

    asyncio.run(main())


def test_two_machines_have_their_own_addresses(profile, network):
    async def main():
        async with fleet(network) as (directory, net):
            machines = [Machine(network.slot(n), kind_of(profile), net, directory) for n in (1, 7)]
            try:
                await asyncio.gather(*(machine.start() for machine in machines))
                leases = {str(lease.address): lease.mac for lease in net.leases.all().values()}
                assert leases == {
                    "10.200.45.1": "0a:06:00:00:00:01",
                    "10.200.45.7": "0a:06:00:00:00:07",
                }
            finally:
                await asyncio.gather(*(machine.stop() for machine in machines))

    asyncio.run(main())


def test_too_little_memory_is_told_as_the_likely_cause(profile, network):
    async def main():
        quiet = replace(profile, memory_mb=40, silent_s=4.0)
        async with fleet(network) as (directory, net):
            machine = Machine(network.slot(1), kind_of(quiet), net, directory)
            with pytest.raises((BootError, MachineDiedError)) as caught:
                await machine.start()
            await machine.stop()
            return caught.value

    error = asyncio.run(main())
    assert re.search(r"taskgen-1: no console output for \d+ s after start", str(error))
    assert "may need more memory (-m)" in str(error)


def test_a_silent_guest_is_told_also_where_its_slot_has_a_lease_without_end(profile, network):
    network = replace(network, lease_time_s="infinite")

    async def main():
        quiet = replace(profile, memory_mb=40, silent_s=4.0, boot_timeout_s=100.0)
        async with fleet(network) as (directory, net):
            first = Machine(network.slot(1), kind_of(profile), net, directory)
            await first.start()
            await first.stop()
            machine = Machine(network.slot(1), kind_of(quiet), net, directory)
            with pytest.raises((BootError, MachineDiedError)) as caught:
                await machine.start()
            await machine.stop()
            return caught.value

    error = str(asyncio.run(main()))
    assert re.search(r"taskgen-1: no console output for \d+ s after start", error)
    assert "may need more memory (-m)" in error


def test_a_guest_whose_clock_goes_wrong_never_gets_ready_and_says_so(profile, network):
    """As if its kernel had measured the TSC wrongly, each time."""

    async def main():
        fast = replace(profile, append=profile.append + " tsc_early_khz=500000", boot_timeout_s=15)
        async with fleet(network) as (directory, net):
            machine = Machine(network.slot(1), kind_of(fast), net, directory)
            with pytest.raises(BootError) as raised:
                await machine.start()
            said = machine.qemu.console.tail()
            await machine.stop()
        assert "it has no DHCP lease" in raised.value.message
        assert "the clock and the ACPI timer differ by more than 1 %: booting anew" in said

    asyncio.run(main())


def test_a_guest_without_a_network_is_told_with_how_far_it_got(profile, network):
    async def main():
        deaf = replace(
            profile, append=profile.append + " rdinit=/bin/sh", boot_timeout_s=8.0, silent_s=8.0
        )
        async with fleet(network) as (directory, net):
            machine = Machine(network.slot(1), kind_of(deaf), net, directory)
            with pytest.raises((BootError, MachineDiedError)) as caught:
                await machine.start()
            await machine.stop()
            return caught.value

    error = asyncio.run(main())
    assert "taskgen-1" in str(error)


def test_a_run_that_is_cancelled_amid_the_first_upload_does_not_cost_the_machine(profile, network):
    async def main():
        async with booted(profile, network) as machine:
            run = run_of(Task(pkg="hey", period=2000, numberofjobs=2))
            running = asyncio.create_task(machine.execute(run, lambda event: None))
            for _ in range(5):  # turns of the loop, in which it begins to talk to the guest
                await asyncio.sleep(0)
            assert machine.state is MachineState.RUNNING
            running.cancel()
            await asyncio.wait([running])
            assert running.cancelled()
            assert machine.state is MachineState.READY
            outcome = await machine.execute(run, lambda event: None)
            assert (outcome.failure, exits(outcome)) == (None, ["EXIT"] * 2)
            assert outcome.provenance["runs_since_boot"] == 1

    asyncio.run(main())
