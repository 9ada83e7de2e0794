"""What is read of the kernel's messages about links."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgen.host.link_events import indexes

NEWLINK, DELLINK, NEWADDR, DELADDR, NEWROUTE = 16, 17, 20, 21, 24


def message(kind, index, attributes=b""):
    body = struct.pack("BxHiII", 0, 1, index, 0, 0) + attributes
    header = struct.pack("IHHII", 16 + len(body), kind, 0, 0, 0)
    return header + body + bytes(-len(body) % 4)


@pytest.mark.parametrize("kind", [NEWLINK, DELLINK, NEWADDR, DELADDR])
def test_the_link_of_a_message(kind):
    assert indexes(message(kind, 7)) == {7}


def test_several_messages_of_odd_length():
    data = message(NEWLINK, 7, b"abc") + message(NEWROUTE, 8, b"a") + message(DELLINK, 9)
    assert indexes(data) == {7, 9}


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(data):
    indexes(data)


@given(st.integers(0, 80))
def test_a_cut_message_says_nothing_wrong(length):
    data = message(NEWLINK, 7) + message(DELLINK, 9)
    assert indexes(data[:length]) <= {7, 9}
