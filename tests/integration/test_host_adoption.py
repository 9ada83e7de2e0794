"""The next daemon goes on with what the last one left, in whatever state that is."""

import asyncio
import json
import os
import shutil
import signal
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from crashes import HERE, crash, engine
from host_tools import available
from programs import needed
from pyroute2 import IPRoute
from pyroute2 import netns as pyroute2_netns

from taskgen.errors import NamespaceBusyError
from taskgen.host import netns
from taskgen.host.adoption import daemon_fleet
from taskgen.host.cleanup import down, leftovers
from taskgen.host.command_lines import argv_of, end_all, is_qemu
from taskgen.host.fleet_network import fleet_network
from taskgen.host.output import output_of
from taskgen.host.process import adopt
from taskgen.host.records import Kind, machine_records, run_root, state_root
from taskgen.problems import Problems
from taskgen.settings import DhcpChoice

NAME = "daemon"
DAEMON = {"name": NAME, "kind": Kind.DAEMON, "namespace": NAME}
LIMIT_S = 60


@pytest.fixture
def machines():
    """The directory of machines in the state, which each test leaves as it was: not there."""
    path = state_root() / "machines"
    yield path
    assert not path.exists()


def claim(network, machines):
    return daemon_fleet(NAME, namespace=NAME, machines=machines, network=network)


@asynccontextmanager
async def next_daemon(network, machines, *, server=DhcpChoice.DNSMASQ, keep=lambda: False):
    """The fleet, its network and its machines, as a daemon finds them; ended unless kept."""
    directory = claim(network, machines)
    problems = Problems()
    qemus = []
    try:
        async with fleet_network(network, directory, problems, server=server, keep=keep) as net:
            for record in directory.machine_records():
                qemu = await adopt(
                    record.name,
                    lambda argv, uuid=record.uuid: is_qemu(argv, {uuid}),
                    output=directory.machine(record.name) / "qemu.log",
                )
                if qemu:
                    qemus.append(qemu)
            yield directory, net, qemus
            for qemu in qemus:
                if keep():
                    qemu.release()
                else:
                    await qemu.stop()
    finally:
        if keep():
            directory.release()
        else:
            directory.close()


def inside(function, name=NAME):
    """Call a function in the fleet's namespace, as an administrator would."""

    async def main():
        namespace = await netns.Namespace.adopt(name, mark=netns.owner_mark(name))
        try:
            return await namespace.run(function)
        finally:
            await namespace.close(keep=True)

    return asyncio.run(main())


def bridge_index():
    with IPRoute() as ipr:
        return ipr.link_lookup(ifname="br0")[0]


def delete_bridge():
    with IPRoute() as ipr:
        ipr.link("del", index=bridge_index())


def server_pid():
    [file] = (run_root() / NAME).glob("**/*.pid")
    return int(file.read_text())


def kill(pid):
    descriptor = os.pidfd_open(pid)
    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    os.close(descriptor)


def test_machine_bridge_server_and_lease_are_taken_over_as_they_are(
    network, machines, profile, server
):
    crash("booted", **DAEMON, server=server)
    slot, pid, bridge = network.slot(1), server_pid(), inside(bridge_index)

    async def main():
        async with next_daemon(network, machines, server=server) as (directory, net, [qemu]):
            assert directory.adopted
            assert directory.record.pid == os.getpid()
            assert await net.adopt_tap(slot, qemu.pid)
            lease = await net.wait_lease(slot, 0.01)
            assert lease.address == slot.address
            assert await available(net, lease.address, LIMIT_S)
            assert net.dhcp.process.pid == pid
            assert net.dhcp.process.adopted
            assert await net.namespace.run(bridge_index) == bridge
            net.let_tap_go(slot)
            ended = await qemu.stop()
            assert ended.code is None
            directory.remove_machine(slot.name)
            assert directory.machine_records() == []

    asyncio.run(main())


