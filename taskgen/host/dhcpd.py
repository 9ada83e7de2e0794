"""ISC's dhcpd: its files, and how it is started.

Where AppArmor is at work, Debian's profile for it lets it read ``/etc/dhcp/**`` and write
``/var/lib/dhcp/dhcpd.leases*`` and ``/var/log/**``, and nothing else. So it gets a mount namespace
of its own, in which these are directories of the fleet's. The host's are never touched, any number
of fleets can have one, and none sees the files of another. ::

    /run/taskgen/NAME/dhcpd/            /etc/dhcp and /var/log of it   root's
      dhcpd.conf  dhcpd.log
    /run/taskgen/NAME/dhcpd/leases/     /var/lib/dhcp of it            its user's, and root's group
      dhcpd.leases.ID  dhcpd.leases.ID.pid

It starts as root with the capabilities that the profile leaves it, so that it is the same with
AppArmor and without. Once its sockets are open it is an unprivileged user.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from taskgen.host.accounts import account
from taskgen.host.command_lines import is_dhcpd
from taskgen.host.dhcpd_config import dhcpd_config
from taskgen.host.dhcpd_leases import DhcpdLeases
from taskgen.host.foreign_files import open_to_read
from taskgen.host.process import find_program
from taskgen.slots import Network

#: The system user that dhcpd runs as; ``provision.sh --isc`` makes it.
DHCPD_USER = "taskgen-dhcp"

_CAPABILITIES = ("chown", "net_bind_service", "net_raw", "setgid", "setuid")

#: Its arguments: the fleet's directory for dhcpd, that of all fleets, and dhcpd's command line.
#: The log is opened here: under the profile a descriptor of another mount namespace is taken away.
_SCRIPT = """
set -e
own=$1 fleets=$2
shift 2
mount --bind "$own/leases" /var/lib/dhcp
mount --bind "$own" /etc/dhcp
mount --bind "$own" /var/log
mount -t tmpfs -o size=4k,mode=0 none "$fleets"
exec "$@" >>/var/log/dhcpd.log 2>&1
"""


class Dhcpd:
    """dhcpd as the DHCP server of one fleet; see :class:`~taskgen.host.dhcp_program.DhcpProgram`.

    :param directory: the fleet's.
    :param fleet_id: unique; part of its command line, which a leftover is known by.
    """

    name = "dhcpd"
    overwrites = False

    def __init__(self, network: Network, directory: Path, fleet_id: str) -> None:
        self._network = network
        self._fleets = directory.parent
        self._own = directory / "dhcpd"
        self._fleet_id = fleet_id
        self.leases = DhcpdLeases()
        self.config_file = self._own / "dhcpd.conf"
        self.log_file = self._own / "dhcpd.log"
        self.lease_file = self._own / "leases" / f"dhcpd.leases.{fleet_id}"
        self.pid_file = self._own / "leases" / f"dhcpd.leases.{fleet_id}.pid"

    def make_directories(self) -> None:
        """Make its directory, and that of the lease file, which is its user's.

        :raises HostError: if there is no such user.
        """
        user = account(DHCPD_USER)
        self._own.mkdir(mode=0o755, exist_ok=True)
        place = self.lease_file.parent
        place.mkdir(mode=0o700, exist_ok=True)
        os.chown(place, user.uid, 0)
        # Root's group may write too: it starts as root, but without the right to pass over modes.
        place.chmod(0o770)

    def clear(self) -> None:
        """Make the directory that the last one could write to fit for one that starts as root.

        It must not come upon a link that was laid for it there; and the lease file must be root's,
        because it has no right to pass over modes.
        """
        for file in self.lease_file.parent.iterdir():
            if file == self.lease_file and _taken_back(file):
                continue
            if file.is_dir() and not file.is_symlink():
                shutil.rmtree(file)
            else:
                file.unlink()

    def config(self, bridge_index: int) -> str:
        """Its configuration; the bridge's index is only a remark."""
        return f"# For the {self._network.bridge} of index {bridge_index}.\n" + dhcpd_config(
            self._network
        )

    def command(self) -> list[str]:
        """The command line, which becomes dhcpd's own in a few steps, of the same process.

        :raises MissingToolError: if the host lacks dhcpd.
        """
        dhcpd = [
            *[find_program("dhcpd"), "-f", "-d"],
            *["-user", DHCPD_USER, "-group", DHCPD_USER],
            *["-cf", "/etc/dhcp/dhcpd.conf"],
            *["-lf", f"/var/lib/dhcp/{self.lease_file.name}"],
            *["-pf", f"/var/lib/dhcp/{self.pid_file.name}"],
            self._network.bridge,
        ]
        bounds = ",".join(["-all", *(f"+{name}" for name in _CAPABILITIES)])
        return [
            *["unshare", "--mount", "--propagation", "private"],
            *["sh", "-c", _SCRIPT, "sh", str(self._own), str(self._fleets)],
            *["setpriv", "--clear-groups", f"--bounding-set={bounds}", *dhcpd],
        ]

    def is_it(self, argv: Sequence[str]) -> bool:
        """Whether a command line is that of this fleet's dhcpd."""
        return is_dhcpd(argv, self._fleet_id)

    def is_news(self, line: str) -> bool:
        """What it says of leases is no reason for its death, nor of itself and of bug reports."""
        return bool(line.strip()) and not line.startswith(("DHCP", *_WORDS))


def _taken_back(path: Path) -> bool:
    """Make a file root's, unless it is a link, or there are other links to it."""
    with suppress(OSError), open_to_read(path) as file:
        if os.fstat(file.fileno()).st_nlink == 1:
            os.fchown(file.fileno(), 0, 0)
            os.fchmod(file.fileno(), 0o644)
            return True
    return False


#: What it begins with, and what its every last message ends with, line by line.
_WORDS = (
    "Internet Systems Consortium",
    "Copyright",
    "All rights reserved",
    "For info",
    "^",
    "If you think you have received this message due to a bug",
    "than a configuration issue please read the section on submitting",
    "bugs on either our web page at www.isc.org or in the README file",
    "before submitting a bug.",
    "process and the information we find helpful for debugging.",
    "exiting.",
)
