"""What is read out of frames, and what is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskgen.errors import LocalProtocolError, RemoteProtocolError
from taskgen.events.model import Event, EventType
from taskgen.protocol import dict_to_xml, events_to_xml, parse_events, read_frame

START = Event(type="START", task_id=1, time_stamp_ms=5)
EXIT = Event(type="EXIT", task_id=1, time_stamp_ms=9)
ONE = b'<event type="START" task-id="1" time-stamp="5"/>'
TWO = b'<event type="EXIT" task-id="1" time-stamp="9"/>'


def frame(*events):
    return b"<profile><events>" + b"".join(events) + b"</events></profile>"


def test_one_event_and_many():
    assert parse_events(frame(ONE)) == (START,)
    assert parse_events(frame(ONE, TWO)) == (START, EXIT)


@pytest.mark.parametrize("payload", [b"", b"\0\0", b" \n\0", frame(), b"<profile/>", b"<live/>\0"])
def test_frames_that_say_nothing(payload):
    assert parse_events(payload) == ()


@pytest.mark.parametrize(
    "rest",
    [b"\0", b"\0\0\0\0", b"rubbish", b"\xff\xfe", b"\0<profile>", b"<more/>", b"<!DOCTYPE x>"],
)
def test_what_follows_the_closing_tag_is_ignored(rest):
    assert parse_events(frame(ONE) + rest) == (START,)


def test_times_in_microseconds_where_the_guest_tells_them():
    payload = frame(
        b'<event type="EXIT" task-id="1" time-stamp="9"'
        b' time-us="9001" release-us="4000" cpu-us="3"/>'
    )
    assert parse_events(payload) == (
        Event(type="EXIT", task_id=1, time_stamp_ms=9, time_us=9001, release_us=4000, cpu_us=3),
    )


def test_unknown_attributes_elements_and_types_do_no_harm():
    payload = frame(
        b"<note>hm</note>",
        b'<event colour="red" type="ODD" task-id="2" time-stamp="3"><x/></event>',
    )
    assert parse_events(payload) == (Event(type="ODD", task_id=2, time_stamp_ms=3),)


def test_a_declaration_cannot_choose_the_encoding():
    declaration = b'<?xml version="1.0" encoding="klingon"?>'
    assert parse_events(declaration + frame(ONE)) == (START,)


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        (b'<event task-id="1" time-stamp="1"/>', "event without 'type'"),
        (b'<event type="" task-id="1" time-stamp="1"/>', "event without 'type'"),
        (b'<event type="EXIT" time-stamp="1"/>', "event without 'task-id'"),
        (b'<event type="EXIT" task-id="1"/>', "event without 'time-stamp'"),
        (b'<event type="EXIT" task-id="1" time-stamp="1_0"/>', "'time-stamp' is '1_0', not a"),
        (
            b'<event type="EXIT" task-id="\xd9\xa3" time-stamp="1"/>',
            "'task-id' is '٣', not a number",
        ),
        (b'<event type="EXIT" task-id="1" time-stamp="%d"/>' % 10**18, "'time-stamp' is '1000"),
        (b'<event type="EXIT" task-id="" time-stamp="1"/>', "event without 'task-id'"),
        (b'<event type="EXIT" task-id="0x1" time-stamp="1"/>', "'task-id' is '0x1', not a number"),
    ],
)
def test_an_incomplete_event_costs_only_itself(event, problem):
    content = read_frame(frame(ONE, event, TWO))
    assert content.events == (START, EXIT)
    assert len(content.problems) == 1
    assert problem in content.problems[0]


def test_a_bad_optional_number_costs_only_itself():
    content = read_frame(
        frame(b'<event type="START" task-id="1" time-stamp="5" time-us="soon" cpu-us="7"/>')
    )
    assert content.events == (Event(type="START", task_id=1, time_stamp_ms=5, cpu_us=7),)
    assert content.problems == ("event: 'time-us' is 'soon', not a number",)


@pytest.mark.parametrize(
    "payload",
    [
        b"no XML",
        b"<profile><events>",
        b"<profile></events>",
        b"<profile a=b/>",
        b"\0" + frame(),
        b"<profile>\xff</profile>",
        b"<profile>\0</profile>",
        b"<profile>&unknown;</profile>",
    ],
)
def test_malformed_xml_is_named(payload):
    with pytest.raises(RemoteProtocolError, match=r"malformed XML: .*line 1, column \d+"):
        parse_events(payload)


def test_events_before_the_damage_count():
    content = read_frame(frame(ONE, TWO, b"<event type="))
    assert content.events == (START, EXIT)
    assert "malformed" in content.problems[0]


@pytest.mark.parametrize(
    "declaration",
    [
        b"<!DOCTYPE profile>",
        b'<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;">]>',
        b'<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    ],
)
def test_document_types_and_entities_are_refused(declaration):
    content = read_frame(declaration + frame(ONE))
    assert content.events == ()
    assert content.problems[0].startswith("refused XML")


INTEGERS = st.integers(1 - 10**18, 10**18 - 1)
MAYBE = st.none() | INTEGERS
EVENTS = st.builds(
    Event,
    type=st.sampled_from([kind.value for kind in EventType])
    | st.text(st.characters(min_codepoint=32, max_codepoint=0xFFFD), min_size=1).filter(
        lambda text: text.isprintable()
    ),
    task_id=INTEGERS,
    time_stamp_ms=INTEGERS,
    time_us=MAYBE,
    release_us=MAYBE,
    cpu_us=MAYBE,
)


@settings(deadline=None, max_examples=60)
@given(st.lists(EVENTS, max_size=5), st.binary(max_size=20))
def test_round_trip(events, rest):
    payload = events_to_xml(events)
    assert payload.isascii()
    assert payload.endswith(b">\0")
    assert parse_events(payload + rest) == tuple(events)


@settings(deadline=None, max_examples=200)
@given(st.lists(EVENTS, min_size=1, max_size=3), st.data())
def test_plain_frames_are_read_as_the_parser_reads_them(events, data):
    payload = bytearray(events_to_xml(events))
    for _ in range(data.draw(st.integers(0, 2))):
        where = data.draw(st.integers(0, len(payload)))
        payload[where : where + data.draw(st.integers(0, 2))] = data.draw(
            st.sampled_from([b"", b"0", b'"', b"<", b">", b"/", b" ", b"\0", b"&", b"A", b"\xff"])
        )
    ours, parsed = read_frame(bytes(payload)), read_frame(b" " + payload)  # not plain any more
    assert ours.events == parsed.events
    assert bool(ours.problems) == bool(parsed.problems)


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=300))
def test_no_payload_raises(noise):
    read_frame(noise)
    read_frame(b"<profile>" + noise)


def test_admission_control_data_of_the_prototypes():
    data = {
        "optimize": {
            "goal": {"fairness": {"apply": 1}, "utilization": {"apply": 0}},
            "query_interval": 1000,
        }
    }
    assert dict_to_xml(data) == (
        b"<optimize><goal><fairness><apply>1</apply></fairness>"
        b"<utilization><apply>0</apply></utilization></goal>"
        b"<query_interval>1000</query_interval></optimize>"
    )


def test_attributes_lists_texts_and_empty_elements():
    data = {"a": {"@x": 'say "<"', "#text": "1 < 2", "b": ["one", "two"], "c": None, "d": True}}
    assert dict_to_xml(data) == (
        b"<a x='say \"&lt;\"'>1 &lt; 2<b>one</b><b>two</b><c></c><d>true</d></a>"
    )
    assert dict_to_xml({"f": False, "g": 0.5, "h": {}}) == b"<f>false</f><g>0.5</g><h></h>"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"a b": 1}, "'a b' cannot be the name"),
        ({"a": {"1": 1}}, "'1' cannot be the name"),
        ({"a": {3: 1}}, "3 cannot be the name"),
        ({"@x": 1}, "'@x' cannot be the name"),
        ({"#text": "x"}, "'#text' cannot be the name"),
        ({"a": {"@": 1}}, "'' cannot be the name"),
        ({"a": "ä"}, "a: 'ä' is not ASCII"),
        ({"a": "\0"}, "is not ASCII"),
        ({"a": {"b": object}}, "b: <class 'object'> cannot be said"),
        ({"a": {"@x": [1]}}, "@x: .* cannot be said"),
    ],
)
def test_what_cannot_be_said_in_xml(data, reason):
    with pytest.raises(LocalProtocolError, match=reason):
        dict_to_xml(data)
