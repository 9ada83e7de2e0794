"""How many machines there is room for, and what is said where that are fewer than wished."""

import pytest

from taskgen.room import Room

ONE_MB = 192 + 64


def room(*, slots=42, machines=8.0):
    return Room(slots=slots, memory_mb=machines * ONE_MB, guest_mb=192, qemu_mb=64)


@pytest.mark.parametrize(
    ("wished", "slots", "machines", "expected"),
    [
        (4, 42, 8, 4),
        (8, 42, 8, 8),
        (9, 42, 8, 8),
        (9, 42, 8.99, 8),
        (9, 3, 8, 3),
        (99, 42, 1000, 42),
        (5, 42, 0, 1),  # one is tried in any case
        (1, 42, 0.5, 1),
    ],
)
def test_there_are_no_more_machines_than_network_and_memory_hold(wished, slots, machines, expected):
    assert room(slots=slots, machines=machines).holds(wished) == expected


def test_nothing_is_said_where_all_that_are_wished_fit():
    assert room(slots=8, machines=8).reasons(8) == []


def test_the_network_is_named_where_it_holds_too_few():
    assert room().reasons(8) == []
    assert room(machines=50).reasons(99) == ["99 machines are wished, the network has room for 42"]


def test_the_memory_is_named_where_it_holds_too_few_with_its_numbers_and_what_to_do():
    assert Room(slots=42, memory_mb=1000, guest_mb=192, qemu_mb=64).reasons(9) == [
        "9 machines are wished, the memory has room for 3 of 192 + 64 MiB in 1000 MiB"
        " (lower memory_mb in the profile, or raise fleet.memory_mb)"
    ]


def test_both_are_named_where_both_hold_too_few():
    network, memory = room(slots=10, machines=8).reasons(12)
    assert "the network has room for 10" in network
    assert "the memory has room for 8" in memory


def test_that_not_even_one_fits_is_said_also_where_only_one_is_wished():
    (reason,) = room(machines=0.5).reasons(1)
    assert "room for 0 of 192" in reason
    assert "one is tried" in reason
