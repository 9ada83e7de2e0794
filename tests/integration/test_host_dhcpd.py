"""What is ISC's dhcpd's alone: its world of its own, and its files there."""

import asyncio
import os
import subprocess
from pathlib import Path

import pytest
from host_tools import dhcp_exchange, fleet, status
from programs import needed

from taskgen.errors import HostError
from taskgen.host import dhcpd
from taskgen.host.accounts import account
from taskgen.host.records import run_root
from taskgen.settings import DhcpChoice

ISC = DhcpChoice.ISC


@pytest.fixture(autouse=True, scope="module")
def program():
    needed("dhcpd")


def host_files():
    """What the host's own dhcpd would have."""
    places = [Path("/etc/dhcp"), Path("/var/lib/dhcp")]
    return {
        file: file.stat().st_mtime_ns for place in places for file in [place, *place.rglob("*")]
    }


def test_several_fleets_have_one_at_the_same_time_and_the_hosts_files_stay(network):
    before = host_files()

    async def main():
        slot = network.slot(1)
        async with (
            fleet(network, server=ISC) as (_, one),
            fleet(network, server=ISC) as (_, two),
            fleet(network) as (_, three),
        ):
            for net in (one, two, three):
                with await net.open_tap(slot) as tap:
                    assert await dhcp_exchange(tap, slot.mac) == str(slot.address)
                    assert (await net.wait_lease(slot, 60)).address == slot.address
            for net, other in ((one, two), (two, one)):
                assert sees(net, run_root()) == []
                assert {*sees(net, "/etc/dhcp")} == {"dhcpd.conf", "dhcpd.log", "leases"}
                [lease_file] = {each.partition("~")[0] for each in leases_of(net)}
                assert lease_file == net.leases.path.name != other.leases.path.name

    asyncio.run(main())
    assert host_files() == before


def sees(net, path):
    return os.listdir(f"/proc/{net.dhcp.process.pid}/root{path}")


def leases_of(net):
    return [name for name in sees(net, "/var/lib/dhcp") if not name.endswith(".pid")]


def test_it_has_no_more_rights_than_debians_apparmor_profile_leaves_it(network):
    async def main():
        async with fleet(network, server=ISC) as (_, net):
            with await net.open_tap(network.slot(1)) as tap:  # it is ready a little before
                assert await dhcp_exchange(tap, network.slot(1).mac)
            about = status(net.dhcp.process.pid)
            assert about["Groups"] == ""
            assert int(about["CapEff"], 16) == 0
            # linux/capability.h: chown, setgid, setuid, net_bind_service, net_raw
            assert int(about["CapBnd"], 16) == sum(1 << n for n in (0, 6, 7, 10, 13))

    asyncio.run(main())


#: What dhcpd does with its lease file each hour.
_REWRITE = """
set -e; cd "$1"
cp "$2" "$2.1795426766"; rm -f "$2~"; ln "$2" "$2~"; mv "$2.1795426766" "$2"
"""


def test_it_may_write_its_lease_file_anew(network):
    async def main():
        user = account(dhcpd.DHCPD_USER)
        async with fleet(network, server=ISC) as (_, net):
            path = net.leases.path
            await asyncio.to_thread(
                subprocess.run,
                ["sh", "-c", _REWRITE, "sh", path.parent, path.name],
                check=True,
                user=user.uid,
                group=user.gid,
                extra_groups=(),
            )

    asyncio.run(main())


def test_a_link_that_was_laid_for_it_is_removed_before_it_starts_again_as_root(network, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("ours")

    async def main():
        async with fleet(network, server=ISC) as (_, net):
            path, process = net.leases.path, net.dhcp.process
            for name in (path.name, f"{path.name}.pid", f"{path.name}.1795426766"):
                (path.parent / name).unlink(missing_ok=True)
                (path.parent / name).symlink_to(precious)
            answers = asyncio.Event()
            net.dhcp.on_answer(answers.set)
            net.dhcp.restart("a test wants it")
            async with asyncio.timeout(60):
                await answers.wait()
            assert net.dhcp.process.pid != process.pid
            assert path.is_file()
            assert not any(file.is_symlink() for file in path.parent.iterdir())

    asyncio.run(main())
    assert precious.read_text() == "ours"
    assert precious.stat().st_uid == 0


def test_without_its_user_it_is_not_started(network, monkeypatch):
    monkeypatch.setattr(dhcpd, "DHCPD_USER", "nobody-of-that-name")

    async def main():
        async with fleet(network, server=ISC):
            pass

    with pytest.raises(HostError, match="no user 'nobody-of-that-name'"):
        asyncio.run(main())
