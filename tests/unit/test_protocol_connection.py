"""Each thing that can happen on a connection has one outcome."""

import pytest

from taskgen.errors import LocalProtocolError, RemoteProtocolError
from taskgen.protocol import (
    TRANSITIONS,
    Available,
    Binary,
    Clear,
    ClientConnection,
    ConnectionClosed,
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
    Unknown,
)

WORD_90 = b"\x90\0\0\0"
ECHO = b"\xaa\xaa\x0a\0"
XML_144 = b"<profile><events>".ljust(125) + b"</events></profile>"
XML = b"<profile><events></events></profile>\0"
FRAME = len(XML).to_bytes(4, "little") + XML


def client(*sent):
    connection = ClientConnection()
    for message in sent:
        connection.send(message)
    return connection


def uploading(count=1):
    return client(SendBinaries(count))


def feed(connection, *reads):
    """All messages, read piece by piece."""
    messages = []
    for read in reads:
        connection.receive_data(read)
        messages += connection
    return messages


def bytewise(data):
    return [data[i : i + 1] for i in range(len(data))]


def test_the_page_of_a_whole_upload():
    c = uploading(2)
    assert c.state is State.GO_SEND_DUE
    assert feed(c, WORD_90) == [GoSend()]
    assert c.state is State.BINARY_DUE
    c.send(Binary("a", b"1"))
    assert c.state is State.GO_SEND_DUE
    assert feed(c, WORD_90) == [GoSend()]
    c.send(Binary("b", b"2"))
    assert c.state is State.IDLE


def test_no_binaries_need_no_go_send():
    assert uploading(0).state is State.IDLE


@pytest.mark.parametrize("rest", [XML, b"<profile/>\0\0\0\0", b"<p/>\0rubbish \xff\x90\0\0\0", b""])
def test_a_frame_is_delivered_as_it_came(rest):
    data = len(rest).to_bytes(4, "little") + rest
    assert feed(client(), data + data) == [Frame(rest)] * 2
    assert feed(client(), *bytewise(data + data)) == [Frame(rest)] * 2


def test_an_empty_frame_is_a_frame():
    assert feed(client(), bytes(4)) == [Frame(b"")]


def test_frame_between_send_binaries_and_go_send():
    c = uploading()
    assert feed(c, FRAME) == [Frame(XML)]
    assert c.state is State.GO_SEND_DUE
    assert feed(c, FRAME + WORD_90) == [Frame(XML), GoSend()]


def test_144_bytes_are_a_frame_where_no_go_send_is_outstanding():
    assert feed(client(), WORD_90 + XML_144) == [Frame(XML_144)]
    c = uploading()
    assert feed(c, WORD_90 + FRAME) == [GoSend(), Frame(XML)]  # now the server waits for us
    assert feed(c, WORD_90 + XML_144) == [Frame(XML_144)]
    assert c.state is State.BINARY_DUE


def test_144_bytes_in_one_read_while_a_go_send_is_outstanding():
    c = uploading()
    assert feed(c, WORD_90 + XML_144 + WORD_90) == [Frame(XML_144), GoSend()]
    assert c.state is State.BINARY_DUE


def test_a_few_bytes_of_text_are_waited_for():
    c = uploading()
    assert feed(c, WORD_90 + b"<pr") == []
    assert feed(c, XML_144[3:]) == [Frame(XML_144)]
    assert feed(c, WORD_90) == [GoSend()]


def test_a_length_may_begin_like_text():
    payload = XML.ljust(0x3C3C)  # a length of two bytes that are both '<'
    assert feed(uploading(), WORD_90 + b"<<", b"\0\0" + payload) == [GoSend(), Frame(payload)]
    payload = XML.ljust(0x3C3C + 0x10000)
    assert feed(uploading(), WORD_90 + b"<<\x01", b"\0" + payload) == [GoSend(), Frame(payload)]


def test_a_lone_0x90_is_answered_and_put_right_when_it_was_a_length():
    c = uploading()
    assert feed(c, WORD_90) == [GoSend()]  # nothing follows: the server may well wait for us
    c.send(Binary("a", b""))
    assert feed(c, XML_144) == [Frame(XML_144)]
    assert c.state is State.IDLE
    c.send(Start())
    assert feed(c, WORD_90) == []  # the real one; its binary is on its way
    assert feed(c, FRAME) == [Frame(XML)]
    assert feed(c, WORD_90 + XML_144) == [Frame(XML_144)]  # none is outstanding any more


def test_a_lone_0x90_is_put_right_before_the_answer_too():
    c = uploading()
    assert feed(c, WORD_90, XML_144) == [GoSend(), Frame(XML_144)]
    assert c.state is State.BINARY_DUE
    c.send(Binary("a", b""))
    assert feed(c, WORD_90, FRAME) == [Frame(XML)]


