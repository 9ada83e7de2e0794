"""What memory there is for machines: the host's, or what control groups leave of it."""

import pytest

from taskgen.errors import HostError
from taskgen.host.memory import RESERVE_MB, host_memory_mb, memory_for_machines_mb

GIB = 2**30


@pytest.fixture
def host(tmp_path):
    """``/proc`` and ``/sys/fs/cgroup`` of a host with 8 GiB and no control groups."""
    proc, cgroups = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text("MemTotal:        8388608 kB\nMemFree:  10 kB\n")
    cgroups.mkdir()
    return proc, cgroups


def limit(group, file, value):
    group.mkdir(parents=True, exist_ok=True)
    (group / file).write_text(f"{value}\n")


def test_without_control_groups_it_is_the_hosts(host):
    assert host_memory_mb(*host) == 8192


def test_the_tightest_limit_of_its_group_and_those_around_it_counts(host):
    proc, cgroups = host
    (proc / "self" / "cgroup").write_text("0::/system.slice/taskgend.service\n")
    group = cgroups / "system.slice" / "taskgend.service"
    limit(group, "memory.max", "max")
    assert host_memory_mb(*host) == 8192
    limit(group.parent, "memory.max", 4 * GIB)
    assert host_memory_mb(*host) == 4096
    limit(group, "memory.max", 2 * GIB)
    assert host_memory_mb(*host) == 2048
    limit(group, "memory.high", GIB)  # above it processes are slowed down
    assert host_memory_mb(*host) == 1024
    limit(cgroups / "other.slice", "memory.max", 1)
    assert host_memory_mb(*host) == 1024


def test_control_groups_of_version_1_count_too(host):
    proc, cgroups = host
    (proc / "self" / "cgroup").write_text("5:cpu,cpuacct:/a\n4:memory:/a/b\n0::/\n")
    limit(cgroups / "memory", "memory.limit_in_bytes", 9223372036854771712)
    limit(cgroups / "memory" / "a", "memory.limit_in_bytes", 3 * GIB)
    limit(cgroups / "cpu" / "a", "memory.limit_in_bytes", 1)
    assert host_memory_mb(*host) == 3072


def test_in_a_container_that_sees_its_own_group_as_the_root_that_ones_limit_counts(host):
    proc, cgroups = host
    (proc / "self" / "cgroup").write_text("4:memory:/docker/f00\n")
    limit(cgroups / "memory", "memory.limit_in_bytes", 2 * GIB)
    assert host_memory_mb(*host) == 2048


def test_a_part_is_left_to_the_system(host):
    proc, cgroups = host
    assert memory_for_machines_mb(*host) == 8192 - RESERVE_MB
    (proc / "self" / "cgroup").write_text("0::/\n")
    limit(cgroups, "memory.max", 2**20)
    assert memory_for_machines_mb(*host) == 0


def test_what_is_free_just_now_does_not_matter(host):
    proc, _ = host
    before = memory_for_machines_mb(*host)
    (proc / "meminfo").write_text("MemTotal:        8388608 kB\nMemAvailable:  2000000 kB\n")
    assert memory_for_machines_mb(*host) == before


def test_a_host_that_does_not_say_what_it_has_is_an_error(host):
    proc, _ = host
    (proc / "meminfo").write_text("MemFree:  10 kB\n")
    with pytest.raises(HostError, match="no MemTotal"):
        host_memory_mb(*host)


def test_this_host_has_some():
    assert host_memory_mb() > 100
