"""A verdict as plain data, for the record of the run that it ended."""

from __future__ import annotations

from typing import Any

from taskgen.diagnosis.evidence import Doing
from taskgen.diagnosis.rules import Verdict

#: Characters of the registers that are kept: those of a few CPUs.
REGISTERS = 8000


def report(
    verdict: Verdict, doing: Doing, *, at: float, registers: str = "", memory_dump: str = ""
) -> dict[str, Any]:
    """What is kept of a verdict; the fields of ``taskgen.resources.Diagnosis``.

    :param at: seconds since the epoch.
    :param registers: of the guest's CPUs, as QEMU shows them.
    :param memory_dump: path of a dump of the guest's memory.
    """
    return {
        "verdict": verdict.key,
        "text": verdict.text,
        "cause": verdict.cause,
        "evidence": list(verdict.evidence),
        "doing": str(doing),
        "at": at,
        "registers": registers[:REGISTERS],
        "memory_dump": memory_dump,
    }