def test_the_same_doubt_twice_in_a_row():
    c = uploading(2)
    assert feed(c, WORD_90) == [GoSend()]
    c.send(Binary("a", b""))
    assert feed(c, XML_144) == [Frame(XML_144)]
    assert feed(c, WORD_90) == []  # taken for the first GO_SEND, but it is a length again
    assert feed(c, *bytewise(XML_144)) == [Frame(XML_144)]
    assert feed(c, WORD_90) == []  # the first one at last
    assert feed(c, WORD_90) == [GoSend()]
    c.send(Binary("b", b""))
    assert feed(c, FRAME) == [Frame(XML)]


def test_two_go_sends_in_one_read_after_an_early_binary():
    c = uploading(2)
    feed(c, WORD_90)
    c.send(Binary("a", b""))
    assert feed(c, XML_144 + WORD_90 + WORD_90) == [Frame(XML_144), GoSend()]


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 7, 1000])
def test_doubt_in_every_split_ends_well(step):
    c = uploading()
    data = FRAME + WORD_90 + XML_144 + WORD_90
    messages = feed(c, *(data[i : i + step] for i in range(0, len(data), step)))
    assert [m for m in messages if m != GoSend()] == [Frame(XML), Frame(XML_144)]
    assert messages.count(GoSend()) == 1
    c.send(Binary("a", b""))
    assert feed(c, FRAME) == [Frame(XML)]
    assert c.state is State.IDLE


def test_the_echo_is_too_large_for_a_length():
    assert feed(client(Available()), ECHO) == [Available()]
    assert feed(client(Available()), FRAME + ECHO + FRAME) == [Frame(XML), Available(), Frame(XML)]


def test_an_echo_that_nobody_asked_for_is_harmless():
    assert feed(client(), ECHO + FRAME) == [Available(), Frame(XML)]


def test_an_answer_between_a_frames_length_and_its_text():
    length = len(XML).to_bytes(4, "little")
    assert feed(client(Available()), length + ECHO + XML) == [Available(), Frame(XML)]
    assert feed(uploading(), length + WORD_90 + XML) == [GoSend(), Frame(XML)]
    assert feed(uploading(), *bytewise(length + WORD_90 + XML)) == [GoSend(), Frame(XML)]


def test_a_go_send_that_was_acted_on_before_inside_a_frame():
    c = uploading()
    feed(c, WORD_90)
    c.send(Binary("a", b""))
    feed(c, XML_144)
    assert feed(c, len(XML).to_bytes(4, "little") + WORD_90 + XML) == [Frame(XML)]


def test_without_a_question_such_a_word_is_a_frames_own():
    payload = ECHO + b"rubbish"
    assert feed(client(), len(payload).to_bytes(4, "little") + payload) == [Frame(payload)]


def test_a_frame_too_short_for_a_word():
    assert feed(client(Available()), b"\x02\0\0\0ab" + ECHO) == [Frame(b"ab"), Available()]


def test_the_longest_frame_and_one_byte_more():
    longest = XML.ljust(100_000)
    assert feed(client(), (100_000).to_bytes(4, "little") + longest) == [Frame(longest)]
    c = client()
    c.receive_data(FRAME + (100_001).to_bytes(4, "little") + longest)
    assert c.next_event() == Frame(XML)
    for _ in range(2):  # it stays broken
        with pytest.raises(RemoteProtocolError, match="100001 bytes announced, at most 100000"):
            c.next_event()
    assert c.state is State.CLOSED
    c.receive_data(FRAME)  # what else comes is not looked at
    with pytest.raises(RemoteProtocolError):
        c.next_event()
    with pytest.raises(LocalProtocolError, match="closed"):
        c.send(Clear())


def test_eof_between_messages():
    c = client()
    assert feed(c, FRAME, b"") == [Frame(XML), ConnectionClosed()]
    assert c.state is State.CLOSED
    assert c.next_event() is None
    c.receive_data(b"")
    with pytest.raises(LocalProtocolError, match="after the end"):
        c.receive_data(b"x")


@pytest.mark.parametrize(
    ("got", "reason"),
    [
        (FRAME[:2], "inside a message, 2 bytes"),
        (FRAME[:4], "inside a frame: 0 of 37 bytes"),
        (FRAME[:-1], "inside a frame: 36 of 37 bytes"),
    ],
)
def test_eof_inside_a_frame(got, reason):
    c = client()
    assert feed(c, got) == []
    c.receive_data(b"")
    with pytest.raises(RemoteProtocolError, match=reason):
        c.next_event()


def test_eof_while_a_doubtful_word_waits_for_more():
    c = uploading()
    feed(c, WORD_90 + b"<p")
    c.receive_data(b"")
    with pytest.raises(RemoteProtocolError, match="inside a message, 6 bytes"):
        c.next_event()


def test_eof_after_a_lone_0x90():
    assert feed(uploading(), WORD_90, b"") == [GoSend(), ConnectionClosed()]


