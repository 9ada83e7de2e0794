"""Which cores there are for machines, and where they are."""

import os

import pytest

from taskgen.errors import ConfigError
from taskgen.host.capacity import capacity, placement
from taskgen.host.cores import (
    allowed_cores,
    check_cores,
    cpu_quota,
    settable,
    topology,
    usable_cores,
    whole_cores,
)
from taskgen.load import Demand
from taskgen.placement import Cpu
from taskgen.settings import QemuSettings


@pytest.fixture
def groups(tmp_path):
    """``/proc`` and ``/sys/fs/cgroup`` of a process in the group ``/a/b``."""
    proc, cgroups = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    (cgroups / "a" / "b").mkdir(parents=True)
    (proc / "self" / "cgroup").write_text("0::/a/b\n")
    return proc, cgroups


def test_without_a_limit_all_time_of_the_cores_is_ours(groups):
    assert cpu_quota(*groups) is None
    (groups[1] / "a" / "b" / "cpu.max").write_text("max 100000\n")
    assert cpu_quota(*groups) is None


def test_the_least_that_a_group_around_us_leaves_counts(groups):
    (groups[1] / "a" / "cpu.max").write_text("150000 100000\n")
    assert cpu_quota(*groups) == 1.5
    (groups[1] / "a" / "b" / "cpu.max").write_text("50000 100000\n")
    assert cpu_quota(*groups) == 0.5


def test_control_groups_of_version_1_count_too(groups):
    proc, cgroups = groups
    (proc / "self" / "cgroup").write_text("4:cpu:/a\n")
    group = cgroups / "cpu" / "a"
    group.mkdir(parents=True)
    (group / "cpu.cfs_period_us").write_text("100000\n")
    (group / "cpu.cfs_quota_us").write_text("-1\n")
    assert cpu_quota(*groups) is None
    (group / "cpu.cfs_quota_us").write_text("250000\n")
    assert cpu_quota(*groups) == 2.5


def test_threads_and_nodes_are_read_where_the_kernel_tells_them(tmp_path):
    for number, siblings, node in ((0, "0,2", 0), (1, "1,3", 1), (2, "0,2", 0)):
        directory = tmp_path / f"cpu{number}"
        (directory / "topology").mkdir(parents=True)
        (directory / f"node{node}").mkdir()
        (directory / "topology" / "thread_siblings_list").write_text(f"{siblings}\n")
    assert topology([2, 0, 1, 7], tmp_path) == [
        Cpu(number=0, core=0, node=0),
        Cpu(number=1, core=1, node=1),
        Cpu(number=2, core=0, node=0),
        Cpu(number=7, core=7, node=0),
    ]


def test_this_hosts_cores_are_those_of_our_affinity():
    assert allowed_cores() == os.sched_getaffinity(0)
    assert 0 < usable_cores() <= len(allowed_cores())
    assert 1 <= whole_cores() <= len(allowed_cores())
    assert capacity().cores == len(allowed_cores())
    assert {cpu.number for cpu in topology(allowed_cores())} == allowed_cores()


def test_a_core_that_does_not_exist_is_named_and_trying_changes_nothing():
    before = os.sched_getaffinity(0)
    some = min(before)
    check_cores([frozenset({some})], what="qemu.cpus")
    with pytest.raises(ConfigError, match=r"qemu\.cpus: this host has no core 4000-4001") as error:
        check_cores([frozenset({some, 4000}), frozenset({4001})], what="qemu.cpus")
    assert "it has " in error.value.hint
    assert settable([some, 4000, 10**9]) == {some}
    assert os.sched_getaffinity(0) == before


def test_the_setting_says_where_machines_run():
    demand, some = Demand(vcpus=1, memory_mb=1), min(allowed_cores())
    assert placement(QemuSettings(), demand, 1).of(1) is None
    assert placement(QemuSettings(cpus="auto"), demand, 1).of(1) <= allowed_cores()
    many = len(allowed_cores()) + 1
    assert placement(QemuSettings(cpus="auto"), demand, many).of(1) is None
    listed = placement(QemuSettings(cpus=(some, f"{some}")), demand, 3)
    assert [listed.of(slot) for slot in (1, 2, 3)] == [{some}] * 3
