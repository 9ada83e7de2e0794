"""What a check of the host has found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Grade(StrEnum):
    """How a check went; only ``FAIL`` keeps a fleet from running."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    """One check.

    :ivar found: what there is.
    :ivar advice: what to do about it; empty where nothing is to be done.
    """

    name: str
    grade: Grade
    found: str
    advice: str = ""
