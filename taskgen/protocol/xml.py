"""The XML inside frames and messages: events, and dictionaries for admission control."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from taskgen.errors import LocalProtocolError, RemoteProtocolError
from taskgen.events.model import Event

#: More could not be stored as 64 bits.
_MAX_DIGITS = 18
_NEGATIVE = re.compile(rf"-[0-9]{{1,{_MAX_DIGITS}}}", re.ASCII)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*", re.ASCII)
_REQUIRED = ("type", "task-id", "time-stamp")
_OPTIONAL = {"time-us": "time_us", "release-us": "release_us", "cpu-us": "cpu_us"}

# Frames as our own guests write them, to the letter; all others are for the XML parser. Within them
# there is nothing that a parser could take for anything else.
_PLAIN_HEAD, _PLAIN_TAIL = b"<profile><events>", b"</events></profile>"
_PLAIN_EVENT = re.compile(
    rb'<event type="([A-Z_]+)" task-id="(DIGITS)" time-stamp="(DIGITS)"(?: time-us="(DIGITS)")?'
    rb'(?: release-us="(DIGITS)")?(?: cpu-us="(DIGITS)")?/>'.replace(
        b"DIGITS", b"[0-9]{1,%d}" % _MAX_DIGITS
    )
)


@dataclass(frozen=True, slots=True)
class FrameContent:
    """What a frame says.

    :ivar events: in their order; unknown types and attributes do no harm.
    :ivar problems: what is wrong with the frame, in words; empty if nothing is.
    """

    events: tuple[Event, ...] = ()
    problems: tuple[str, ...] = ()


class _Refused(Exception):
    """A document type or an entity: never needed, and a way to harm the reader."""


class _Reader:
    """Collects events from expat's callbacks."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.problems: list[str] = []
        self.depth = 0
        self.complete = False

    def read(self, payload: bytes) -> None:
        # The encoding is fixed, so that no declaration can choose one.
        parser = expat.ParserCreate("utf-8")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        try:
            parser.Parse(payload, True)
        except expat.ExpatError as error:
            # Behind the closing tag anything may follow.
            if not self.complete:
                self.problems.append(f"malformed XML: {error}")
        except _Refused as error:
            self.problems.append(f"refused XML: {error}")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if name == "event":
            self._event(attributes)

    def _end(self, _name: str) -> None:
        self.depth -= 1
        self.complete = self.depth == 0

    def _refuse(self, name: str, *_rest: object) -> None:
        raise _Refused(f"declaration of {name}")

    def _event(self, attributes: dict[str, str]) -> None:
        get = attributes.get
        event_type = get("type")
        task_id = self._integer("task-id", get("task-id"))
        time_stamp_ms = self._integer("time-stamp", get("time-stamp"))
        if not event_type or task_id is None or time_stamp_ms is None:
            self.problems += [f"event without '{name}'" for name in _REQUIRED if not get(name)]
            return
        self.events.append(
            Event(
                type=event_type,
                task_id=task_id,
                time_stamp_ms=time_stamp_ms,
                time_us=self._integer("time-us", get("time-us")),
                release_us=self._integer("release-us", get("release-us")),
                cpu_us=self._integer("cpu-us", get("cpu-us")),
            )
        )

    def _integer(self, name: str, text: str | None) -> int | None:
        if not text:
            return None
        if text.isdigit() and len(text) <= _MAX_DIGITS and text.isascii():
            return int(text)
        if _NEGATIVE.fullmatch(text):
            return int(text)
        self.problems.append(f"event: '{name}' is {text!r}, not a number")
        return None


def read_frame(payload: bytes) -> FrameContent:
    """Read all that can be read of a frame; what cannot be is a problem, not an exception.

    An event that is incomplete, or a document that breaks off, never costs the other events.
    NULs and rubbish behind the closing tag are ignored; an empty frame says nothing.
    """
    events = _read_plain(payload)
    if events is not None:
        return FrameContent(events)
    if not payload.strip(b"\0 \t\r\n"):
        return FrameContent()
    reader = _Reader()
    reader.read(payload)
    return FrameContent(tuple(reader.events), tuple(reader.problems))


