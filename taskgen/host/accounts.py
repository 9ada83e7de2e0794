"""Users of this host that our children run as."""

from __future__ import annotations

import grp
import pwd
from dataclasses import dataclass, replace
from pathlib import Path

from taskgen.errors import HostError


@dataclass(frozen=True)
class Account:
    """The user that a child runs as.

    :ivar groups: supplementary groups, by number.
    """

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


def account(user: str) -> Account:
    """Look up a user of this host.

    :raises HostError: if there is no such user.
    """
    try:
        entry = pwd.getpwnam(user)
    except KeyError as error:
        raise HostError(
            f"no user {user!r} on this host",
            hint=f"create it: adduser --system --group --no-create-home {user}",
        ) from error
    return Account(entry.pw_uid, entry.pw_gid)


def group_of(path: Path) -> int | None:
    """The group that may read and write ``path``, if there is one and it is not root's."""
    try:
        status = path.stat()
        grp.getgrgid(status.st_gid)
    except (OSError, KeyError):
        return None
    return status.st_gid if status.st_gid and status.st_mode & 0o060 == 0o060 else None


def runs_as(user: str | None, device: Path | None) -> Account | None:
    """Who a child runs as.

    :param user: ``None``: the caller; ``None`` is returned then.
    :param device: what it is to reach; ``None``: nothing special.
    :raises HostError: if there is no such user.
    """
    if user is None:
        return None
    owner = account(user)
    group = group_of(device) if device else None
    return replace(owner, groups=(group,)) if group is not None else owner
