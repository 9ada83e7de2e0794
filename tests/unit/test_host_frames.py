"""The frames by which a LAN is asked, there and back."""

import struct
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgen.host.frames import Dhcp, arp_answer, arp_probe, dhcp_answer, dhcp_frame

MAC = "0a:06:00:00:00:01"


def offer(*, kind=2, xid=7, options=b"\x36\x04\xc0\x00\x02\x01"):
    """An OFFER of 192.0.2.9 by 192.0.2.1, made of a DISCOVER: they differ in these places only."""
    frame = bytearray(dhcp_frame(MAC, Dhcp(kind), xid=xid, options=options))
    frame[34:38] = struct.pack("!2H", 67, 68)
    frame[42] = 2
    frame[58:62] = IPv4Address("192.0.2.9").packed
    return bytes(frame)


def test_an_offer_is_understood():
    answer = dhcp_answer(offer())
    assert (answer.kind, answer.xid, answer.client) == (Dhcp.OFFER, 7, MAC)
    assert (str(answer.address), str(answer.server)) == ("192.0.2.9", "192.0.2.1")


def test_a_server_that_does_not_name_itself_is_known_by_the_frames_source():
    frame = bytearray(offer(options=b""))
    frame[26:30] = IPv4Address("192.0.2.7").packed
    assert str(dhcp_answer(bytes(frame)).server) == "192.0.2.7"


def test_a_question_is_no_answer():
    assert dhcp_answer(dhcp_frame(MAC, Dhcp.DISCOVER, xid=7)) is None
    assert arp_answer(arp_probe(IPv4Address("192.0.2.9"), MAC)) is None


def test_an_arp_reply_tells_who_has_the_address():
    frame = bytearray(arp_probe(IPv4Address("0.0.0.0"), MAC))
    frame[21], frame[28:32] = 2, IPv4Address("192.0.2.9").packed
    assert arp_answer(bytes(frame)) == (IPv4Address("192.0.2.9"), MAC)


@given(st.binary(max_size=400))
def test_rubbish_of_the_lan_is_no_answer(rubbish):
    assert arp_answer(rubbish) is None or rubbish[12:14] == b"\x08\x06"
    dhcp_answer(rubbish)


@pytest.mark.parametrize("length", range(0, 300, 7))
def test_a_frame_that_was_cut_short_breaks_nothing(length):
    answer = dhcp_answer(offer()[:length])
    assert answer is None or answer.kind == Dhcp.OFFER
