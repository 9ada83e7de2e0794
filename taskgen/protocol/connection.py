"""One connection, seen from either side: bytes in, messages out, and the state in between.

All that changes the state of a connection is in this file. Nothing here touches a socket.

Usage, for both roles: give what was read to :meth:`receive_data` (``b""`` at the end of the
stream), take messages from :meth:`next_event` until it returns ``None``, and write what
:meth:`send` returns.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import ClassVar

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

_log = logging.getLogger(__name__)


class State(Enum):
    """Whose turn it is. Frames and echoes come in every state but the last and change none."""

    IDLE = "idle"  #: the client may send any command
    GO_SEND_DUE = "GO_SEND due"  #: the server has to say that it is ready for a binary
    BINARY_DUE = "binary due"  #: the client has to send one
    REBOOTING = "rebooting"  #: the client may send nothing any more
    CLOSED = "closed"  #: by either side, or broken


#: Which message leads from a state to which. What is not here, a client may not send. The way to
#: GO_SEND_DUE leads on to IDLE at once where no binary is left to be sent.
TRANSITIONS: Mapping[State, Mapping[type[Message], State]] = {
    State.IDLE: {
        SendDescs: State.IDLE,
        Optimize: State.IDLE,
        Clear: State.IDLE,
        Start: State.IDLE,
        Stop: State.IDLE,
        GetProfile: State.IDLE,
        GetLive: State.IDLE,
        Available: State.IDLE,
        Unknown: State.IDLE,
        SendBinaries: State.GO_SEND_DUE,
        Reboot: State.REBOOTING,
        ConnectionClosed: State.CLOSED,
    },
    State.GO_SEND_DUE: {GoSend: State.BINARY_DUE, ConnectionClosed: State.CLOSED},
    State.BINARY_DUE: {Binary: State.GO_SEND_DUE, ConnectionClosed: State.CLOSED},
    State.REBOOTING: {ConnectionClosed: State.CLOSED},
    State.CLOSED: {},
}

# Every run passes here several times, and to find a member of an enumeration takes longer than to
# compare it.
_CLOSED, _GO_SEND_DUE = State.CLOSED, State.GO_SEND_DUE
_GO_SEND, _AVAILABLE = int(Word.GO_SEND), int(Word.AVAILABLE)
_ECHO = Available()


class Connection(ABC):
    """What both roles have in common."""

    #: What is sent by the other role, or by nobody.
    _never_sent: ClassVar[frozenset[type[Message]]]

    def __init__(self) -> None:
        self._state = State.IDLE
        self._ways = TRANSITIONS[State.IDLE]  # those that lead on from the present state
        self._buffer = bytearray()
        self._binaries_left = 0
        self._echoes_due = 0
        self._at_eof = False
        self._broken_by: RemoteProtocolError | None = None

    @property
    def state(self) -> State:
        return self._state

    def receive_data(self, data: bytes) -> None:
        """Take what was read from the other side; ``b""`` says that it has closed.

        The buffer stays as small as one unfinished message and one read, as long as
        :meth:`next_event` is called until it returns ``None``.

        :raises LocalProtocolError: for data after ``b""``.
        """
        if self._at_eof and data:
            raise LocalProtocolError("data after the end of the stream")
        if self._state is _CLOSED:
            return
        self._at_eof = not data
        self._buffer += data

    def next_event(self) -> Message | None:
        """The next complete message, or ``None`` if it needs more data.

        :raises RemoteProtocolError: if the stream cannot be understood any further. The connection
            is closed then, and each later call raises the same again.
        """
        if self._state is _CLOSED:
            if self._broken_by is not None:
                raise RemoteProtocolError(self._broken_by.message) from self._broken_by
            return None
        try:
            message = self._decode()
            if message is None and self._at_eof:
                self._check_end()
                message = ConnectionClosed()
                self._move(message)
        except RemoteProtocolError as error:
            self._broken_by = error
            self._move(ConnectionClosed())
            raise
        return message

    def __iter__(self) -> Iterator[Message]:
        """Messages until more data are needed; raises as :meth:`next_event` does."""
        while (message := self.next_event()) is not None:
            yield message

    def send(self, message: Message) -> bytes:
        """The bytes to write for a message.

        :raises LocalProtocolError: if it may not be sent by this role, or not now.
        """
        kind = type(message)
        if kind in self._never_sent:
            raise LocalProtocolError(f"{kind.__name__} is not ours to send")
        if not self._allows(message):
            raise LocalProtocolError(
                f"{kind.__name__} cannot be sent: the connection is {self._state.value}"
            )
        data = codec.encode(message)
        self._sent(message)
        return data

    @abstractmethod
    def _decode(self) -> Message | None:
        """Take one message from the buffer."""

    @abstractmethod
    def _allows(self, message: Message) -> bool:
        """Whether it may be sent now."""

    @abstractmethod
    def _sent(self, message: Message) -> None:
        """Note that it was."""

    def _check_end(self) -> None:
        if self._buffer and self._state is not State.REBOOTING:
            raise RemoteProtocolError(
                f"closed inside a message, {len(self._buffer)} bytes after its beginning"
            )

    def _move(self, message: Message) -> None:
        """Follow the table. The only place where the state changes."""
        before, after = self._state, self._ways[type(message)]
        if after is before:
            return  # nothing that counts binaries leads from a state to the same
        if isinstance(message, SendBinaries):
            self._binaries_left = message.count
        elif isinstance(message, Binary):
            self._binaries_left -= 1
        if after is _GO_SEND_DUE and self._binaries_left == 0:
            after = State.IDLE
        self._state, self._ways = after, TRANSITIONS[after]
        if after is _CLOSED:
            self._buffer.clear()
        if after is not before:
            _log.debug("%s -> %s", before.value, after.value)


class ClientConnection(Connection):
    """Our side, towards a Taskloader."""

    _never_sent = frozenset({GoSend, Frame, Unknown, ConnectionClosed})

    def __init__(self) -> None:
        super().__init__()
        self._frame_bytes: int | None = None  # length of the frame that is being read
        self._payload_begun = False
        # A lone 0x90 was taken for a GO_SEND; what follows tells whether it was one.
        self._doubtful = False
        # Binaries that were sent on a doubtful word which was none: their GO_SEND is still to come.
        self._sent_early = 0

    def _allows(self, message: Message) -> bool:
        return type(message) in self._ways

    def _sent(self, message: Message) -> None:
        self._echoes_due += isinstance(message, Available)
        self._move(message)

    def _decode(self) -> Message | None:
        if self._doubtful and not self._resolve_doubt():
            return None
        while self._frame_bytes is None:
            if len(self._buffer) < codec.WORD_BYTES:
                return None
            word = codec.read_word(self._buffer)
            if word == _GO_SEND and self._go_sends_due:
                looks = _looks_like_text(self._buffer, codec.WORD_BYTES)
                if looks is None and len(self._buffer) > codec.WORD_BYTES:
                    return None
                self._doubtful = looks is None
                if not looks:
                    if self._take_go_send():
                        return GoSend()
                    continue
            self._drop(codec.WORD_BYTES)
            if word == _AVAILABLE:
                return self._take_echo()
            self._begin_frame(word)
        return self._decode_frame(self._frame_bytes)

    def _decode_frame(self, size: int) -> Message | None:
        if not self._payload_begun and min(size, len(self._buffer)) >= codec.WORD_BYTES:
            # Servers write length and payload separately, and another of their threads may get
            # its answer in between. No XML begins with these words, they contain NULs.
            word = codec.read_word(self._buffer)
            if word == _GO_SEND and self._go_sends_due:
                if self._take_go_send():
                    return GoSend()
            elif word == _AVAILABLE and self._echoes_due:
                self._drop(codec.WORD_BYTES)
                return self._take_echo()
            self._payload_begun = True
        if len(self._buffer) < size:
            return None
        payload = bytes(self._buffer[:size])
        self._drop(size)
        self._frame_bytes = None
        return Frame(payload)

    @property
    def _go_sends_due(self) -> int:
        return self._sent_early + (self._state is _GO_SEND_DUE)

    def _resolve_doubt(self) -> bool:
        """Look behind the lone 0x90. Tells whether the doubt is over."""
        looks = _looks_like_text(self._buffer, 0)
        if looks is None:
            return False
        self._doubtful = False
        if looks:
            # It was the length of a frame. The binary that it called forth does no harm, because
            # the server reads nothing else before it has said GO_SEND, which we then expect twice.
            self._sent_early += 1
            self._begin_frame(_GO_SEND)
        return True

    def _take_go_send(self) -> bool:
        """Take the word from the buffer. Tells whether it is news, or has been acted on before."""
        self._drop(codec.WORD_BYTES)
        if self._sent_early:
            self._sent_early -= 1
            return False
        self._move(GoSend())
        return True

    def _take_echo(self) -> Available:
        # One that nobody asked for is harmless: too large for a length, it cannot be misread.
        self._echoes_due = max(0, self._echoes_due - 1)
        return _ECHO

    def _begin_frame(self, size: int) -> None:
        if size > MAX_FRAME_BYTES:
            # There is no telling where the next message begins.
            raise RemoteProtocolError(f"frame of {size} bytes announced, at most {MAX_FRAME_BYTES}")
        self._frame_bytes = size
        self._payload_begun = False

    def _drop(self, size: int) -> None:
        del self._buffer[:size]

    def _check_end(self) -> None:
        if self._frame_bytes is not None and self._state is not State.REBOOTING:
            raise RemoteProtocolError(
                f"closed inside a frame: {len(self._buffer)} of {self._frame_bytes} bytes"
            )
        super()._check_end()


class ServerConnection(Connection):
    """The other side: for servers that stand in for a guest.

    While a ``GO_SEND`` is due, nothing is decoded: what the client sent early waits for it.

    :param optimize: whether ``OPTIMIZE`` is known.
    """

    _never_sent = frozenset(
        TRANSITIONS[State.IDLE].keys() - {Available} | {Binary, Unknown, ConnectionClosed}
    )

    def __init__(self, *, optimize: bool = False) -> None:
        super().__init__()
        self._optimize = optimize

    def _allows(self, message: Message) -> bool:
        if isinstance(message, GoSend):
            return self._state is State.GO_SEND_DUE
        if isinstance(message, Available):
            return self._state is not State.CLOSED and self._echoes_due > 0
        return self._state is not State.CLOSED

    def _sent(self, message: Message) -> None:
        if isinstance(message, GoSend):
            self._move(message)
        self._echoes_due -= isinstance(message, Available)

    def _decode(self) -> Message | None:
        decoded: tuple[Message, int] | None = None
        if self._state is State.IDLE:
            decoded = codec.decode_command(self._buffer, optimize=self._optimize)
        elif self._state is State.BINARY_DUE:
            decoded = codec.decode_binary(self._buffer)
        if decoded is None:
            return None
        message, size = decoded
        del self._buffer[:size]
        self._echoes_due += isinstance(message, Available)
        self._move(message)
        return message


def _looks_like_text(buffer: bytearray, start: int) -> bool | None:
    """Whether a frame's payload stands there, not a word of the protocol; ``None``: too early.

    Each legal word has a NUL as its last byte, because no frame is that long; text has none.
    """
    following = buffer[start : start + codec.WORD_BYTES]
    if 0 in following:
        return False
    return True if len(following) == codec.WORD_BYTES else None