def test_what_is_kept_is_there_for_the_next_and_the_next(network, machines, server):
    seen = set()

    async def life(keep):
        async with next_daemon(network, machines, server=server, keep=lambda: keep) as (
            directory,
            net,
            _,
        ):
            inode = await net.namespace.run(os.stat, "/proc/thread-self/ns/net")
            index = await net.namespace.run(bridge_index)
            seen.add((inode.st_ino, index, net.dhcp.process.pid, directory.record.id))
            assert netns.owner_mark(NAME) == directory.record.mark

    for keep in (True, True, False):
        asyncio.run(life(keep))
    assert len(seen) == 1
    asyncio.run(output_of(["true"]))  # the server was a child of ours, let go: so it is reaped
    assert not netns.exists(NAME)


def break_server():
    kill(server_pid())


def break_bridge():
    inside(delete_bridge)


def break_lease_file():
    for file in (run_root() / NAME).glob("**/*.leases*"):
        if file.suffix != ".pid":
            file.unlink()


@pytest.mark.parametrize("harm", [break_server, break_bridge, break_lease_file])
def test_what_broke_while_no_daemon_looked_is_mended(network, machines, profile, harm, server):
    crash("booted", **DAEMON, server=server)
    slot, pid = network.slot(1), server_pid()
    harm()

    async def main():
        async with next_daemon(network, machines, server=server) as (_, net, [qemu]):
            assert await net.adopt_tap(slot, qemu.pid)
            assert net.dhcp.process.pid != pid
            lease = await net.wait_lease(slot, 0.01)
            assert await available(net, lease.address, LIMIT_S)
            net.let_tap_go(slot)

    asyncio.run(main())


def test_with_the_other_server_machines_and_leases_go_on(network, machines, profile, server):
    needed("dhcpd")
    [after] = set(DhcpChoice) - {server}
    crash("booted", **DAEMON, server=server)
    slot, pid = network.slot(1), server_pid()

    async def main():
        async with next_daemon(network, machines, server=after) as (_, net, [qemu]):
            assert argv_of(pid) == ()
            assert await net.adopt_tap(slot, qemu.pid)
            lease = await net.wait_lease(slot, 0.01)
            assert await available(net, lease.address, LIMIT_S)
            assert net.dhcp.program.leases.read(net.leases.path.read_text()).leases == {
                slot.mac: lease
            }
            net.let_tap_go(slot)

    asyncio.run(main())


def test_an_adopted_server_that_is_killed_is_started_again(network, machines, server):
    crash("network", **DAEMON, server=server)

    async def main():
        problems = Problems()
        told = asyncio.Queue()
        problems.on_change(lambda key, problem: told.put_nowait((key, problem)))
        directory = claim(network, machines)
        try:
            async with fleet_network(network, directory, problems, server=server) as net:
                assert net.dhcp.process.adopted
                kill(net.dhcp.process.pid)
                async with asyncio.timeout(LIMIT_S):
                    key, problem = await told.get()
                    assert key == "dhcp"
                    assert f"{net.dhcp.program.name}: ended with an unknown status" in problem.text
                    assert await told.get() == ("dhcp", None)
                assert not net.dhcp.process.adopted
        finally:
            directory.close()

    asyncio.run(main())


def test_a_machine_whose_namespace_has_lost_its_name_cannot_be_reached(network, machines):
    crash("machines", **DAEMON)
    pyroute2_netns.remove(str(netns.DIRECTORY / NAME))

    async def main():
        async with next_daemon(network, machines) as (_, net, qemus):
            assert len(qemus) == 2
            for number, qemu in enumerate(qemus, start=1):
                assert not await net.adopt_tap(network.slot(number), qemu.pid)
            assert not net.dhcp.process.adopted

    asyncio.run(main())


def test_anothers_process_is_no_tap_of_the_slot(network, machines):
    crash("machines", **DAEMON)

    async def main():
        async with next_daemon(network, machines) as (_, net, [_, second]):
            assert not await net.adopt_tap(network.slot(1), second.pid)
            assert not await net.adopt_tap(network.slot(1), os.getpid())

    asyncio.run(main())


def test_a_live_daemons_fleet_is_not_taken(network, machines):
    with engine("network", **DAEMON):
        with pytest.raises(NamespaceBusyError, match="another taskgen daemon is running"):
            claim(network, machines)
        # Nor are its machines, by a daemon of another name.
        with pytest.raises(NamespaceBusyError, match="in use"):
            daemon_fleet("other", namespace="other", machines=machines, network=network)
        assert not (run_root() / "other").exists()
    down()


