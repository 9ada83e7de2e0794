"""The host's clock: results are stamped with it, and guests take theirs from it."""

from __future__ import annotations

import ctypes
from pathlib import Path

from taskgen.host.doctor.check import Check, Grade

_libc = ctypes.CDLL(None, use_errno=True)
_UNSYNCHRONISED = 0x40  # STA_UNSYNC, linux/timex.h

_SOURCES = Path("/sys/devices/system/clocksource/clocksource0")
#: Reading one of these takes a microsecond and more, and goes through the hypervisor in a guest.
_SLOW = frozenset({"acpi_pm", "hpet", "jiffies", "pit", "refined-jiffies"})


class _Timex(ctypes.Structure):
    """The beginning of ``struct timex``, and room for the rest."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


def check_clock() -> Check:
    """Whether the kernel knows that somebody keeps its clock right."""
    timex = _Timex()  # no modes: nothing is set
    if _libc.adjtimex(ctypes.byref(timex)) < 0:
        return Check("clock", Grade.WARN, "adjtimex(2) is refused", "a container may not ask")
    return judge_clock(timex.status, timex.maxerror)


def judge_clock(status: int, maxerror_us: int) -> Check:
    """What the kernel's status of its clock means."""
    if status & _UNSYNCHRONISED:
        return Check(
            "clock",
            Grade.WARN,
            "nobody keeps it right: times of results may jump, and differ from other hosts'",
            "apt-get install chrony, or systemctl enable --now systemd-timesyncd",
        )
    return Check("clock", Grade.OK, f"kept right, to {maxerror_us / 1000:.0f} ms at most")


def check_clock_source(directory: Path = _SOURCES) -> Check:
    """Whether the clock can be read quickly."""
    name = "clock source"
    try:
        source = (directory / "current_clocksource").read_text(encoding="ascii").strip()
        others = (directory / "available_clocksource").read_text(encoding="ascii").split()
    except OSError as error:
        return Check(name, Grade.WARN, f"cannot be read: {error.strerror}")
    better = [other for other in others if other not in _SLOW]
    if source in _SLOW:
        advice = (
            f"echo {better[0]} > {directory / 'current_clocksource'}"
            if better
            else "the kernel trusts no better one: dmesg tells why; guests' times are less precise"
        )
        return Check(name, Grade.WARN, f"{source}, which is slow to read", advice)
    return Check(name, Grade.OK, source)
