"""The verdicts, in the order in which they are tried: what explains most comes first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from taskgen.diagnosis.evidence import Doing, Evidence, Link, Port, counted, told
from taskgen.interfaces import FailureClass

#: Share of lost packets from which on they are the likely cause.
LOSS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is wrong with a machine.

    :ivar key: tells it from other verdicts, as in ``guest-panic``; see ``docs/diagnosis.md``.
    :ivar text: what is wrong; one line, without the machine's name.
    :ivar cause: the likely cause and what to do; empty where the text says all.
    :ivar failure: who is to blame for the run that it ended.
    :ivar evidence: all that was seen, a line each.
    """

    key: str
    text: str
    cause: str
    failure: FailureClass
    evidence: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.text}: {self.cause}" if self.cause else self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One line of the table.

    :ivar key: see :class:`Verdict`.
    :ivar failure: see :class:`Verdict`.
    :ivar applies: whether the evidence shows it, if no rule before does.
    :ivar text: says it.
    :ivar cause: see :class:`Verdict`.
    """

    key: str
    failure: FailureClass
    applies: Callable[[Evidence], bool]
    text: Callable[[Evidence], str]
    cause: Callable[[Evidence], str] = lambda seen: ""


def diagnose(seen: Evidence) -> Verdict:
    """The verdict on what was seen; there is always exactly one."""
    rule = next(rule for rule in RULES if rule.applies(seen))
    return Verdict(
        key=rule.key,
        text=rule.text(seen),
        cause=rule.cause(seen),
        failure=rule.failure,
        evidence=tuple(told(seen)) or ("nothing could be found out",),
    )


def _exit_cause(seen: Evidence) -> str:
    if seen.qemu_signal == "SIGKILL":
        return "somebody killed it, or the kernel did for want of memory: see dmesg"
    return "somebody ended it, or it crashed"


def _panicked(seen: Evidence) -> bool:
    return seen.panicked or seen.status == "guest-panicked" or _fault(seen, fatal=True) != ""


def _fault(seen: Evidence, *, fatal: bool | None = None) -> str:
    """The first line of the console that tells of a fault, as those after it follow from it."""
    for fault in seen.console_faults:
        if fatal is None or fault.fatal is fatal:
            return f"; console: {fault.line} ({fault.meaning})"
    return ""


def _silence(seen: Evidence) -> str:
    """Since when and after what there was no answer."""
    long = seen.waited_s is not None and seen.waited_s >= 1  # else it tells so itself
    waited = f" for {seen.waited_s:.0f} s" if long else ""
    match seen.doing:
        case Doing.START:
            return f"not ready{waited} after its start"
        case Doing.RUN if not seen.started:
            return f"silent{waited} when it was given a run"
        case Doing.RUN:
            return f"silent{waited} after {'its last event' if seen.spoke else 'START'}"
        case Doing.IDLE:
            return f"silent{waited}"


def _unready(seen: Evidence) -> bool:
    return seen.doing is Doing.START


def _serves(seen: Evidence) -> bool:
    return seen.echo is True


#: Only what ends before a rule is tried has to be excluded in it.
RULES: tuple[Rule, ...] = (
    # QEMU itself.
    Rule(
        key="qemu-refuses",
        failure=FailureClass.MACHINE,
        applies=lambda seen: seen.refused is not None,
        text=lambda seen: f"QEMU did not start: {seen.refused}",
        cause=lambda seen: (
            "the image is none for this machine, or QEMU does not know an option of the profile"
        ),
    ),
    Rule(
        key="qemu-died",
        failure=FailureClass.MACHINE,
        applies=lambda seen: seen.qemu_exit is not None,
        text=lambda seen: f"QEMU {seen.qemu_exit}",
        cause=_exit_cause,
    ),
    Rule(
        key="qemu-stopped",
        failure=FailureClass.MACHINE,
        applies=lambda seen: seen.process_state in ("T", "t"),
        text=lambda seen: "QEMU is stopped by a signal (SIGSTOP), or by a debugger",
        cause=lambda seen: "somebody stopped the process; a new one is launched",
    ),
    # What a guest says of itself goes before what it looks like from outside; one that says nothing
    # at all may reset itself for ever.
    Rule(
        key="guest-panic",
        failure=FailureClass.GUEST,
        applies=_panicked,
        text=lambda seen: f"the guest's kernel has panicked{_fault(seen, fatal=True)}",
        cause=lambda seen: "see its console; a machine that never panicked before may lack memory",
    ),
    Rule(
        key="no-output",
        failure=FailureClass.MACHINE,
        applies=lambda seen: (
            _unready(seen) and seen.printed is False and seen.lease is None and not _serves(seen)
        ),
        text=lambda seen: (
            "no console output"
            + ("" if seen.waited_s is None else f" for {seen.waited_s:.0f} s after start")
            + (f": the guest {counted(seen.events)}" if seen.events else "")
        ),
        cause=lambda seen: (
            "the image may need more memory (-m) or another CPU count (-smp): memory_mb and cpus "
            "of the profile; or it is none for this machine"
        ),
    ),
    Rule(
        key="guest-reset",
        failure=FailureClass.GUEST,
        # At boot that says nothing: the firmware of a PC does it a dozen times after a reset.
        applies=lambda seen: bool(seen.events) and not _unready(seen),
        text=lambda seen: f"the guest {counted(seen.events)}{_fault(seen)}",
        cause=lambda seen: "a crash, or a task that restarts it: see its console",
    ),
    Rule(
        key="guest-paused",
        failure=FailureClass.MACHINE,
        applies=lambda seen: seen.status not in (None, "running"),
        text=lambda seen: f"QEMU does not execute the guest: it is {seen.status}",
        cause=lambda seen: "somebody paused it by QMP, or QEMU met an error of its own",
    ),
    Rule(
        key="qemu-hangs",
        failure=FailureClass.MACHINE,
        applies=lambda seen: seen.qmp_silent,
        text=lambda seen: "QEMU does not answer on QMP",
        cause=lambda seen: (
            "it hangs, as it may with a broken accelerator, or the host is overloaded"
        ),
    ),
    # The network between us and the guest.
    Rule(
        key="tap-gone",
        failure=FailureClass.INFRASTRUCTURE,
        applies=lambda seen: seen.link is Link.GONE,
        text=lambda seen: f"its tap {seen.tap} is gone",
        cause=lambda seen: "somebody deleted it; another machine is launched in its place",
    ),
    Rule(
        key="link-down",
        failure=FailureClass.INFRASTRUCTURE,
        applies=lambda seen: seen.link in (Link.DOWN, Link.OFF) and not _serves(seen),
        text=lambda seen: f"its tap {seen.tap} is {seen.link}",
        cause=lambda seen: "somebody changed the link",
    ),
    Rule(
        key="duplicate-address",
        failure=FailureClass.INFRASTRUCTURE,
        applies=lambda seen: (
            seen.answering_mac is not None
            and seen.mac is not None
            and seen.answering_mac.lower() != seen.mac.lower()
        ),
        text=lambda seen: (
            f"another device answers for {seen.lease} with the MAC {seen.answering_mac}"
        ),
        cause=lambda seen: "a guest or a device took an address that is not its own: find that MAC",
    ),
    # A guest that did not start.
    Rule(
        key="dhcp-dead",
        failure=FailureClass.INFRASTRUCTURE,
        applies=lambda seen: _unready(seen) and seen.lease is None and bool(seen.dhcp),
        text=lambda seen: (
            f"no DHCP lease, because the DHCP server does not work: {seen.dhcp}{_fault(seen)}"
        ),
        cause=lambda seen: "see taskgen status for what ails the server",
    ),
    Rule(
        key="no-lease",
        failure=FailureClass.MACHINE,
        applies=lambda seen: _unready(seen) and seen.lease is None and not _serves(seen),
        text=lambda seen: f"{_silence(seen)}: it has no DHCP lease{_fault(seen)}",
        cause=lambda seen: (
            "the image may lack a network driver or a DHCP client, or boot more slowly "
            "than boot_timeout_s of the profile"
        ),
    ),
    # A guest that does not serve.
    Rule(
        key="packet-loss",
        failure=FailureClass.INFRASTRUCTURE,
        applies=lambda seen: seen.lost_share is not None and LOSS <= seen.lost_share < 1.0,
        text=lambda seen: (
            f"{_silence(seen)}: {seen.lost_share or 0:.0%} of the packets there and back are lost"
        ),
        cause=lambda seen: (
            "something on the bridge or the host drops them, as traffic control does"
        ),
    ),
    Rule(
        key="guest-fault",
        failure=FailureClass.GUEST,
        applies=lambda seen: bool(seen.console_faults),
        text=lambda seen: (
            f"a part of the guest failed; now it answers again{_fault(seen)}"
            if _serves(seen)
            else f"{_silence(seen)}{_fault(seen)}"
        ),
        cause=lambda seen: "a component of the guest has failed; the system around it may go on",
    ),
    Rule(
        key="refused",
        failure=FailureClass.GUEST,
        applies=lambda seen: seen.port is Port.REFUSES,
        text=lambda seen: (
            "lease, but the Taskloader's port refuses"
            if _unready(seen)
            else "the Taskloader has ended: its port refuses"
        ),
        cause=lambda seen: "no server runs in the guest: its console may say why",
    ),
    Rule(
        key="server-hangs",
        failure=FailureClass.GUEST,
        applies=lambda seen: seen.port is Port.ACCEPTS and not _serves(seen),
        text=lambda seen: f"{_silence(seen)}: the guest's network answers, its Taskloader does not",
        cause=lambda seen: "the server hangs, or tasks of a higher priority leave it no time",
    ),
    Rule(
        key="guest-hangs",
        failure=FailureClass.GUEST,
        applies=lambda seen: (
            seen.port in (Port.SILENT, Port.UNREACHABLE) and seen.status == "running"
        ),
        text=lambda seen: (
            f"{_silence(seen)}: the guest does not answer at all, though QEMU executes it"
        ),
        cause=lambda seen: "its kernel hangs, or its network does",
    ),
    Rule(
        key="serves",
        failure=FailureClass.GUEST,
        applies=_serves,
        text=lambda seen: f"{seen.trouble or _silence(seen)}; now it answers again",
        cause=lambda seen: "it was busy for longer than the limit, or packets were lost",
    ),
    Rule(
        key="unknown",
        failure=FailureClass.GUEST,
        applies=lambda seen: True,
        text=lambda seen: seen.trouble or _silence(seen),
        cause=lambda seen: "nothing else was seen of it: its console may say more",
    ),
)
