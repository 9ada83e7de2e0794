"""Sets of CPUs in the kernel's own notation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgen.cpu_list import format_cpus, parse_cpus


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("0", {0}), ("0-2,5", {0, 1, 2, 5}), (" 3 , 1-1\n", {1, 3}), ("", set()), ("2,2", {2})],
)
def test_a_list_has_numbers_and_ranges(text, cpus):
    assert parse_cpus(text) == cpus


@pytest.mark.parametrize("text", ["a", "1-", "-1", "1-2-3", "2-1", "1;2", "0x1", "9999999"])
def test_what_is_no_list_is_refused(text):
    with pytest.raises(ValueError, match=r"is no list|the last CPU is before"):
        parse_cpus(text)


@given(st.frozensets(st.integers(0, 300)))
def test_what_is_written_is_read_as_the_same(cpus):
    assert parse_cpus(format_cpus(cpus)) == cpus


def test_the_shortest_list_is_written():
    assert format_cpus([5, 0, 2, 1]) == "0-2,5"
