"""What cannot go on the wire cannot be made; what can has exactly these bytes."""

import pytest

from taskgen.errors import LocalProtocolError, RemoteProtocolError
from taskgen.protocol import codec
from taskgen.protocol.messages import (
    MAX_FRAME_BYTES,
    Available,
    Binary,
    Clear,
    ConnectionClosed,
    Frame,
    GetLive,
    GetProfile,
    GoSend,
    Optimize,
    Reboot,
    SendBinaries,
    SendDescs,
    Start,
    Stop,
    Unknown,
)

# Written out by hand from the protocol page, not computed by the code under test.
GOLDEN = [
    (SendDescs(b"<a/>"), "e50d0000 04000000 3c612f3e"),
    (Clear(), "e60d0000"),
    (SendBinaries(0), "1ef1e50d 00000000"),
    (SendBinaries(3), "1ef1e50d 03000000"),
    (Binary("hey", b"\x7fELF"), "686579 00000000000000000000000000 04000000 7f454c46"),
    (Binary("fifteen-letters", b""), "6669667465656e2d6c657474657273 00 00000000"),
    (GoSend(), "90000000"),
    (Start(), "e54d5100"),
    (Stop(), "e64d5100"),
    (GetProfile(), "d1590100"),
    (GetLive(), "d2590100"),
    (Reboot(), "d3590100"),
    (Available(), "aaaa0a00"),
    (Optimize(b"<o/>"), "74706f00 04000000 3c6f2f3e"),
    (Frame(b"<p/>\0"), "05000000 3c702f3e00"),
]


@pytest.mark.parametrize(("message", "wire"), GOLDEN, ids=lambda v: str(v)[:30])
def test_bytes_of_each_message(message, wire):
    assert codec.encode(message) == bytes.fromhex(wire)


@pytest.mark.parametrize("message", [Unknown(7), ConnectionClosed()])
def test_what_is_only_received_has_no_bytes(message):
    with pytest.raises(LocalProtocolError, match=type(message).__name__):
        codec.encode(message)


@pytest.mark.parametrize("name", ["", "sixteen-letters!", "hëy", "a\0b", "a b", "a\n"])
def test_binary_names_that_do_not_fit(name):
    with pytest.raises(LocalProtocolError, match="name"):
        Binary(name, b"")


class Huge(bytes):
    """Says that it is longer than a u32 can tell, without being so."""

    def __len__(self):
        return 2**32


def test_sizes_are_32_bit():
    with pytest.raises(LocalProtocolError, match="32 bits"):
        Binary("hey", Huge())
    with pytest.raises(LocalProtocolError, match="XML of 4294967296 bytes"):
        SendDescs(Huge())


@pytest.mark.parametrize("count", [-1, 2**32])
def test_counts_are_32_bit(count):
    with pytest.raises(LocalProtocolError, match=str(count)):
        SendBinaries(count)


@pytest.mark.parametrize("kind", [SendDescs, Optimize])
@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        (b"", "0 bytes"),
        ("<ä/>".encode(), "ASCII"),
        (b"<a/>\0", "ASCII"),
        (b' <?xml version="1.0"?><a/>', "declaration"),
    ],
)
def test_xml_that_servers_do_not_understand(kind, xml, reason):
    with pytest.raises(LocalProtocolError, match=reason):
        kind(xml)


def test_frames_fit_into_the_servers_buffer():
    assert len(codec.encode(Frame(bytes(MAX_FRAME_BYTES)))) == MAX_FRAME_BYTES + 4
    with pytest.raises(LocalProtocolError, match="100001"):
        Frame(bytes(MAX_FRAME_BYTES + 1))


def test_a_binary_is_not_printed_whole():
    assert repr(Binary("hey", bytes(10**6))) == "Binary('hey', <1000000 bytes>)"


@pytest.mark.parametrize("wire", ["e50d0000 01000001", "74706f00 01000001"])
def test_a_server_refuses_too_much_xml(wire):
    with pytest.raises(RemoteProtocolError, match="16777217 bytes"):
        codec.decode_command(bytearray.fromhex(wire), optimize=True)


def test_a_server_refuses_xml_that_is_not_ascii():
    with pytest.raises(RemoteProtocolError, match="ASCII"):
        codec.decode_command(bytearray.fromhex("e50d0000 01000000 ff"), optimize=False)


def test_a_server_refuses_binaries_that_cannot_be():
    with pytest.raises(RemoteProtocolError, match="268435457 bytes"):
        codec.decode_binary(bytearray(b"hey".ljust(16, b"\0") + (2**28 + 1).to_bytes(4, "little")))
    with pytest.raises(RemoteProtocolError, match="name"):
        codec.decode_binary(bytearray(b"x" * 16 + bytes(4)))
    with pytest.raises(RemoteProtocolError, match="ASCII"):
        codec.decode_binary(bytearray(b"\xff".ljust(16, b"\0") + bytes(4)))
