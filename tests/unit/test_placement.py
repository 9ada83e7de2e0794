"""On which cores machines run: of their own where they fit, and none where they do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgen.cpu_list import parse_cpus
from taskgen.placement import Cpu, Placement, own_cores


def host(nodes=1, cores=4, threads=1):
    """CPUs as Linux numbers them: first one thread of each core, then the others."""
    count = nodes * cores
    return [
        Cpu(number=thread * count + core, core=core, node=core // cores)
        for thread in range(threads)
        for core in range(count)
    ]


def cores_of(placement, machines):
    return [placement.of(slot) for slot in range(1, machines + 1)]


@st.composite
def hosts(draw):
    """Some of the CPUs of some host, as a control group leaves them."""
    every = host(draw(st.integers(1, 3)), draw(st.integers(1, 6)), draw(st.integers(1, 2)))
    return draw(st.lists(st.sampled_from(every), unique=True, min_size=1))


@given(cpus=hosts(), vcpus=st.integers(1, 4), machines=st.integers(1, 12))
def test_each_machine_has_cores_of_its_own_exactly_where_all_fit(cpus, vcpus, machines):
    given_out = cores_of(own_cores(cpus, vcpus, machines), machines)
    if machines * vcpus > len(cpus):
        assert given_out == [None] * machines
        return
    assert all(len(cores) == vcpus for cores in given_out)
    assert len(frozenset().union(*given_out)) == machines * vcpus
    assert frozenset().union(*given_out) <= {cpu.number for cpu in cpus}


def test_each_vcpu_has_a_physical_core_of_its_own_where_there_are_enough():
    cpus = host(cores=4, threads=2)
    physical = {cpu.number: cpu.core for cpu in cpus}
    few = frozenset().union(*cores_of(own_cores(cpus, 2, 2), 2))
    assert len({physical[number] for number in few}) == 4
    for cores in cores_of(own_cores(cpus, 2, 4), 4):  # else both threads go to one machine
        assert len({physical[number] for number in cores}) == 1


def test_a_machine_stays_within_a_numa_node_where_that_can_be():
    cpus = host(nodes=2, cores=3)
    node = {cpu.number: cpu.node for cpu in cpus}
    for cores in cores_of(own_cores(cpus, 2, 2), 2):
        assert len({node[number] for number in cores}) == 1
    assert None not in cores_of(own_cores(cpus, 2, 3), 3)  # one has to be in both


def test_the_lowest_cores_are_taken_last():
    assert cores_of(own_cores(host(cores=4), 1, 2), 2) == [{3}, {2}]


def test_a_list_is_for_the_slots_in_order_and_begins_again_with_a_remark():
    listed = Placement((frozenset({0, 1}), frozenset({5})), shared=True)
    assert cores_of(listed, 3) == [{0, 1}, {5}, {0, 1}]
    assert listed.bound == {0, 1, 5}
    assert listed.remarks(2) == []
    assert listed.remarks(3) == ["3 machines share the 2 sets of cores of qemu.cpus: 0-1, 5"]


def test_without_sets_nothing_is_pinned():
    for nothing in (Placement(), Placement(shared=True)):
        assert nothing.of(1) is None
        assert nothing.bound is None
        assert nothing.remarks(3) == []
        assert not nothing.crowded([1, 2, 3], 4)


@pytest.mark.parametrize(
    ("sets", "slots", "vcpus", "crowded"),
    [
        (["0", "1"], [1, 2], 1, False),
        (["0", "1"], [1, 3], 1, True),  # both on the first
        (["0", "0-3"], [1, 2], 2, True),  # the first needs two
        (["0-1", "1-2", "0,2"], [1, 2, 3], 1, False),
        (["0-1", "1-2", "0,2"], [1, 2, 3], 2, True),
    ],
)
def test_cores_to_which_more_is_pinned_than_they_can_run_are_crowded(sets, slots, vcpus, crowded):
    listed = Placement(tuple(parse_cpus(each) for each in sets), shared=True)
    assert listed.crowded(slots, vcpus) is crowded