def _read_plain(payload: bytes) -> tuple[Event, ...] | None:
    """What a frame says that is written plainly, in a third of the time that a parser takes.

    :returns: ``None`` for all others, the bad ones among them.
    """
    if not payload.startswith(_PLAIN_HEAD):
        return None
    events: list[Event] = []
    position = len(_PLAIN_HEAD)
    while found := _PLAIN_EVENT.match(payload, position):
        event_type, task_id, time_stamp, time, release, cpu = found.groups()
        events.append(
            Event(
                type=event_type.decode("ascii"),
                task_id=int(task_id),
                time_stamp_ms=int(time_stamp),
                time_us=None if time is None else int(time),
                release_us=None if release is None else int(release),
                cpu_us=None if cpu is None else int(cpu),
            )
        )
        position = found.end()
    # Behind the closing tag anything may follow.
    return tuple(events) if payload.startswith(_PLAIN_TAIL, position) else None


def parse_events(payload: bytes) -> tuple[Event, ...]:
    """The events of a frame that has to be in order.

    :raises RemoteProtocolError: naming the first thing that is wrong with it.
    """
    content = read_frame(payload)
    if content.problems:
        raise RemoteProtocolError(content.problems[0])
    return content.events


def events_to_xml(events: Iterable[Event]) -> bytes:
    """A frame's payload, with the NUL that ends it."""
    parts = ["<profile><events>"]
    for event in events:
        parts.append(
            f"<event type={quoteattr(event.type)} task-id={quoteattr(str(event.task_id))}"
            f" time-stamp={quoteattr(str(event.time_stamp_ms))}"
        )
        for attribute, field in _OPTIONAL.items():
            value = getattr(event, field)
            if value is not None:
                parts.append(f' {attribute}="{value}"')
        parts.append("/>")
    parts.append("</events></profile>\0")
    return "".join(parts).encode("ascii", "xmlcharrefreplace")


def dict_to_xml(data: Mapping[str, Any]) -> bytes:
    """Nested elements from nested dictionaries, as users know them from the prototypes.

    A key is an element, or an attribute if it begins with ``@``, or the text if it is ``#text``;
    a list repeats its element; ``None`` is an empty element; a boolean is ``true`` or ``false``.

    :raises LocalProtocolError: naming the key or the value that cannot be said in XML.
    """
    for key in data:
        _checked_name(key)  # there is no element yet that could have an attribute or a text
    return "".join(_elements(data)).encode("ascii")


def _elements(data: Mapping[str, Any]) -> Iterable[str]:
    for key, value in data.items():
        if _is_special(key):
            continue
        name = _checked_name(key)
        for item in value if isinstance(value, (list, tuple)) else (value,):
            yield from _element(name, item)


def _element(name: str, value: Any) -> Iterable[str]:
    if not isinstance(value, Mapping):
        yield f"<{name}>{escape(_text(name, value))}</{name}>"
        return
    attributes = "".join(
        f" {_checked_name(key[1:])}={quoteattr(_text(key, item))}"
        for key, item in value.items()
        if _is_special(key) and key != "#text"
    )
    yield f"<{name}{attributes}>"
    yield escape(_text(name, value.get("#text")))
    yield from _elements(value)
    yield f"</{name}>"


def _is_special(key: Any) -> bool:
    return isinstance(key, str) and (key.startswith("@") or key == "#text")


def _checked_name(name: Any) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise LocalProtocolError(f"{name!r} cannot be the name of an XML element")
    return name


def _text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, (str, int, float)):
        raise LocalProtocolError(f"{name}: {value!r} cannot be said in XML")
    text = str(value)
    if not text.isascii() or not all(char.isprintable() or char in "\t\n\r" for char in text):
        raise LocalProtocolError(f"{name}: {text!r} is not ASCII text")
    return text
