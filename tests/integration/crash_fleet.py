"""Builds a fleet up to a stage, says so, and waits to be killed. Run by crashes.py."""

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from host_tools import available, machine
from pyroute2 import IPRoute

from taskgen import assets
from taskgen.host import netns
from taskgen.host.adoption import daemon_fleet
from taskgen.host.bridge import _name_at_birth
from taskgen.host.fleet_directory import FleetDirectory
from taskgen.host.fleet_network import fleet_network
from taskgen.host.link_keeper import fleet_links
from taskgen.host.netns import Namespace
from taskgen.host.records import Kind, run_root, state_root
from taskgen.profiles import load_profile
from taskgen.settings import DhcpChoice
from taskgen.slots import load_network


async def main(stage, name, kind, namespace, server, *wiring):
    network = load_network(assets.root() / "network" / "network.toml")
    if stage == "empty directory":
        (run_root() / name).mkdir(parents=True)
        await killed()
    uplink, existing = wiring[0] if wiring else "", len(wiring) > 1
    if kind == Kind.DAEMON:
        directory = daemon_fleet(
            name,
            namespace=namespace,
            machines=state_root() / "machines",
            network=network,
            uplink=uplink,
            existing_bridge=existing,
        )
    else:
        directory = FleetDirectory.create(
            name,
            kind=Kind(kind),
            namespace=namespace,
            uplink=uplink,
            existing_bridge=existing,
        )
    mark = directory.record.mark
    async with AsyncExitStack() as stack:
        if stage == "no record":
            (directory.path / "fleet.json").rename(directory.path / "fleet.json.new")
        elif stage == "unfinished name":
            netns.DIRECTORY.mkdir(exist_ok=True)
            (netns.DIRECTORY / namespace).touch(mode=0)
        elif stage == "namespace":
            await Namespace.create(namespace, mark=mark)
        elif stage == "bridge":
            inside = await Namespace.create(namespace, mark=mark)
            await stack.enter_async_context(fleet_links(network, inside, mark=mark))
        elif stage == "newborn bridge":
            await asyncio.to_thread(bear_bridge, mark)
        elif stage in ("network", "machines", "booted"):
            net = await stack.enter_async_context(
                fleet_network(network, directory, server=DhcpChoice(server))
            )
            for number in {"network": (), "machines": (1, 2), "booted": (1,)}[stage]:
                await stack.enter_async_context(
                    machine(load_profile("linux-x86_64"), directory, net, number)
                )
            if stage == "booted":
                lease = await net.wait_lease(network.slot(1), 60)
                assert await available(net, lease.address, 60)
        await killed()


def bear_bridge(mark):
    with IPRoute() as ipr:
        ipr.link("add", ifname=_name_at_birth(mark), kind="bridge")


async def killed():
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    asyncio.run(main(*sys.argv[1:]))
