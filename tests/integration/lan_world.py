"""A LAN behind a port of what plays the host: a namespace at the other end of a veth pair."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from pyroute2 import IPRoute
from pyroute2 import netns as pyroute2_netns

PORT, FAR, NAMESPACE = "eth9", "far0", "lan"
_INSIDE = ["nsenter", f"--net=/run/netns/{NAMESPACE}"]

_BOARD = """
import asyncio, sys
from taskgen.testing import FakeTaskloader

async def main():
    async with FakeTaskloader(host=sys.argv[1], port=3001):
        print("up", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@contextmanager
def lan(*addresses, up=True):
    """A LAN with a computer that has these addresses; the host's port to it is not up.

    :param up: whether that computer is switched on.
    """
    pyroute2_netns.create(NAMESPACE)
    try:
        with IPRoute() as ipr:
            ipr.link("add", ifname=PORT, kind="veth", peer={"ifname": FAR, "net_ns_fd": NAMESPACE})
        try:
            in_lan(_configure, addresses, up)
            yield
        finally:
            delete(PORT)
    finally:
        pyroute2_netns.remove(NAMESPACE)


def _configure(addresses, up):
    with IPRoute() as ipr:
        index = ipr.link_lookup(ifname=FAR)[0]
        for address in addresses:
            ipr.addr("add", index=index, address=address, prefixlen=24)
        if up:
            ipr.link("set", index=index, state="up")


def in_lan(function, *args):
    """Call a function on the LAN's computer."""

    def call():
        pyroute2_netns.setns(NAMESPACE)
        return function(*args)

    with ThreadPoolExecutor(1) as executor:  # its thread never comes back from there
        return executor.submit(call).result()


@contextmanager
def dhcp_server(tmp_path, *options):
    """Somebody else's DHCP server on the LAN."""
    command = [
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--port=0",
        "--user=root",
    ]
    files = [f"--dhcp-leasefile={tmp_path}/leases", f"--pid-file={tmp_path}/pid"]
    words = ["--log-facility=-", "--log-dhcp", f"--interface={FAR}", "--bind-interfaces"]
    with subprocess.Popen(
        [*_INSIDE, *command, *files, *words, *options], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            for line in process.stderr:
                if "DHCP, sockets bound" in line or "DHCP, static" in line or "IP range" in line:
                    break
            yield process
        finally:
            process.kill()


@contextmanager
def board(address):
    """A board that is simulated, on the LAN."""
    with subprocess.Popen(
        [*_INSIDE, sys.executable, "-c", _BOARD, address], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout.readline() == "up\n"
            yield
        finally:
            process.kill()


def change(name, **values):
    """Change a link of the host's."""
    with IPRoute() as ipr:
        ipr.link("set", index=ipr.link_lookup(ifname=name)[0], **values)


def delete(name):
    """Delete a link of the host's, if it is there."""
    with IPRoute() as ipr:
        for index in ipr.link_lookup(ifname=name):
            ipr.link("del", index=index)


@contextmanager
def hosts_bridge(name="br0", *, address=None, ports=()):
    """A bridge of the host's own."""
    with IPRoute() as ipr:
        ipr.link("add", ifname=name, kind="bridge", br_forward_delay=0)
        index = ipr.link_lookup(ifname=name)[0]
        try:
            ipr.link("set", index=index, state="up")
            if address:
                ipr.addr("add", index=index, address=address, prefixlen=24)
            for port in ports:
                change(port, master=index, state="up")
            yield
        finally:
            ipr.link("del", index=index)


def network_state():
    """All of the host's links, addresses and routes, as far as people set them."""
    with IPRoute() as ipr:
        names = {link["index"]: link.get_attr("IFLA_IFNAME") for link in ipr.get_links()}
        links = {
            (
                link.get_attr("IFLA_IFNAME"),
                link["flags"] & 1,
                link["flags"] & 0x100,  # promiscuous
                names.get(link.get_attr("IFLA_MASTER")),
                link.get_attr("IFLA_IFALIAS"),
            )
            for link in ipr.get_links()
        }
        addresses = {
            (names[a["index"]], a.get_attr("IFA_ADDRESS"), a["prefixlen"])
            for a in ipr.get_addr(family=2)
        }
        routes = {
            (r.get_attr("RTA_DST"), r["dst_len"], names.get(r.get_attr("RTA_OIF")))
            for r in ipr.get_routes(family=2)
        }
    return links, addresses, routes
