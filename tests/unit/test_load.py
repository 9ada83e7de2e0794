"""What machines ask of the host while a run lasts, and what is said of it."""

from contextlib import ExitStack, contextmanager

from taskgen.load import Capacity, Demand, Load
from taskgen.placement import Placement


def load(cores=2.0, *, memory_mb=1000.0, vcpus=1, **keys):
    return Load(
        Demand(vcpus=vcpus, memory_mb=100), Capacity(cores=cores, memory_mb=memory_mb, **keys)
    )


@contextmanager
def machine_in(fleet, slot):
    fleet.add(slot)
    yield
    fleet.remove(slot)


def test_machines_that_fit_overcommit_nothing():
    fleet = load()
    with machine_in(fleet, 1), machine_in(fleet, 2):
        peak = fleet.begin(1)
    assert (peak.vcpus, peak.cores) == (2, 2)
    assert not peak.cpus_overcommitted
    assert not peak.memory_overcommitted


def test_a_machine_that_only_boots_in_the_midst_of_a_run_counts():
    fleet = load()
    with machine_in(fleet, 1), machine_in(fleet, 2):
        peak = fleet.begin(1)
        with machine_in(fleet, 3):
            pass
        assert (peak.vcpus, peak.cpus_overcommitted) == (3, True)
        later = fleet.begin(1)
        assert (later.vcpus, later.cpus_overcommitted) == (2, False)


def test_one_that_takes_the_place_of_another_is_no_more_at_a_time():
    fleet = load()
    with machine_in(fleet, 1):
        with machine_in(fleet, 2):
            peak = fleet.begin(1)
        with machine_in(fleet, 2):
            pass
        assert (peak.vcpus, peak.cpus_overcommitted) == (2, False)


def test_all_vcpus_of_a_machine_count():
    fleet = load(cores=3, vcpus=2)
    with machine_in(fleet, 1):
        assert not fleet.begin(1).cpus_overcommitted
        with machine_in(fleet, 2):
            assert fleet.begin(1).cpus_overcommitted


def test_a_quota_of_time_bounds_the_cores():
    fleet = load(cores=4, quota=1.5)
    with machine_in(fleet, 1), machine_in(fleet, 2):
        peak = fleet.begin(1)
    assert (peak.cores, peak.cpus_overcommitted) == (1.5, True)


def test_memory_that_machines_could_take_counts_whether_they_do_or_not():
    fleet = load(cores=8, memory_mb=250)
    with machine_in(fleet, 1), machine_in(fleet, 2):
        peak = fleet.begin(1)
        assert not peak.memory_overcommitted
        with machine_in(fleet, 3):
            assert peak.memory_overcommitted
    assert not peak.cpus_overcommitted


def test_a_host_that_shrinks_in_the_midst_of_a_run_counts():
    fleet = load(cores=2)
    with machine_in(fleet, 1), machine_in(fleet, 2):
        peak = fleet.begin(1)
        fleet.change(Capacity(cores=1), Placement())
        fleet.change(Capacity(cores=2), Placement())
    assert (peak.cores, peak.cpus_overcommitted) == (1, True)


def test_cores_that_machines_share_by_a_list_are_overcommitted_though_others_are_idle():
    fleet = load(cores=8)
    fleet.change(Capacity(cores=8), Placement((frozenset({0}), frozenset({1, 2})), shared=True))
    with ExitStack() as stack:
        for slot in (1, 2):
            stack.enter_context(machine_in(fleet, slot))
        assert not fleet.begin(1).cpus_overcommitted
        assert fleet.begin(1).cores == 3
        stack.enter_context(machine_in(fleet, 3))
        assert fleet.begin(1).cpus_overcommitted
    assert fleet.remarks(3) == ["3 machines share the 2 sets of cores of qemu.cpus: 0, 1-2"]


def test_nothing_is_said_of_machines_that_fit_and_all_of_what_does_not():
    fleet = load(cores=2, memory_mb=250)
    assert fleet.remarks(2) == []
    cpus, memory = fleet.remarks(3)
    assert cpus.startswith("3 machines have 3 vCPUs and may use 2 of the host's cores")
    assert "marked cpus_overcommitted" in cpus
    assert memory.startswith("3 machines may take 300 MiB, and the host has 250 MiB")
    assert "marked memory_overcommitted" in memory