def test_a_fleet_of_another_network_is_removed_and_made_anew(network, machines):
    crash("machines", **DAEMON)
    directory = claim(replace(network, slots=3), machines)
    assert not directory.adopted
    assert directory.machine_records() == []
    assert not netns.exists(NAME)
    directory.close()


def test_after_a_reboot_the_stale_machines_are_removed(network, machines):
    crash("machines", **DAEMON)
    down_but_for_the_state(machines)
    assert (machines / "taskgen-1").is_dir()
    directory = claim(network, machines)
    assert not directory.adopted
    assert [path.name for path in machines.iterdir()] == ["fleet.json"]
    directory.close()


def down_but_for_the_state(machines):
    """What a reboot does: all is gone that is not in the state."""
    kept = machines.with_name("kept")
    shutil.copytree(machines, kept, ignore=shutil.ignore_patterns("*.sock"))
    assert down().failed == []
    kept.rename(machines)


def test_without_its_directory_in_run_a_fleet_is_still_known_and_removed(network, machines, server):
    crash("machines", **DAEMON, server=server)
    shutil.rmtree(run_root())
    directory = claim(network, machines)
    assert not directory.adopted
    assert not netns.exists(NAME)
    directory.close()


def test_torn_records_are_removed(network, machines):
    crash("machines", **DAEMON)
    assert down_processes() == 2
    (machines / "taskgen-1.json").write_text('{"name": "task')

    async def main():
        async with next_daemon(network, machines) as (directory, _, qemus):
            assert qemus == []
            assert [record.name for record in directory.machine_records()] == ["taskgen-2"]
            assert not (machines / "taskgen-1").exists()

    asyncio.run(main())


def down_processes():
    uuids = {record.uuid for record in machine_records(state_root() / "machines")}
    return len(end_all(lambda argv: is_qemu(argv, uuids)))


def test_down_removes_a_dead_daemons_machines_and_nothing_else_of_its_state(network, machines):
    crash("machines", **DAEMON)
    queue = state_root() / "queue.sqlite"
    queue.write_text("results")
    assert leftovers() == ["fleet daemon (of a daemon: the next one goes on with it)"]
    report = down()
    assert report.left == report.failed == []
    assert len([line for line in report.removed if "qemu-system-x86_64" in line]) == 2
    assert queue.read_text() == "results"
    queue.unlink()


@pytest.fixture
def taskgend(tmp_path):
    """The program under the name of the daemon."""
    path = tmp_path / "taskgend"
    path.symlink_to(HERE / "crash_fleet.py")
    return path


def test_force_ends_a_living_daemon_and_removes_its_fleet(network, machines, taskgend):
    with engine("machines", **DAEMON, script=taskgend) as process:
        assert down().left == [f"fleet daemon: its engine lives (pid {process.pid})"]
        assert machines.exists()
        report = down(force=True, force_s=LIMIT_S)
        assert report.left == report.failed == []
        assert f"daemon, process {process.pid}" in report.removed
        assert process.wait() == -signal.SIGTERM


@pytest.mark.parametrize("kind", Kind)
def test_force_leaves_alone_what_is_no_daemon(network, machines, taskgend, kind):
    """Its record says so, or its command line does not."""
    script = taskgend if kind is Kind.EMBEDDED else None
    with engine("network", **{**DAEMON, "kind": kind}, script=script) as process:
        report = down(force=True)
        assert report.removed == report.failed == []
        assert report.left == [f"fleet daemon: its engine lives (pid {process.pid})"]
        assert process.poll() is None
    down()


def test_force_does_not_end_whoever_has_the_number_now(network, machines, taskgend):
    """The number in a dead daemon's record is that of a daemon of another fleet."""
    crash("network", **DAEMON)
    with engine("network", name="other", namespace="other", script=taskgend) as other:
        record = run_root() / NAME / "fleet.json"
        said = json.loads(record.read_text())
        record.write_text(json.dumps({**said, "pid": other.pid}))
        report = down(force=True)
        assert report.left == [f"fleet other: its engine lives (pid {other.pid})"]
        assert f"directory {run_root() / NAME}" in report.removed
        assert other.poll() is None
    down()
