"""Mends what is ours: what crashes left, our directories, the user of QEMU and the daemon's group.

Packages, rules, sysctls, other people's links and files are theirs: those are only told.
"""

from __future__ import annotations

import grp
import os
from collections.abc import AsyncIterator

from taskgen.errors import HostError, PrivilegeError
from taskgen.host import cleanup
from taskgen.host.accounts import account
from taskgen.host.doctor.places import mend_places
from taskgen.host.output import output_of
from taskgen.host.qemu import DEFAULT_USER
from taskgen.host.waiting import in_thread

#: Who is in it may use the daemon.
_API_GROUP = "taskgen"


async def fix(user: str = DEFAULT_USER) -> AsyncIterator[str]:
    """Mend, and say so; a line for each thing that was done, or could not be.

    :param user: who QEMU runs as; made only where it is the usual one.
    :raises PrivilegeError: if we are not root.
    """
    if os.geteuid() != 0:
        raise PrivilegeError("mending this host needs root", hint="sudo taskgen doctor --fix")
    if user == DEFAULT_USER and not _has_user(user):
        yield await _make(f"user {user}", ["useradd", *_SYSTEM, "--user-group", *_NO_LOGIN, user])
    if not _has_group(_API_GROUP):
        yield await _make(f"group {_API_GROUP}", ["groupadd", *_SYSTEM, _API_GROUP])
    for line in await in_thread(None, mend_places):
        yield f"changed {line}"
    # As taskgen down: while a daemon lives nothing is removed, it may be about to adopt it.
    if await in_thread(None, cleanup.living_daemons):
        return
    report = await in_thread(None, cleanup.down)
    for line in report.removed:
        yield f"removed {line}"
    for line in report.failed:
        yield f"could not be removed: {line}"


_SYSTEM = ("--system",)
_NO_LOGIN = ("--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin")


async def _make(what: str, command: list[str]) -> str:
    try:
        output = await output_of(command)
    except HostError as error:
        return f"could not be made: {what}: {error}"
    if output.exit.code != 0:
        return f"could not be made: {what}: {output.text.strip() or output.exit}"
    return f"made the {what}"


def _has_user(name: str) -> bool:
    try:
        account(name)
    except HostError:
        return False
    return True


def _has_group(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True
