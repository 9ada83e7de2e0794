"""What was found out of a machine with which something was wrong."""

from __future__ import annotations

from pydantic import Field

from taskgen.resources.base import Resource


class Diagnosis(Resource):
    """What was wrong with a machine, and what shows it; docs/diagnosis.md has the verdicts."""

    verdict: str = Field(description="A key, as in `guest-panic`.")
    text: str = Field(description="The same in a line, for people.")
    cause: str = Field(default="", description="The likely cause, and what to do.")
    evidence: list[str] = Field(default_factory=list, description="All that was seen.")
    doing: str = Field(description="What the machine was about: start, run, idle.")
    at: float = Field(description="When it was examined, seconds since the epoch.")
    registers: str = Field(default="", description="Of the guest's CPUs, as QEMU shows them.")
    memory_dump: str = Field(default="", description="File with the guest's memory; an ELF core.")
