"""What there is to be told of a machine. A value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: The state of a slot whose machine was drained: nothing is launched there until it is restarted.
HELD = "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineInfo:
    """A machine, or a slot that is held empty, as it is now.

    :ivar state: one of :class:`~taskgen.lifecycle.MachineState`, or :data:`HELD`.
    :ivar address: from its DHCP lease; ``None``: it has none yet.
    :ivar pid: of its QEMU; ``None`` while there is none.
    :ivar uuid: on the command line of its QEMU.
    :ivar launched_at: seconds since the epoch.
    :ivar ready_s: from its launch to its first answer; ``None``: not ready yet, or not known,
        because an earlier engine launched it.
    :ivar run: the run that it carries out.
    :ivar runs: those that it has carried out for this engine.
    :ivar retiring: it goes once its run is through.
    :ivar adopted: an earlier engine launched it.
    :ivar trouble: what was last wrong with a machine of this slot, as
        :func:`taskgen.diagnosis.report` has it; ``None``: nothing.
    :ivar pinned_cpus: cores that its vCPUs are pinned to, as ``0-2,5``; empty: none.
    :ivar saved_at: when the state that it starts anew from was saved, seconds since the epoch;
        ``None``: there is none.
    :ivar reason: why it is as it is, for people; empty where the state says all.
    """

    name: str
    slot: int
    state: str
    profile: str
    accelerator: str
    mac: str
    tap: str
    address: str | None = None
    pid: int | None = None
    uuid: str | None = None
    launched_at: float | None = None
    ready_s: float | None = None
    run: str | None = None
    runs: int = 0
    retiring: bool = False
    adopted: bool = False
    saved_at: float | None = None
    pinned_cpus: str = ""
    reason: str = ""
    trouble: Mapping[str, Any] | None = None


def held(last: MachineInfo) -> MachineInfo:
    """A slot that is held empty, by what was told of its machine when it went."""
    return MachineInfo(
        name=last.name,
        slot=last.slot,
        state=HELD,
        profile=last.profile,
        accelerator=last.accelerator,
        mac=last.mac,
        tap=last.tap,
        trouble=last.trouble,
        reason="it was drained; restart it to have it back",
    )
