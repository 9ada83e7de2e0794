"""What this host has of what is needed, and what to do about the rest."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from taskgen.errors import HostError, TaskgenError
from taskgen.host import accelerator, cleanup
from taskgen.host.accounts import account
from taskgen.host.fleet_directory import FleetDirectory
from taskgen.host.netns import Namespace
from taskgen.host.output import output_of
from taskgen.host.qemu import DEFAULT_USER
from taskgen.host.qemu_command import Accelerator
from taskgen.host.records import Kind, embedded_name
from taskgen.host.waiting import in_thread
from taskgen.profiles import Profile

_PACKAGES = {
    "dnsmasq": "dnsmasq-base",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-system-arm": "qemu-system-arm",
}


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


async def examine(
    profiles: Sequence[Profile], *, user: str = DEFAULT_USER, recheck: bool = False
) -> AsyncIterator[Check]:
    """Check the host for machines of these profiles, one by one, as they are found out.

    May boot a guest for a few seconds, to see whether KVM works. Nothing stays behind.

    :param recheck: try KVM again even where a verdict is known.
    """
    yield check_privileges()
    yield check_tun()
    yield await check_namespaces()
    yield check_user(user)
    yield await check_program("dnsmasq", "--version", Grade.FAIL)
    yield await check_program("screen", "--version", Grade.WARN)  # the daemon's consoles
    for emulator in sorted({profile.emulator for profile in profiles}):
        wanted = any(p.emulator == emulator and p.kernel for p in profiles)
        yield await check_program(emulator, "--version", Grade.FAIL if wanted else Grade.WARN)
    for profile in profiles:
        if profile.kernel is None:
            continue  # the user brings the image: nothing to be checked yet
        image = check_image(profile)
        yield image
        if image.grade is Grade.OK:
            yield await check_accelerator(profile, user=user, recheck=recheck)
    yield await in_thread(None, check_leftovers)


def check_privileges() -> Check:
    """Whether we are root."""
    if os.geteuid() == 0:
        return Check("privileges", Grade.OK, "root")
    return Check("privileges", Grade.FAIL, f"user {os.geteuid()}", "run it as root: sudo taskgen …")


def check_tun() -> Check:
    """Whether taps can be made."""
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return Check(
            "tun", Grade.FAIL, f"/dev/net/tun: {error.strerror}", "modprobe tun, and be root"
        )
    return Check("tun", Grade.OK, "/dev/net/tun opens")


async def check_namespaces() -> Check:
    """Whether a network namespace can be made, by making one."""
    name = embedded_name()
    try:
        directory = FleetDirectory.create(name, kind=Kind.EMBEDDED, namespace=name)
        try:
            async with await Namespace.create(name, mark=directory.record.mark):
                return Check("namespaces", Grade.OK, "a network namespace can be made")
        finally:
            directory.close()
    except (TaskgenError, OSError) as error:
        return Check(
            "namespaces", Grade.FAIL, str(error), "be root, on a kernel with CONFIG_NET_NS"
        )


def check_user(user: str) -> Check:
    """Whether the user exists that QEMU runs as."""
    try:
        uid = account(user).uid
    except HostError as error:
        return Check("QEMU's user", Grade.FAIL, error.message, error.hint or "")
    if uid == 0:
        return Check("QEMU's user", Grade.WARN, f"{user} is root", "choose an unprivileged one")
    return Check("QEMU's user", Grade.OK, f"{user} (uid {uid})")


async def check_program(name: str, argument: str, missing: Grade) -> Check:
    """Whether a program is there and runs."""
    try:
        output = await output_of([name, argument])
    except HostError as error:
        return Check(name, missing, error.message, f"apt-get install {_PACKAGES.get(name, name)}")
    first = output.text.partition("\n")[0]
    if output.exit.code != 0:
        return Check(name, missing, f"{output.exit}: {first}", "reinstall it")
    return Check(name, Grade.OK, first)


def check_image(profile: Profile) -> Check:
    """Whether the profile's image is there."""
    name = f"image of {profile.name}"
    try:
        files = profile.image_files()
    except TaskgenError as error:
        return Check(name, Grade.FAIL, error.message, error.hint or "")
    return Check(name, Grade.OK, ", ".join(map(str, files)))


async def check_accelerator(profile: Profile, *, user: str, recheck: bool) -> Check:
    """Which accelerator the profile's machines get."""
    name = f"accelerator of {profile.name}"
    try:
        verdict = await accelerator.choose(profile, user=user, recheck=recheck)
    except (TaskgenError, OSError) as error:
        return Check(name, Grade.WARN, str(error), "see the failed checks above")
    grade = Grade.OK if verdict.accelerator is Accelerator.KVM else Grade.WARN
    return Check(name, grade, f"{verdict.accelerator}: {verdict.reason}", verdict.hint or "")


def check_leftovers() -> Check:
    """Whether dead engines left anything."""
    try:
        found = cleanup.leftovers()
    except HostError as error:
        return Check("leftovers", Grade.WARN, error.message, error.hint or "")
    if found:
        return Check("leftovers", Grade.WARN, ", ".join(found), "remove them: taskgen down")
    return Check("leftovers", Grade.OK, "none")
