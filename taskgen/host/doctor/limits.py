"""Limits of this host that a fleet can run into: descriptors, watches of files, memory."""

from __future__ import annotations

import os
import resource
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from taskgen.errors import HostError
from taskgen.host import cleanup
from taskgen.host.doctor.check import Check, Grade
from taskgen.host.limits import descriptors_needed
from taskgen.host.memory import memory_for_machines_mb
from taskgen.host.qemu_command import Accelerator, overhead_mb
from taskgen.profiles import Profile
from taskgen.settings import Settings

_INOTIFY = Path("/proc/sys/fs/inotify")
#: An engine has one instance; a few files of the fleet's are watched, and some of each machine.
_INSTANCES, _WATCHES, _WATCHES_EACH = 1, 16, 4


def check_descriptors(machines: int, settings: Settings) -> Check:
    """Whether an engine may open as many files and sockets as it needs."""
    needed = descriptors_needed(machines, settings.hosts.concurrency)
    daemon = cleanup.living_daemons() if os.geteuid() == 0 else []
    whose = f"the daemon (pid {daemon[0]})" if daemon else "a process"
    limit = resource.prlimit(daemon[0] if daemon else 0, resource.RLIMIT_NOFILE)[1]
    allowed = "any number of" if limit == resource.RLIM_INFINITY else str(limit)
    found = f"{whose} may have {allowed}, {machines} machines and the hosts need {needed}"
    if limit != resource.RLIM_INFINITY and limit < needed:
        return Check(
            "descriptors",
            Grade.WARN,
            found,
            "LimitNOFILE= in the unit, nofile in /etc/security/limits.conf, or fewer machines",
        )
    return Check("descriptors", Grade.OK, found)


def check_inotify(machines: int, directory: Path = _INOTIFY) -> Check:
    """Whether there is one more inotify instance for our user, with enough watches."""
    try:
        instances = int((directory / "max_user_instances").read_text(encoding="ascii"))
        watches = int((directory / "max_user_watches").read_text(encoding="ascii"))
    except OSError as error:
        return Check("inotify", Grade.WARN, f"its limits cannot be read: {error.strerror}")
    used = _instances_in_use(os.geteuid())
    needed = _WATCHES + _WATCHES_EACH * machines
    found = f"{used} of {instances} instances in use, {watches} watches"
    if used + _INSTANCES > instances:
        advice = f"sysctl fs.inotify.max_user_instances={2 * instances}"
        return Check("inotify", Grade.FAIL, found, f"{advice}, and in /etc/sysctl.d")
    if needed > watches:
        advice = f"sysctl fs.inotify.max_user_watches={max(8192, 2 * needed)}"
        return Check("inotify", Grade.WARN, found, f"{advice}, and in /etc/sysctl.d")
    return Check("inotify", Grade.OK, found)


def check_memory(machines: int, profiles: Sequence[Profile], settings: Settings) -> Check:
    """Whether the memory holds as many machines as are wished."""
    try:
        there = float(settings.fleet.memory_mb or memory_for_machines_mb())
    except (HostError, OSError) as error:
        return Check("memory", Grade.WARN, str(error))
    if not profiles:
        return Check("memory", Grade.OK, f"{there:.0f} MiB for machines")
    each = max(profile.memory_mb + overhead_mb(Accelerator.TCG) for profile in profiles)
    fit = int(there // each)
    found = f"{there:.0f} MiB for machines of {each} MiB each: room for {fit}, {machines} wished"
    if fit < machines:
        grade = Grade.WARN if fit else Grade.FAIL
        return Check("memory", grade, found, "more are not launched: memory_mb, or max_machines")
    return Check("memory", Grade.OK, found)


def _instances_in_use(uid: int) -> int:
    """The inotify instances of all processes of a user, as far as we may look."""
    count = 0
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if process.name.isdigit() and process.stat().st_uid == uid:
                for link in (process / "fd").iterdir():
                    with suppress(OSError):
                        count += os.readlink(link) == "anon_inode:inotify"
    return count