def test_a_reboot_may_cut_anything_off():
    c = client(Reboot())
    assert feed(c, FRAME + FRAME[:9], b"") == [Frame(XML), ConnectionClosed()]
    s = ServerConnection()
    assert feed(s, bytes.fromhex("d3590100 e6"), b"") == [Reboot(), ConnectionClosed()]


CLIENT_MESSAGES = [
    SendDescs(b"<a/>"),
    Optimize(b"<a/>"),
    SendBinaries(2),
    Binary("a", b""),
    Clear(),
    Start(),
    Stop(),
    GetProfile(),
    GetLive(),
    Reboot(),
    Available(),
]


def reach(state):
    """A client connection that is in this state."""
    match state:
        case State.IDLE:
            return client()
        case State.GO_SEND_DUE:
            return uploading(2)
        case State.BINARY_DUE:
            connection = uploading(2)
            feed(connection, WORD_90)
            return connection
        case State.REBOOTING:
            return client(Reboot())
        case State.CLOSED:
            connection = client()
            feed(connection, b"")
            return connection


@pytest.mark.parametrize("message", CLIENT_MESSAGES, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("state", State)
def test_a_client_walks_the_table_and_nowhere_else(state, message):
    connection = reach(state)
    assert connection.state is state
    after = TRANSITIONS[state].get(type(message))
    if after is None:
        with pytest.raises(LocalProtocolError, match=f"{type(message).__name__} cannot be sent"):
            connection.send(message)
        assert connection.state is state
    else:
        connection.send(message)
        assert connection.state is after


@pytest.mark.parametrize("state", set(State) - {State.CLOSED})
def test_every_state_can_be_closed(state):
    connection = reach(state)
    assert feed(connection, b"") == [ConnectionClosed()]
    assert connection.state is State.CLOSED


@pytest.mark.parametrize("message", [GoSend(), Frame(b""), Unknown(1), ConnectionClosed()])
def test_what_a_client_never_sends(message):
    with pytest.raises(LocalProtocolError, match="not ours"):
        client().send(message)


@pytest.mark.parametrize("message", [m for m in CLIENT_MESSAGES if m != Available()])
def test_what_a_server_never_sends(message):
    with pytest.raises(LocalProtocolError, match="not ours"):
        ServerConnection().send(message)


def test_a_server_says_go_send_and_echo_only_when_asked():
    s = ServerConnection()
    for message in (GoSend(), Available()):
        with pytest.raises(LocalProtocolError, match="idle"):
            s.send(message)
    assert feed(s, ECHO) == [Available()]
    assert s.send(Available()) == ECHO
    with pytest.raises(LocalProtocolError):
        s.send(Available())
    feed(s, b"")
    with pytest.raises(LocalProtocolError, match="closed"):
        s.send(Frame(XML))


def test_a_server_leaves_an_early_binary_until_it_has_asked_for_it():
    s = ServerConnection()
    asked = ClientConnection().send(SendBinaries(1))
    data = asked + b"hey".ljust(16, b"\0") + b"\x02\0\0\0hi" + ECHO
    assert feed(s, data) == [SendBinaries(1)]
    assert s.send(Frame(XML)) == FRAME  # pushed at any time
    assert s.send(GoSend()) == WORD_90
    assert list(s) == [Binary("hey", b"hi"), Available()]
    assert s.state is State.IDLE


def test_a_server_takes_a_binary_byte_by_byte():
    s = ServerConnection()
    feed(s, ClientConnection().send(SendBinaries(1)))
    s.send(GoSend())
    data = b"hey".ljust(16, b"\0") + b"\x02\0\0\0hi"
    assert feed(s, *bytewise(data)) == [Binary("hey", b"hi")]


def test_a_server_goes_on_behind_words_that_it_does_not_know():
    optimize = ClientConnection().send(Optimize(b"<o/>"))
    assert feed(ServerConnection(optimize=True), optimize) == [Optimize(b"<o/>")]
    # one that does not know it reads the length and the XML as commands
    assert feed(ServerConnection(), optimize + ECHO) == [
        Unknown(0x6F7074),
        Unknown(4),
        Unknown(0x3E2F6F3C),
        Available(),
    ]
    assert feed(ServerConnection(), WORD_90) == [Unknown(0x90)]


def test_eof_inside_a_command():
    s = ServerConnection()
    feed(s, b"\xe5\x0d\0\0\x04\0\0\0<a")
    s.receive_data(b"")
    with pytest.raises(RemoteProtocolError, match="inside a message, 10 bytes"):
        s.next_event()


def test_a_bad_command_closes_the_servers_side():
    s = ServerConnection()
    s.receive_data(b"\xe5\x0d\0\0\x01\0\0\0\xff")
    with pytest.raises(RemoteProtocolError, match="ASCII"):
        s.next_event()
    assert s.state is State.CLOSED
