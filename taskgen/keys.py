"""The keys of a task: one table, which the model, the validator, the documents and the docs share.

What a key means to a server is the protocol's matter (docs/protocol.md); the allowed ranges are
those that every known server carries out exactly. Genode's Taskloader turns milliseconds into
microseconds in 32 bits, so a time is refused where that would overflow without a word.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from taskgen.errors import TaskSetError
from taskgen.scalars import argument, data, integer, package, size

#: The largest unsigned number of 32 bits.
MAX_U32 = 2**32 - 1
#: The longest time in ms whose microseconds still fit into 32 bits: about 71 minutes.
MAX_TIMER_MS = MAX_U32 // 1000


class KeyType(StrEnum):
    """What kind of value a key takes."""

    INTEGER = "integer"
    SIZE = "size"
    NAME = "name"
    TREE = "tree"
    DATA = "data"


class Sent(StrEnum):
    """Whether a key becomes an element of the task's description."""

    ALWAYS = "always"
    IF_GIVEN = "if given"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of a task.

    :ivar unit: of the value; empty if it has none.
    :ivar default: what a server is told where the user gave nothing; ``None``: there is none.
    :ivar minimum: smallest integer allowed.
    :ivar maximum: largest integer allowed.
    :ivar meaning: one sentence for people.
    """

    name: str
    type: KeyType
    unit: str = ""
    default: Any = None
    minimum: int | None = None
    maximum: int | None = None
    sent: Sent
    meaning: str

    @property
    def allowed(self) -> str:
        """What values are allowed, for error messages and docs."""
        match self.type:
            case KeyType.INTEGER:
                return f"a whole number from {self.minimum} to {self.maximum}"
            case KeyType.SIZE:
                return "a size such as 512K, 1M or 1G"
            case KeyType.NAME:
                return "a file name of at most 15 bytes of ASCII"
            case KeyType.TREE:
                return "names and values (numbers or printable ASCII text), nested at will"
            case KeyType.DATA:
                return "names and values (text, numbers, booleans, lists), nested at will"

    def check(self, value: Any, where: str) -> Any:
        """The value as it is kept: a plain Python value that is allowed for this key.

        :param where: what to call the key in the error message, as in ``1.period``.
        :raises TaskSetError: if the value is not allowed.
        """
        match self.type:
            case KeyType.INTEGER:
                assert self.minimum is not None
                assert self.maximum is not None
                return integer(value, self.minimum, self.maximum, where)
            case KeyType.SIZE:
                return size(value, where)
            case KeyType.NAME:
                return package(value, where)
            case KeyType.TREE:
                return argument(value, where)
            case KeyType.DATA:
                return data(value, where)


def _always(name: str, meaning: str, *, unit: str = "ms", maximum: int = MAX_TIMER_MS) -> Key:
    return Key(
        name=name,
        type=KeyType.INTEGER,
        unit=unit,
        default=0,
        minimum=0,
        maximum=maximum,
        sent=Sent.ALWAYS,
        meaning=meaning,
    )


def _if_given(name: str, meaning: str, low: int, high: int, *, unit: str = "") -> Key:
    return Key(
        name=name,
        type=KeyType.INTEGER,
        unit=unit,
        minimum=low,
        maximum=high,
        sent=Sent.IF_GIVEN,
        meaning=meaning,
    )


_ALL = (
    Key(
        name="id",
        type=KeyType.INTEGER,
        minimum=0,
        maximum=2**31 - 1,
        sent=Sent.ALWAYS,
        meaning="Unique in the task-set; assigned from 1 where not given. Never varies.",
    ),
    Key(
        name="pkg",
        type=KeyType.NAME,
        sent=Sent.ALWAYS,
        meaning="Name of the task binary. Must be given.",
    ),
    Key(
        name="quota",
        type=KeyType.SIZE,
        unit="bytes",
        default="1M",
        sent=Sent.ALWAYS,
        meaning="Memory that the task may use.",
    ),
    _if_given("caps", "Capability quota; newer Genode servers only.", 1, MAX_U32),
    Key(
        name="config",
        type=KeyType.TREE,
        default={},
        sent=Sent.ALWAYS,
        meaning="Handed to the task as XML: config.arg1 is its first argument.",
    ),
    _always(
        "executiontime",
        "Declared worst-case execution time. Enforced by the Linux guest where deadline is set.",
        maximum=MAX_U32,
    ),
    _always("criticaltime", "Kill an activation that is still running after so long; 0: never."),
    _always("period", "Time between releases; 0: released once."),
    _always("offset", "Time before the first release."),
    Key(
        name="numberofjobs",
        type=KeyType.INTEGER,
        default=1,
        minimum=0,
        maximum=MAX_U32,
        sent=Sent.ALWAYS,
        meaning="Activations to run; 0: without end.",
    ),
    _if_given(
        "priority",
        "Fixed priority, 0 is the most urgent. Not given: SCHED_OTHER on the Linux guest, the most "
        "urgent on a Genode server.",
        0,
        127,
    ),
    _if_given(
        "deadline",
        "Relative deadline; above 0 it selects EDF where the server has that.",
        0,
        MAX_TIMER_MS,
        unit="ms",
    ),
    _if_given("cores", "Number of CPUs to run on; newer servers only.", 1, 1024),
    _if_given("coreoffset", "The first of these CPUs; newer servers only.", 0, 1023),
    Key(
        name="extra",
        type=KeyType.DATA,
        default={},
        sent=Sent.NEVER,
        meaning="Your own data: kept with the results, never sent.",
    ),
)

#: All keys by name, in the order in which they are sent and in which they vary.
KEYS: Mapping[str, Key] = {key.name: key for key in _ALL}

# No dot, because that separates the parts of a path; "@" marks an XML attribute.
_ARGUMENT_NAME = re.compile(r"@?[A-Za-z_][A-Za-z0-9_-]*")


def find(path: str, where: str | None = None) -> Key:
    """The key that ``path`` begins with: ``period``, ``config.arg1``.

    :param where: what to call it in the error message, if not ``path``.
    :raises TaskSetError: if there is no such key; the message suggests the nearest.
    """
    where = path if where is None else where
    if not isinstance(path, str):
        raise TaskSetError(f"{path!r}: the keys of a task are text")
    name, *rest = path.split(".")
    key = KEYS.get(name)
    if key is None:
        raise TaskSetError(f"{where}: there is no such key", hint=_nearest(name))
    if rest and key.type not in (KeyType.TREE, KeyType.DATA):
        raise TaskSetError(f"{where}: {name} has no parts", hint=f"it is {key.allowed}")
    for number, part in enumerate(rest, 1):
        if key.type is KeyType.DATA:
            if not part or part.startswith("$"):  # documents say special things with "$"
                raise TaskSetError(f"{where}: {part!r} is not a name for data")
            continue
        attribute_inside = part.startswith("@") and number < len(rest)
        if not _ARGUMENT_NAME.fullmatch(part) or attribute_inside:
            raise TaskSetError(
                f"{where}: {part!r} is not a name for an argument",
                hint="letters, digits, _ and -, beginning with a letter or _; @ for an attribute",
            )
    return key


def _nearest(name: str) -> str:
    short = name.lower()
    near = [key for key in KEYS if len(short) > 2 and short in key]  # prio, jobs
    near += difflib.get_close_matches(short, KEYS, n=1, cutoff=0.5)
    return f"did you mean '{near[0]}'?" if near else f"keys: {', '.join(KEYS)}"
