"""The protocol under arbitrary messages and arbitrary splits of the stream."""

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from taskgen.errors import RemoteProtocolError
from taskgen.protocol import (
    Available,
    Binary,
    Clear,
    ClientConnection,
    Frame,
    GetLive,
    GetProfile,
    GoSend,
    Optimize,
    Reboot,
    SendBinaries,
    SendDescs,
    ServerConnection,
    Start,
    State,
    Stop,
)

# A busy host is no reason to fail.
QUICK = settings(deadline=None, max_examples=60)

XML = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=200).map(
    lambda text: b"<a>" + text.encode()
)
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=15)
BINARIES = st.builds(Binary, NAMES, st.binary(max_size=300))
COMMANDS = st.one_of(
    st.builds(SendDescs, XML),
    st.builds(Optimize, XML),
    st.builds(SendBinaries, st.just(0)),
    *(st.builds(kind) for kind in (Clear, Start, Stop, GetProfile, GetLive, Available)),
)
# Most frames are short; those that look like a GO_SEND are the interesting ones.
FRAMES = st.one_of(
    st.binary(max_size=200).map(lambda rest: Frame(b"<profile>" + rest)),
    st.binary(max_size=135).map(lambda rest: Frame((b"<profile>" + rest).ljust(144, b"\0"))),
    st.integers(60, 0x3C3C).map(lambda size: Frame(b"<p/>".ljust(size, b"\0"))),
)


@st.composite
def split(draw, data):
    """``data`` cut into pieces anywhere."""
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=12)))
    ends = [*cuts, len(data)]
    return [data[a:b] for a, b in zip([0, *cuts], ends, strict=True) if a != b]


def read(connection, pieces):
    messages = []
    for piece in pieces:
        connection.receive_data(piece)
        messages += connection
    return messages


def all_ways(data, draw):
    return [[data], [data[i : i + 1] for i in range(len(data))], draw(split(data))]


@QUICK
@given(st.lists(COMMANDS, min_size=1, max_size=6), st.data())
def test_client_to_server(commands, data):
    client = ClientConnection()
    stream = b"".join(client.send(command) for command in commands)
    for pieces in all_ways(stream, data.draw):
        assert read(ServerConnection(optimize=True), pieces) == commands


@QUICK
@given(st.lists(FRAMES, min_size=1, max_size=6), st.data())
def test_server_to_client(frames, data):
    server = ServerConnection()
    stream = b"".join(server.send(frame) for frame in frames)
    for pieces in all_ways(stream, data.draw):
        assert read(ClientConnection(), pieces) == frames


@QUICK
@given(COMMANDS, st.binary(min_size=1, max_size=3))
def test_a_message_is_complete_without_what_follows(command, beginning):
    server = ServerConnection(optimize=True)
    assert read(server, [ClientConnection().send(command) + beginning]) == [command]


@QUICK
@given(st.lists(FRAMES, max_size=4), st.data())
def test_frames_before_a_go_send_in_any_split(frames, data):
    """Whatever is made of 0x90 in between, no frame is lost and no binary is sent twice."""
    server = ServerConnection()
    server.receive_data(ClientConnection().send(SendBinaries(1)))
    assert server.next_event() == SendBinaries(1)
    stream = b"".join(server.send(message) for message in [*frames, GoSend()])
    for pieces in all_ways(stream, data.draw):
        client = ClientConnection()
        client.send(SendBinaries(1))
        seen = []
        for message in read(client, pieces):
            if message == GoSend():
                client.send(Binary("a", b""))
            else:
                seen.append(message)
        assert seen == frames
        assert client.state is State.IDLE
        # and what comes then is understood
        assert read(client, [server.send(Frame(b"<x/>".ljust(144)))]) == [Frame(b"<x/>".ljust(144))]


@QUICK
@given(st.binary(max_size=400))
def test_no_stream_breaks_the_client_in_an_unforeseen_way(noise):
    client = ClientConnection()
    client.send(SendBinaries(2))
    client.receive_data(noise)
    with suppress(RemoteProtocolError):
        list(client)


class Conversation(RuleBasedStateMachine):
    """Both roles talk to each other over two streams that deliver bytes when they like."""

    @initialize()
    def connect(self):
        self.client = ClientConnection()
        self.server = ServerConnection(optimize=True)
        self.to_server = bytearray()
        self.to_client = bytearray()
        self.asked, self.obeyed = [], []
        self.pushed, self.seen = [], []

    @precondition(lambda self: self.client.state is State.IDLE)
    @rule(command=COMMANDS | st.builds(SendBinaries, st.integers(1, 3)))
    def ask(self, command):
        self.to_server += self.client.send(command)
        self.asked.append(command)

    @precondition(lambda self: self.client.state is State.BINARY_DUE)
    @rule(binary=BINARIES)
    def upload(self, binary):
        self.to_server += self.client.send(binary)
        self.asked.append(binary)

    @precondition(lambda self: self.client.state is State.IDLE)
    @rule()
    def reboot(self):
        self.to_server += self.client.send(Reboot())
        self.asked.append(Reboot())

    @rule(frame=FRAMES)
    def push(self, frame):
        self.to_client += self.server.send(frame)
        self.pushed.append(frame)

    @precondition(lambda self: self.server.state is State.GO_SEND_DUE)
    @rule()
    def go_send(self):
        self.to_client += self.server.send(GoSend())

    @rule(size=st.integers(1, 300))
    def deliver_to_server(self, size):
        self._deliver(self.server, self.to_server, size)
        for message in self.server:
            self.obeyed.append(message)
            if isinstance(message, Available):
                self.to_client += self.server.send(message)

    @rule(size=st.integers(1, 300))
    def deliver_to_client(self, size):
        self._deliver(self.client, self.to_client, size)
        self.seen += [message for message in self.client if isinstance(message, Frame)]

    @staticmethod
    def _deliver(connection, stream, size):
        if stream:
            connection.receive_data(bytes(stream[:size]))
            del stream[:size]

    @invariant()
    def nothing_is_invented(self):
        assert self.obeyed == self.asked[: len(self.obeyed)]
        assert self.seen == self.pushed[: len(self.seen)]

    def teardown(self):
        if not hasattr(self, "client"):
            return
        for _ in range(20):
            self.deliver_to_server(10**6)
            if self.server.state is State.GO_SEND_DUE:
                self.go_send()
            self.deliver_to_client(10**6)
            if self.client.state is State.BINARY_DUE:
                self.upload(Binary("rest", b""))
        assert self.obeyed == self.asked
        assert self.seen == self.pushed
        assert self.client.state is self.server.state


TestConversation = Conversation.TestCase
TestConversation.settings = settings(QUICK, max_examples=40, stateful_step_count=40)
