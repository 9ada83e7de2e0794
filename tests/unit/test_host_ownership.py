"""Which processes are ours."""

from pathlib import Path

import pytest

from taskgen.host.cleanup import is_ours

UUID = "11111111-2222-3333-4444-555555555555"
CONFIG = Path("/run/taskgen/one/dnsmasq.conf")
FLEET = "0123456789abcdef0123456789abcdef"
LEASES = f"/var/lib/dhcp/dhcpd.leases.{FLEET}"


@pytest.mark.parametrize(
    "argv",
    [
        ["qemu-system-x86_64", "-name", "x", "-uuid", UUID, "-m", "96"],
        ["/usr/bin/qemu-system-arm", "-uuid", UUID],
        ["dnsmasq", "--keep-in-foreground", f"--conf-file={CONFIG}"],
        ["/usr/sbin/dnsmasq", f"--conf-file={CONFIG}"],
        ["/usr/sbin/dhcpd", "-f", "-lf", LEASES, "br0"],
        ["setpriv", "--clear-groups", "/usr/sbin/dhcpd", "-f", "-lf", LEASES, "br0"],
        [
            "/usr/bin/python3",
            "-I",
            "-S",
            "-c",
            "…",
            "/opt",
            "taskgen-keeper",
            FLEET,
            "/consoles",
            "9",
        ],
    ],
)
def test_ours(argv):
    assert is_ours(argv, {UUID}, CONFIG, FLEET)


@pytest.mark.parametrize(
    "argv",
    [
        [],
        [""],
        ["qemu-system-x86_64"],
        ["qemu-system-x86_64", "-uuid"],
        ["qemu-system-x86_64", "-uuid", UUID[:-1] + "6"],
        ["qemu-system-x86_64", "-name", UUID],
        ["qemu-system-x86_64", "-name", f"-uuid {UUID}"],
        ["grep", "-uuid", UUID],
        ["vim", str(CONFIG)],
        ["dnsmasq"],
        ["dnsmasq", "--conf-file=/run/taskgen/two/dnsmasq.conf"],
        ["dnsmasq", f"--conf-file={CONFIG}.bak"],
        ["grep", f"--conf-file={CONFIG}"],
        ["dhcpd", "-lf", "/var/lib/dhcp/dhcpd.leases", "br0"],
        ["dhcpd", "-lf", LEASES[:-1], "br0"],
        ["cat", LEASES],
        ["python3", "-c", "…", "/opt", "taskgen-keeper", FLEET[:-1] + "0", "/consoles", "9"],
        ["python3", "-c", "…", "taskgen-keeper", "/consoles", FLEET],
        ["grep", "taskgen-keeper", FLEET],
    ],
)
def test_not_ours(argv):
    assert not is_ours(argv, {UUID}, CONFIG, FLEET)


def test_no_machine_no_match():
    assert not is_ours(["qemu-system-x86_64", "-uuid", UUID], set(), CONFIG, FLEET)
