"""What is seen of a machine with which something is wrong. Values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Doing(StrEnum):
    """What a machine was about when something went wrong."""

    START = "start"  # it was getting ready
    RUN = "run"
    IDLE = "idle"


class Port(StrEnum):
    """What a new connection to the Taskloader's port meets."""

    ACCEPTS = "accepts"
    REFUSES = "refuses"
    SILENT = "silent"  # neither of both within the limit
    UNREACHABLE = "unreachable"  # nobody answers for the address


class Link(StrEnum):
    """The machine's tap."""

    UP = "up"
    DOWN = "down"
    OFF = "off the bridge"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class ConsoleFault:
    """A line of the console that tells of a fault.

    :ivar line: as plain text.
    :ivar meaning: what it means, for people.
    :ivar fatal: the guest as a whole does not go on after it.
    """

    line: str
    meaning: str
    fatal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was seen of one machine. ``None``: that is not known.

    :ivar doing: what it was about.
    :ivar trouble: what was noticed first, as an error's message; empty: nothing but the rest.
    :ivar waited_s: seconds for which it had been silent, or not ready, when that was given up.
    :ivar started: whether its run had got as far as ``START``.
    :ivar spoke: whether events came in after that.
    :ivar refused: why QEMU did not even start, in its own words; ``None``: it did.
    :ivar qemu_exit: how its QEMU ended; ``None``: it has not.
    :ivar qemu_signal: the signal that killed it, as in ``SIGKILL``.
    :ivar process_state: of its QEMU in ``/proc``, as in ``T`` for one that is stopped.
    :ivar status: QMP's run state, as in ``running``.
    :ivar qmp_silent: QEMU did not answer at all.
    :ivar events: what QEMU told of the guest, in words: ``was reset by itself`` …
    :ivar panicked: QEMU was told by the guest that it panicked.
    :ivar tap: the name of its tap.
    :ivar link: how that is.
    :ivar dhcp: what ails the DHCP server; empty: nothing.
    :ivar lease: its address.
    :ivar mac: its own.
    :ivar answering_mac: who answers for the address.
    :ivar port: what a new connection meets; not tried while the guest serves us.
    :ivar echo: whether it has answered ``AVAILABLE`` when it was asked once more.
    :ivar lost_share: of the packets to and from it, 0 to 1.
    :ivar printed: whether its console has said anything since its start.
    :ivar console_silent_s: seconds since it last did.
    :ivar console_faults: lines that tell of a fault, oldest first, since its start or ``START``.
    """

    doing: Doing
    trouble: str = ""
    waited_s: float | None = None
    started: bool = False
    spoke: bool = False
    refused: str | None = None
    qemu_exit: str | None = None
    qemu_signal: str | None = None
    process_state: str | None = None
    status: str | None = None
    qmp_silent: bool = False
    events: tuple[str, ...] = ()
    panicked: bool = False
    tap: str = ""
    link: Link | None = None
    dhcp: str | None = None
    lease: str | None = None
    mac: str | None = None
    answering_mac: str | None = None
    port: Port | None = None
    echo: bool | None = None
    lost_share: float | None = None
    printed: bool | None = None
    console_silent_s: float | None = None
    console_faults: tuple[ConsoleFault, ...] = ()


def counted(events: Iterable[str]) -> str:
    """What happened, each thing once, with how often it did."""
    return ", ".join(
        event if times == 1 else f"{event} {times} times"
        for event, times in Counter(events).items()
    )


def told(seen: Evidence) -> Iterator[str]:
    """All that was seen, a line each, for people; what is as it should be is told too."""
    if seen.trouble:
        yield f"noticed: {seen.trouble}"
    if seen.refused is not None:
        yield f"QEMU: did not start: {seen.refused}"
        return
    if seen.qemu_exit is not None:
        yield f"QEMU: {seen.qemu_exit}"
    elif seen.process_state is not None:
        yield f"QEMU: process state {seen.process_state}"
    if seen.qmp_silent:
        yield "QMP: no answer"
    elif seen.status is not None:
        yield f"QMP: the guest is {seen.status}"
    if seen.panicked:
        yield "QMP: GUEST_PANICKED"
    if seen.events:
        yield f"QMP: the guest {counted(seen.events)}"
    if seen.link is not None:
        yield f"tap {seen.tap}: {seen.link}"
    if seen.dhcp:
        yield f"DHCP server: {seen.dhcp}"
    yield from _told_of_network(seen)
    yield from _told_of_console(seen)


def _told_of_network(seen: Evidence) -> Iterator[str]:
    if seen.mac is None:
        return  # nobody looked there
    yield f"lease: {seen.lease or 'none'}"
    if seen.answering_mac is not None:
        own = seen.answering_mac == seen.mac
        yield f"neighbour: {seen.answering_mac}, {'its own MAC' if own else f'not {seen.mac}'}"
    if seen.lost_share:
        yield f"packets: {seen.lost_share:.0%} lost"
    if seen.port is not None:
        yield f"a new connection: {seen.port}"
    if seen.echo is not None:
        yield f"AVAILABLE: {'answered' if seen.echo else 'no answer'}"


def _told_of_console(seen: Evidence) -> Iterator[str]:
    if seen.printed is False:
        yield "console: no output since the start"
    elif seen.console_silent_s is not None:
        yield f"console: silent for {seen.console_silent_s:.0f} s"
    yield from (f"console: {fault.line} ({fault.meaning})" for fault in seen.console_faults)
