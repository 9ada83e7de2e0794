"""What a machine's saved state depends on, looked at when it is launched."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import asdict
from pathlib import Path

from taskgen.host.origins import emulator_version, image_sha256
from taskgen.host.qemu_command import Accelerator
from taskgen.host.snapshot_file import Key
from taskgen.machine_kind import MachineKind
from taskgen.slots import Network, Slot

#: How a template is kept on disk: templates of another form are of no use, and are removed.
_TEMPLATE_FORM = "2"


async def snapshot_key(kind: MachineKind, slot: Slot, network: Network) -> Key:
    """The key of the state that a machine of a slot has, if it is launched now.

    :raises ConfigError: if the image is not there.
    :raises HostError: if that cannot be read, or QEMU does not say what it is.
    """
    profile = kind.profile
    return Key(
        slot=slot.name,
        place={
            "profile": profile.name,
            "image": " ".join(map(str, profile.image_files())),
            "accelerator": str(kind.accelerator),
            "icount": str(kind.icount),
            "mac": slot.mac,
            "address": str(slot.address),
        },
        facts={
            "profile": _digest(asdict(profile)),
            "machine": kind.fingerprint(slot),
            "image": await image_sha256(profile),
            "QEMU": await emulator_version(profile.emulator),
            # What a guest has learnt by DHCP: it does not ask again.
            "network": f"{network.subnet} by {network.bridge_address}",
            "host": _processor(kind.accelerator),
        },
    )


async def template_key(kind: MachineKind, network: Network) -> Key:
    """The key of the state that all machines of a kind can go on from, which is of none of them.

    :raises ConfigError: as :func:`snapshot_key`, as for the others.
    """
    nobody = Slot(number=0, mac=nobodys_mac(network), address=network.subnet.network_address)
    key = await snapshot_key(kind, nobody, network)
    own = {name: value for name, value in key.place.items() if name not in ("mac", "address")}
    # Who it is, and in which network, is told to each of them.
    facts = {name: value for name, value in key.facts.items() if name != "network"}
    return Key(slot="template", place=own, facts={**facts, "form": _TEMPLATE_FORM})


def nobodys_mac(network: Network) -> str:
    """A MAC that no slot has."""
    return f"{network.mac_prefix}:00"


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, default=str, sort_keys=True).encode()).hexdigest()


def _processor(accelerator: Accelerator) -> str:
    """What a guest sees of the host. Where that is emulated, it is how fast the time stamp counter
    runs: the guest has measured that when it booted."""
    emulated = accelerator is Accelerator.TCG
    told = "model name" if emulated else ("model", "flags", "microcode")
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    facts = sorted({line for line in lines if line.startswith(told)})
    return _digest(facts if emulated else [platform.release(), *facts])
