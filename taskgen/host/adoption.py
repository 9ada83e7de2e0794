"""How a daemon comes to its fleet: it goes on with what the last one left, or starts afresh.

All functions here block; call them in a thread of their own.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from taskgen.host import cleanup
from taskgen.host.fleet_directory import FleetDirectory
from taskgen.host.records import Kind
from taskgen.slots import Network

log = logging.getLogger(__name__)


def daemon_fleet(
    name: str,
    *,
    namespace: str,
    machines: Path,
    network: Network,
    uplink: str = "",
    existing_bridge: bool = False,
) -> FleetDirectory:
    """The directory of the daemon's fleet: a dead daemon's, whose machines go on, or a new one.

    What cannot be gone on with is removed: a fleet of another network or in another place, and what
    is left of one when the host was started again.

    :param machines: directory of the machines' records and directories, in the state's.
    :param uplink: the host's port that joins the fleet to a LAN; empty: none does.
    :param existing_bridge: whether the bridge is the host's own.
    :raises NamespaceBusyError: if the daemon of this fleet, or with these machines, lives.
    :raises ConfigError: if another version of Taskgen wrote the records.
    :raises HostError: if a process of the old fleet cannot be ended.
    """
    machines = machines.absolute()
    wanted = (namespace, str(machines), fingerprint(network), uplink, existing_bridge)
    if directory := FleetDirectory.adopt(name):
        record = directory.record
        place = (record.namespace, record.machines)
        if (*place, record.network, record.uplink, record.existing_bridge) == wanted:
            return directory
        log.warning("the configuration has changed: the machines of the last daemon are ended")
        removed = cleanup.remove_fleet(directory)
    else:
        removed = cleanup.remove_stale(machines)
    for line in removed:
        log.info("removed %s", line)
    return FleetDirectory.create(
        name,
        kind=Kind.DAEMON,
        namespace=namespace,
        machines=machines,
        network=fingerprint(network),
        uplink=uplink,
        existing_bridge=existing_bridge,
    )


def fingerprint(network: Network) -> str:
    """The same for networks that machines and DHCP server cannot tell from each other."""
    return hashlib.sha256(repr(network).encode()).hexdigest()
