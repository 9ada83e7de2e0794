"""The messages of the Taskloader protocol, as values that cannot be wrong.

A message that must not go on the wire cannot be made: its constructor raises
:exc:`~taskgen.errors.LocalProtocolError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from taskgen.errors import LocalProtocolError

#: The port on which a Taskloader listens.
DEFAULT_PORT = 3001
#: The server's buffer; no frame is longer.
MAX_FRAME_BYTES = 100_000
#: What a u32 can hold.
MAX_U32 = 0xFFFF_FFFF
#: The field is 16 bytes long and the last one is a NUL.
MAX_NAME_BYTES = 15


class Word(IntEnum):
    """The numbers that begin a message."""

    SEND_DESCS = 0xDE5
    CLEAR = 0xDE6
    SEND_BINARIES = 0xDE5F11E
    GO_SEND = 0x90
    START = 0x514DE5
    STOP = 0x514DE6
    GET_PROFILE = 0x159D1
    GET_LIVE = 0x159D2
    REBOOT = 0x159D3
    AVAILABLE = 0xAAAAA
    OPTIMIZE = 0x6F7074


@dataclass(frozen=True, slots=True)
class Message:
    """Root of all messages."""


@dataclass(frozen=True, slots=True)
class SendDescs(Message):
    """Client: the tasks of the next run.

    :ivar xml: ASCII, without an XML declaration.
    """

    xml: bytes

    def __post_init__(self) -> None:
        _check_xml("SEND_DESCS", self.xml)


@dataclass(frozen=True, slots=True)
class Optimize(Message):
    """Client: data for admission control. Only for servers that know it.

    :ivar xml: ASCII, without an XML declaration.
    """

    xml: bytes

    def __post_init__(self) -> None:
        _check_xml("OPTIMIZE", self.xml)


@dataclass(frozen=True, slots=True)
class SendBinaries(Message):
    """Client: so many binaries follow, each of them after a ``GO_SEND``.

    :ivar count: 0 is legal.
    """

    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.count <= MAX_U32:
            raise LocalProtocolError(f"SEND_BINARIES: {self.count} is not a 32-bit number")


@dataclass(frozen=True, slots=True)
class Binary(Message):
    """Client: one task binary.

    :ivar name: what ``pkg`` refers to; printable ASCII without blanks, 1 to 15 bytes.
    """

    name: str
    content: bytes

    def __post_init__(self) -> None:
        if not (self.name.isascii() and self.name.isprintable() and " " not in self.name):
            raise LocalProtocolError(f"binary {self.name!r}: the name is not plain ASCII")
        if not 1 <= len(self.name) <= MAX_NAME_BYTES:
            raise LocalProtocolError(
                f"binary {self.name!r}: the name has {len(self.name)} bytes",
                hint=f"1 to {MAX_NAME_BYTES} are allowed",
            )
        if len(self.content) > MAX_U32:
            raise LocalProtocolError(f"binary {self.name!r}: longer than 32 bits can say")

    def __repr__(self) -> str:
        return f"Binary({self.name!r}, <{len(self.content)} bytes>)"


@dataclass(frozen=True, slots=True)
class Clear(Message):
    """Client: stop and drop all tasks. Binaries stay. No answer."""


@dataclass(frozen=True, slots=True)
class Start(Message):
    """Client: begin the run. No answer."""


@dataclass(frozen=True, slots=True)
class Stop(Message):
    """Client: end the run. No answer."""


@dataclass(frozen=True, slots=True)
class GetProfile(Message):
    """Client: asks for a frame; the server may answer with nothing."""


@dataclass(frozen=True, slots=True)
class GetLive(Message):
    """Client: asks for a frame; the server may answer with nothing."""


@dataclass(frozen=True, slots=True)
class Reboot(Message):
    """Client: restart the machine. The connection is of no use afterwards."""


@dataclass(frozen=True, slots=True)
class Available(Message):
    """Client: are you there? Server, the same word again: yes."""


@dataclass(frozen=True, slots=True)
class GoSend(Message):
    """Server: ready for the next binary."""


@dataclass(frozen=True, slots=True)
class Frame(Message):
    """Server: XML, pushed at any time. Not yet looked into.

    :ivar payload: with the NULs or the rubbish that may follow the closing tag.
    """

    payload: bytes

    def __post_init__(self) -> None:
        if len(self.payload) > MAX_FRAME_BYTES:
            raise LocalProtocolError(
                f"frame of {len(self.payload)} bytes", hint=f"at most {MAX_FRAME_BYTES}"
            )


@dataclass(frozen=True, slots=True)
class Unknown(Message):
    """What a server makes of a word that it does not know: it goes on with the next one."""

    word: int


@dataclass(frozen=True, slots=True)
class ConnectionClosed(Message):
    """The other side closed the connection, and not in the middle of a message."""


def _check_xml(what: str, xml: bytes) -> None:
    if not 1 <= len(xml) <= MAX_U32:
        raise LocalProtocolError(f"{what}: XML of {len(xml)} bytes")
    if not xml.isascii() or 0 in xml:
        raise LocalProtocolError(f"{what}: the XML is not ASCII text")
    if xml.lstrip().startswith(b"<?xml"):
        raise LocalProtocolError(f"{what}: servers do not understand an XML declaration")
