"""What this host has of what is needed, and what to do about the rest."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence

from taskgen.host.dhcpd import DHCPD_USER
from taskgen.host.doctor.basics import (
    check_accelerator,
    check_image,
    check_leftovers,
    check_namespaces,
    check_privileges,
    check_program,
    check_tun,
    check_user,
)
from taskgen.host.doctor.check import Check, Grade
from taskgen.host.doctor.clock import check_clock, check_clock_source
from taskgen.host.doctor.limits import check_descriptors, check_inotify, check_memory
from taskgen.host.doctor.network import check_networks
from taskgen.host.doctor.places import check_places
from taskgen.host.waiting import in_thread
from taskgen.profiles import Profile
from taskgen.settings import DhcpChoice, Settings
from taskgen.slots import Network

__all__ = ["Check", "Grade", "examine"]


async def examine(
    profiles: Sequence[Profile],
    *,
    network: Network,
    settings: Settings | None = None,
    machines: int = 0,
    recheck: bool = False,
) -> AsyncIterator[Check]:
    """Check the host for machines of these profiles, one by one, as they are found out.

    May boot a guest for a few seconds, to see whether KVM works, and asks the networks of fleets
    that live who else gives addresses there. Nothing stays behind.

    :param network: as a fleet started now would have it.
    :param machines: as many as are wished; 0: as many as cores.
    :param recheck: try KVM again even where a verdict is known.
    """
    settings = settings or Settings()
    machines = machines or os.cpu_count() or 1
    user = settings.qemu.user
    yield check_privileges()
    yield check_tun()
    yield await check_namespaces()
    yield check_user(user)
    yield check_places()
    if settings.dhcp.server is DhcpChoice.ISC:
        yield await check_program("dhcpd", "--version", Grade.FAIL)
        yield check_user(DHCPD_USER, "dhcpd's user")
    else:
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
    yield check_descriptors(machines, settings)
    yield check_inotify(machines)
    yield check_memory(machines, profiles, settings)
    yield check_clock()
    yield check_clock_source()
    yield await in_thread(None, check_leftovers)
    async for check in check_networks(network, settings.network):
        yield check
