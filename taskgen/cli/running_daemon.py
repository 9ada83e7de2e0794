"""Whether a daemon is running, for commands that can do without."""

from __future__ import annotations

import os
import socket

from taskgen.client.address import Address, find
from taskgen.errors import DaemonUnreachableError

#: A daemon that is there takes a connection at once, even if it is busy.
_PATIENCE_S = 5.0


def running_daemon() -> Address | None:
    """The address of the daemon, if one is running; ``None`` if none is.

    Whoever named one by ``TASKGEN_URL`` wants that one.

    :raises DaemonUnreachableError: if there is one, but it is not ours to use.
    :raises ConfigError: if the environment says nonsense about where it is.
    """
    address = find()
    if address.socket is None:
        return address
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_PATIENCE_S)
        try:
            probe.connect(os.fspath(address.socket))
        except PermissionError as error:
            raise DaemonUnreachableError(
                f"a daemon is running, but its socket {address} is not yours to use",
                hint="become a member of the group taskgen, or go without it: --embedded",
            ) from error
        except OSError:
            return None  # no socket, or nobody behind it any more
    return address
