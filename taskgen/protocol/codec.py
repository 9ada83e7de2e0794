"""Messages to bytes and back, without memory of what came before."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import cast

from taskgen.errors import LocalProtocolError, RemoteProtocolError
from taskgen.protocol.messages import (
    Available,
    Binary,
    Clear,
    Frame,
    GetLive,
    GetProfile,
    GoSend,
    Message,
    Optimize,
    Reboot,
    SendBinaries,
    SendDescs,
    Start,
    Stop,
    Unknown,
    Word,
)

#: Longest description or admission data that a server of ours takes.
MAX_XML_BYTES = 16 * 2**20
#: Largest binary that a server of ours takes.
MAX_BINARY_BYTES = 256 * 2**20

_U32 = struct.Struct("<I")
_TWO_U32 = struct.Struct("<II")
_BINARY_HEADER = struct.Struct("<16sI")

WORD_BYTES = _U32.size

#: Messages that are nothing but their word.
_BARE: Mapping[Word, type[Message]] = {
    Word.CLEAR: Clear,
    Word.START: Start,
    Word.STOP: Stop,
    Word.GET_PROFILE: GetProfile,
    Word.GET_LIVE: GetLive,
    Word.REBOOT: Reboot,
    Word.AVAILABLE: Available,
}
_BARE_BYTES: Mapping[type[Message], bytes] = {
    GoSend: _U32.pack(Word.GO_SEND),
    **{kind: _U32.pack(word) for word, kind in _BARE.items()},
}
_WITH_XML: Mapping[Word, Callable[[bytes], Message]] = {
    Word.SEND_DESCS: SendDescs,
    Word.OPTIMIZE: Optimize,
}


def encode(message: Message) -> bytes:
    """The bytes of one message, header and payload in one piece.

    :raises LocalProtocolError: for what exists only on the receiving side.
    """
    bare = _BARE_BYTES.get(type(message))
    if bare is not None:
        return bare
    match message:
        case SendDescs(xml):
            return _TWO_U32.pack(Word.SEND_DESCS, len(xml)) + xml
        case Optimize(xml):
            return _TWO_U32.pack(Word.OPTIMIZE, len(xml)) + xml
        case SendBinaries(count):
            return _TWO_U32.pack(Word.SEND_BINARIES, count)
        case Binary(name, content):
            return _BINARY_HEADER.pack(name.encode("ascii"), len(content)) + content
        case Frame(payload):
            return _U32.pack(len(payload)) + payload
        case _:
            raise LocalProtocolError(f"{type(message).__name__} does not go on the wire")


def read_word(buffer: bytearray, offset: int = 0) -> int:
    """The u32 at an offset; the caller has seen to it that the bytes are there."""
    return cast(int, _U32.unpack_from(buffer, offset)[0])


def decode_command(buffer: bytearray, *, optimize: bool) -> tuple[Message, int] | None:
    """What a client says at the beginning of ``buffer``, and how many bytes that is.

    :param optimize: whether ``OPTIMIZE`` is known; if not, it is a word like any unknown one.
    :returns: ``None`` as long as the message is not complete.
    :raises RemoteProtocolError: for a message that cannot be.
    """
    if len(buffer) < WORD_BYTES:
        return None
    word = read_word(buffer)
    if word in _BARE:
        return _BARE[Word(word)](), WORD_BYTES
    if word in _WITH_XML and (optimize or word != Word.OPTIMIZE):
        return _decode_xml(Word(word), buffer)
    if word != Word.SEND_BINARIES:
        return Unknown(word), WORD_BYTES
    if len(buffer) < _TWO_U32.size:
        return None
    return SendBinaries(read_word(buffer, WORD_BYTES)), _TWO_U32.size


def _decode_xml(word: Word, buffer: bytearray) -> tuple[Message, int] | None:
    if len(buffer) < _TWO_U32.size:
        return None
    size = read_word(buffer, WORD_BYTES)
    if size > MAX_XML_BYTES:
        raise RemoteProtocolError(f"{word.name}: {size} bytes of XML announced")
    end = _TWO_U32.size + size
    if len(buffer) < end:
        return None
    try:
        return _WITH_XML[word](bytes(buffer[_TWO_U32.size : end])), end
    except LocalProtocolError as error:
        raise RemoteProtocolError(error.message) from error


def decode_binary(buffer: bytearray) -> tuple[Binary, int] | None:
    """The binary at the beginning of ``buffer``, and how many bytes that is.

    :returns: ``None`` as long as it is not complete.
    :raises RemoteProtocolError: for a name that cannot be, or a binary that is too long.
    """
    if len(buffer) < _BINARY_HEADER.size:
        return None
    padded, size = _BINARY_HEADER.unpack_from(buffer)
    if size > MAX_BINARY_BYTES:
        raise RemoteProtocolError(f"binary of {size} bytes announced")
    end = _BINARY_HEADER.size + size
    if len(buffer) < end:
        return None
    name = padded.partition(b"\0")[0].decode("ascii", errors="replace")
    try:
        return Binary(name, bytes(buffer[_BINARY_HEADER.size : end])), end
    except LocalProtocolError as error:
        raise RemoteProtocolError(error.message) from error
