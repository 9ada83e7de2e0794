"""Which accelerator a machine gets: KVM where a guest really boots with it, else TCG.

That ``/dev/kvm`` opens proves nothing: there are hosts on which a virtual machine is made and its
guest then hangs. So the profile's own guest is booted once, and the verdict is remembered for this
host, kernel, QEMU and image.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import platform
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from taskgen.config import STRICT, convert
from taskgen.errors import ConfigError, HostError, LaunchError
from taskgen.host.accounts import account, group_of
from taskgen.host.file_lock import file_lock
from taskgen.host.fleet_directory import FleetDirectory
from taskgen.host.inotify import Inotify
from taskgen.host.origins import emulator_version
from taskgen.host.qemu import DEFAULT_USER, KVM_DEVICE, Qemu
from taskgen.host.qemu_command import Accelerator
from taskgen.host.qemu_start import launch
from taskgen.host.records import Kind, embedded_name, state_root
from taskgen.host.waiting import in_thread
from taskgen.profiles import Profile
from taskgen.whole_file import whole_file

log = logging.getLogger(__name__)

_BOOT_S = 8.0  # with KVM the guest shows life after a tenth of this
_OTHERS_PROBE_S = 60.0


@dataclass(frozen=True)
class Verdict:
    """An accelerator, and why that one.

    :ivar hint: what to do for a faster one, if anything.
    """

    accelerator: Accelerator
    reason: str
    hint: str | None = None


@dataclass(frozen=True)
class _Probed:
    """One entry of the file of verdicts. ``checked`` is in seconds since the epoch."""

    __pydantic_config__ = STRICT

    works: bool
    reason: str
    checked: float
    facts: dict[str, Any]


async def choose(
    profile: Profile,
    wanted: Literal["auto", "kvm", "tcg"] = "auto",
    *,
    user: str | None = DEFAULT_USER,
    recheck: bool = False,
) -> Verdict:
    """The accelerator for machines of this profile.

    ``auto`` may boot the guest for a few seconds, once; a fall-back to TCG is logged as a warning.

    :param user: who QEMU runs as.
    :param recheck: boot it even if there is a verdict already.
    :raises HostError: if ``wanted`` is not one of the profile's, or the host lacks the emulator.
    :raises ConfigError: if the profile has no image to boot.
    """
    if wanted != "auto":
        if wanted not in profile.accelerators:
            raise HostError(
                f"profile {profile.name}: not with {wanted}",
                hint=f"it can have {', '.join(profile.accelerators)}",
            )
        return Verdict(Accelerator(wanted), "as asked for")
    if profile.accelerators[0] == "tcg":
        return Verdict(Accelerator.TCG, "the profile wants it")
    if platform.machine() != profile.architecture:
        return Verdict(Accelerator.TCG, f"the guest is {profile.architecture}, this host is not")
    verdict = _obstacle(user) or await _probed_verdict(profile, user, recheck)
    if verdict.accelerator is Accelerator.TCG:
        log.warning("%s: no KVM, so times are an emulator's: %s", profile.name, verdict.reason)
    return verdict


def _obstacle(user: str | None) -> Verdict | None:
    """Why KVM cannot be used, as far as that can be told without trying."""
    try:
        mode = KVM_DEVICE.stat().st_mode
    except FileNotFoundError:
        return Verdict(
            Accelerator.TCG,
            f"there is no {KVM_DEVICE}",
            "enable virtualisation in the firmware, or nested virtualisation on the outer host",
        )
    if user is not None:
        account(user)
        if mode & 0o006 != 0o006 and group_of(KVM_DEVICE) is None:
            return Verdict(
                Accelerator.TCG,
                f"{KVM_DEVICE} is for root only",
                f"give it to the group kvm: chgrp kvm {KVM_DEVICE}; chmod 660 {KVM_DEVICE}",
            )
    return None


async def _probed_verdict(profile: Profile, user: str | None, recheck: bool) -> Verdict:
    facts = await _facts(profile)
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    state = state_root()
    await in_thread(None, lambda: state.mkdir(mode=0o711, parents=True, exist_ok=True))
    asked_at = time.time()
    async with file_lock(state / "accelerator.lock", timeout_s=_OTHERS_PROBE_S):
        known = _load(state / "accelerator.json")
        probed = known.get(key)
        if probed is None or (recheck and probed.checked < asked_at):
            try:
                works, reason = await _boots(profile, user)
            except LaunchError as error:  # at once, and perhaps for a passing reason: not noted
                return Verdict(Accelerator.TCG, f"QEMU does not start with KVM: {error}")
            probed = _Probed(works, reason, time.time(), facts)
            _store(state / "accelerator.json", known | {key: probed})
    if probed.works:
        return Verdict(Accelerator.KVM, probed.reason)
    return Verdict(
        Accelerator.TCG,
        probed.reason,
        "nested virtualisation may be broken here; taskgen doctor tries again",
    )


async def _facts(profile: Profile) -> dict[str, Any]:
    """What a verdict depends on."""
    system = os.uname()
    return {
        "host": system.nodename,
        "kernel": f"{system.release} {system.version}",
        "cpu": _cpu_model(),
        "qemu": await emulator_version(profile.emulator),
        "machine": [profile.machine, profile.cpu, profile.cpus, profile.memory_mb],
        "append": profile.append,
        "image": [
            [str(path), (status := path.stat()).st_size, status.st_mtime_ns]
            for path in profile.image_files()
        ],
    }


def _cpu_model() -> str:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    match = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return match[1] if match else platform.machine()


async def _boots(profile: Profile, user: str | None) -> tuple[bool, str]:
    """Boot the guest with KVM, without a network; whether it shows life, and what was seen.

    :raises LaunchError: if QEMU does not start at all.
    """
    log.info("%s: trying whether a guest boots with KVM (once)", profile.name)
    name = embedded_name()
    directory = FleetDirectory.create(name, kind=Kind.EMBEDDED, namespace="")
    try:
        with Inotify() as inotify:
            async with await launch(
                profile,
                "probe",
                directory=directory,
                accelerator=Accelerator.KVM,
                inotify=inotify,
                user=user,
            ) as qemu:
                return await _shows_life(profile, qemu)
    finally:
        directory.close()


async def _shows_life(profile: Profile, qemu: Qemu) -> tuple[bool, str]:
    output = asyncio.create_task(qemu.console.wait_for(profile.probe, _BOOT_S))
    death = asyncio.create_task(qemu.wait())
    try:
        await asyncio.wait([output, death], return_when=asyncio.FIRST_COMPLETED)
        if output.done() and output.result():
            return True, "a guest boots with it"
        if death.done():
            return False, f"a guest with KVM: QEMU {death.result()}"
        return False, f"a guest with KVM shows no life within {_BOOT_S:g} s"
    finally:
        output.cancel()
        death.cancel()
        await asyncio.wait([output, death])


def _load(path: Path) -> dict[str, _Probed]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return {key: convert(value, _Probed, source=str(path)) for key, value in data.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, ConfigError) as error:
        log.warning("%s: not usable, so KVM is tried again: %s", path, error)
        return {}


def _store(path: Path, known: dict[str, _Probed]) -> None:
    data = {key: asdict(value) for key, value in known.items()}
    with whole_file(path, durable=False) as file:  # one that is torn is found out again
        file.write(json.dumps(data, indent=1).encode() + b"\n")
