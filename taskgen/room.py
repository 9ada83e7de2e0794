"""How many machines network and memory have room for, and why fewer than wished. Pure."""

from __future__ import annotations

from dataclasses import dataclass

_HINT = "lower memory_mb in the profile, or raise fleet.memory_mb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What there is room for.

    :ivar slots: machines that the network holds.
    :ivar memory_mb: what machines may take of the host's memory together, MiB.
    :ivar guest_mb: what each guest may take of it, MiB.
    :ivar qemu_mb: what each QEMU needs beside, MiB.
    """

    slots: int
    memory_mb: float
    guest_mb: int
    qemu_mb: int

    @property
    def in_memory(self) -> int:
        """Machines that the memory holds; one is tried in any case."""
        return max(1, self._fit)

    def holds(self, wished: int) -> int:
        """How many of the machines that are wished there can be."""
        return min(wished, self.slots, self.in_memory)

    def reasons(self, wished: int) -> list[str]:
        """Why there can be no more, if fewer than wished; for people."""
        reasons = []
        if wished > self.slots:
            reasons.append(f"{wished} machines are wished, the network has room for {self.slots}")
        if min(wished, self.slots) > self._fit:
            reason = (
                f"{wished} machines are wished, the memory has room for {self._fit} of"
                f" {self.guest_mb} + {self.qemu_mb} MiB in {self.memory_mb:.0f} MiB"
            )
            tried = "" if self._fit else "; one is tried"
            reasons.append(f"{reason}{tried} ({_HINT})")
        return reasons

    @property
    def _fit(self) -> int:
        return int(self.memory_mb // (self.guest_mb + self.qemu_mb))
