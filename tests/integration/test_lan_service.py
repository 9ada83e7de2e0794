"""Machines and a board on one LAN, worked by one service; and a daemon's port over a crash."""

import asyncio

import pytest
from crashes import crash
from lan_world import PORT, board, lan, network_state
from test_host_uplink import is_port

from taskgen.addresses import parse_hosts
from taskgen.errors import ConfigError
from taskgen.host.adoption import daemon_fleet
from taskgen.host.fleet_network import fleet_network
from taskgen.host.records import Kind, state_root
from taskgen.local_plan import FleetPlan
from taskgen.queue import JobSpec
from taskgen.service import Plan, service
from taskgen.settings import HostSettings, NetworkSettings, QemuSettings, Settings
from taskgen.task import Task
from taskgen.taskset import TaskSet

PATIENCE_S = 240


def plan(profile, hosts, **network):
    settings = Settings(
        network=NetworkSettings(uplink=PORT, **network),
        qemu=QemuSettings(accelerator="tcg"),
        hosts=HostSettings(connect_s=5.0, first_contact="trust"),
    )
    return Plan(
        machines=FleetPlan(profile=profile, settings=settings),
        hosts=parse_hosts(hosts),
        host_profile=profile,
        max_machines=1,
        settings=settings,
    )


@pytest.mark.parametrize("network", [{"namespace": ""}, {}], ids=["host", "namespace"])
def test_a_board_of_the_lan_and_a_machine_share_the_work(profile, network):
    """The range is all of the LAN, yet the fleet's own machine is no board."""
    periods = list(range(200, 260))  # work for longer than a machine takes to boot
    tasks = TaskSet([Task({"pkg": "hey", "period": periods, "numberofjobs": 2})])

    async def main():
        targets = set()
        async with service(plan(profile, "10.200.45.0/24", **network)) as work:
            while targets != {"taskgen-1", "10.200.45.200"}:
                job = await work.add_job(JobSpec(tasks))
                await work.wait_job(job)
                targets |= {a.outcome.target for a in await work.results_page(job, 0)}
            tried = {host.address: host.state for host in work.hosts.status()}
            assert "10.200.45.1" not in tried
            assert "10.200.45.254" not in tried

    async def limited():
        async with asyncio.timeout(PATIENCE_S):
            await main()

    with lan("10.200.45.200"), board("10.200.45.200"):
        before = network_state()
        asyncio.run(limited())
        assert network_state() == before


def test_hosts_that_are_the_fleets_own_machines_are_refused(profile):
    async def main():
        async with service(plan(profile, "10.200.45.3", namespace="")):
            pass

    with lan():
        before = network_state()
        with pytest.raises(ConfigError, match="addresses of the fleet's own machines"):
            asyncio.run(main())
        assert network_state() == before


@pytest.mark.parametrize("namespace", ["", "daemon"])
def test_a_dead_daemons_port_serves_the_next_one_and_is_given_back_by_that(network, namespace):
    async def main():
        directory = daemon_fleet(
            "daemon",
            namespace=namespace,
            machines=state_root() / "machines",
            network=network,
            uplink=PORT,
        )
        assert directory.adopted
        try:
            async with fleet_network(network, directory) as net:
                assert namespace or await asyncio.to_thread(is_port)
                with await net.open_tap(network.slot(1)):
                    pass
        finally:
            directory.close()

    with lan():
        before = network_state()
        crash("network", name="daemon", kind=Kind.DAEMON, namespace=namespace, wiring=[PORT])
        assert network_state() != before
        asyncio.run(main())
        assert network_state() == before
