"""What every fleet needs: rights, programs, images, and a host without leftovers."""

from __future__ import annotations

import os

from taskgen.errors import HostError, TaskgenError
from taskgen.host import accelerator, cleanup
from taskgen.host.accounts import account
from taskgen.host.doctor.check import Check, Grade
from taskgen.host.fleet_directory import FleetDirectory
from taskgen.host.netns import Namespace
from taskgen.host.output import output_of
from taskgen.host.qemu_command import Accelerator
from taskgen.host.records import Kind, embedded_name
from taskgen.profiles import Profile

_PACKAGES = {
    "dnsmasq": "dnsmasq-base",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-system-arm": "qemu-system-arm",
}


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


def check_user(user: str, name: str = "QEMU's user") -> Check:
    """Whether the user exists that a program of ours runs as."""
    try:
        uid = account(user).uid
    except HostError as error:
        return Check(name, Grade.FAIL, error.message, error.hint or "")
    if uid == 0:
        return Check(name, Grade.WARN, f"{user} is root", "choose an unprivileged one")
    return Check(name, Grade.OK, f"{user} (uid {uid})")


async def check_program(name: str, argument: str, missing: Grade) -> Check:
    """Whether a program is there and runs."""
    try:
        output = await output_of([name, argument])
    except HostError as error:
        package = _PACKAGES.get(name, name)
        advice = "./provision.sh --isc" if name == "dhcpd" else f"apt-get install {package}"
        return Check(name, missing, error.message, advice)
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
        return Check(
            "leftovers",
            Grade.WARN,
            ", ".join(found),
            "remove them: taskgen doctor --fix, or taskgen down",
        )
    return Check("leftovers", Grade.OK, "none")
