"""What the machines of one fleet have in common."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from taskgen.binaries import Binaries
from taskgen.host.qemu import DEFAULT_USER
from taskgen.host.qemu_command import Accelerator, Launch, command, overhead_mb
from taskgen.host.snapshot_store import SnapshotStore
from taskgen.host.templates import Templates
from taskgen.load import Demand
from taskgen.machine_doctor import Dumps
from taskgen.profiles import Profile
from taskgen.run_settings import Reset
from taskgen.slots import Slot


@dataclass(frozen=True, kw_only=True)
class MachineKind:
    """What the machines of one fleet have in common.

    :ivar accelerator: what executes the guests' instructions.
    :ivar binaries: where the task binaries lie.
    :ivar user: the system user that QEMU runs as; ``None``: the caller.
    :ivar icount: virtual time, where the profile offers it.
    :ivar reset: what is done to a machine between two runs.
    :ivar snapshots: where states of machines are saved; ``None``: none are.
    :ivar templates: where the state comes from that they all go on from; ``None``: each has its
        own, if any.
    :ivar dumps: where dumps of guests' memory go; ``None``: none are made.
    :ivar provenance: goes into each outcome, beside what the machine itself adds.
    """

    profile: Profile
    accelerator: Accelerator
    binaries: Binaries
    user: str | None = DEFAULT_USER
    icount: bool = False
    reset: Reset = Reset.CLEAR
    snapshots: SnapshotStore | None = None
    templates: Templates | None = None
    dumps: Dumps | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def goes_back_in_place(self) -> bool:
        """Whether a QEMU that runs can have its guest go back to a saved state as a whole.

        An emulated x86 has a time-stamp counter that never goes back within one process
        (``cpu_get_ticks()`` in QEMU's ``softmmu/cpu-timers.c``): the guest's clock, which is read
        from it, would jump ahead by all the time since the process began.
        """
        emulated = self.accelerator is Accelerator.TCG and not self.icount
        return not (emulated and self.profile.architecture in ("x86_64", "i386"))

    @property
    def demand(self) -> Demand:
        """What each of them asks of the host. Where time is virtual, one thread does it all."""
        return Demand(
            vcpus=1 if self.icount else self.profile.cpus,
            memory_mb=self.profile.memory_mb + overhead_mb(self.accelerator),
        )

    def fingerprint(self, slot: Slot) -> str:
        """Of all that a slot's machine is launched with, but for the content of image and QEMU.

        A machine that has another one is not what a launch would give.
        """
        launch = Launch(
            name=slot.name,
            uuid="",
            accelerator=self.accelerator,
            files={path: str(path) for path in self.profile.image_files()},
            log_fd=0,
            console_fd=0,
            qmp_fd=0,
            mac=slot.mac,
            tap_fd=0,
            icount=self.icount,
        )
        parts = [command(self.profile, launch), slot.tap, self.user]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
