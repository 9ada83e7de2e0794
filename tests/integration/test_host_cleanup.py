"""``kill -9`` of the engine at each point of its life, then the clean-up."""

import os
import subprocess

import pytest
from crashes import crash, engine
from pyroute2 import IPRoute
from pyroute2 import netns as pyroute2_netns

from taskgen.host import netns
from taskgen.host.cleanup import down, leftovers, sweep
from taskgen.host.records import Kind, run_root

STAGES = ["empty directory", "no record", "record", "unfinished name", "namespace", "bridge"]


def devices():
    with IPRoute() as ipr:
        return {link.get_attr("IFLA_IFNAME") for link in ipr.get_links()}


@pytest.mark.parametrize("stage", [*STAGES, "network", "machines"])
def test_killed_at(stage):
    crash(stage)
    assert leftovers() == ["fleet crashed"]
    report = down()
    assert report.left == report.failed == []
    assert any("directory" in line for line in report.removed)
    assert len([line for line in report.removed if "qemu-system-x86_64" in line]) == (
        2 if stage == "machines" else 0
    )
    assert down().removed == []
    assert leftovers() == []


@pytest.mark.parametrize("stage", ["bridge", "newborn bridge", "network", "machines"])
def test_killed_in_the_hosts_own_namespace(stage):
    crash(stage, namespace="")
    assert devices() & {"br0"} or stage == "newborn bridge"
    report = down()
    assert report.left == report.failed == []
    assert any(line.startswith("bridge ") for line in report.removed)


def test_a_live_fleet_is_left_alone():
    with engine("network", name="alive", namespace="alive") as process:
        crash("network", name="dead", namespace="dead")
        report = down()
        assert report.left == [f"fleet alive: its engine lives (pid {process.pid})"]
        assert netns.exists("alive")
        assert not netns.exists("dead")
        assert (run_root() / "alive/fleet.json").exists()
    down()


def test_a_dead_daemons_fleet_is_not_swept(server):
    crash("network", name="daemon", kind=Kind.DAEMON, namespace="daemon", server=server)
    crash("network", name="embedded", namespace="embedded", server=server)
    report = sweep()
    assert report.left == report.failed == []
    assert netns.exists("daemon")
    assert not netns.exists("embedded")
    assert any("(dnsmasq)" in line or "(dhcpd)" in line for line in down().removed)


def test_what_others_made_stays():
    pyroute2_netns.create("theirs")
    other = subprocess.Popen(
        [
            *["qemu-system-x86_64", "-machine", "none", "-display", "none", "-S"],
            *["-uuid", "11111111-2222-3333-4444-555555555555"],
        ]
    )
    foreign = run_root() / "not-a-fleet"
    try:
        # Our record names it, yet it does not bear our mark: the engine died on finding it busy.
        crash("record", namespace="theirs")
        foreign.mkdir(exist_ok=True)
        (foreign / "file").touch()
        report = down()
        assert report.left == report.failed == []
        assert netns.exists("theirs")
        assert (foreign / "file").exists()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
        pyroute2_netns.remove("theirs")
        (foreign / "file").unlink()
        foreign.rmdir()
        run_root().rmdir()


def test_record_of_another_version_is_left_and_told():
    crash("record")
    record = run_root() / "crashed/fleet.json"
    good = record.read_text()
    record.write_text(good.replace('"version": 1', '"version": 2'))
    report = down()
    assert report.removed == []
    assert "written by another version of Taskgen" in report.failed[0]
    record.write_text(good)
    assert down().failed == []


def test_a_second_fleet_of_the_same_name_after_the_clean_up():
    for _ in range(2):
        crash("network")
        assert down().failed == []
    assert os.listdir("/run/netns") == []
