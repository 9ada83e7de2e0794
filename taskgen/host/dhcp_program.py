"""What the two DHCP servers have in common, and what each has to say about itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from taskgen.host.leases import LeaseFormat


class DhcpProgram(Protocol):
    """One DHCP server program, with its files in one fleet's directory.

    :ivar name: what it is called.
    :ivar lease_file: where it notes the leases.
    :ivar leases: how it notes them.
    :ivar overwrites: whether it writes a changed lease file over what there was. What is odd in it
        may be gone in a moment then.
    :ivar pid_file: written once it answers.
    :ivar log_file: what it says goes there.
    """

    @property
    def name(self) -> str: ...
    @property
    def lease_file(self) -> Path: ...
    @property
    def leases(self) -> LeaseFormat: ...
    @property
    def overwrites(self) -> bool: ...
    @property
    def config_file(self) -> Path: ...
    @property
    def pid_file(self) -> Path: ...
    @property
    def log_file(self) -> Path: ...

    def make_directories(self) -> None:
        """Make the directories of its files, where they are missing.

        :raises HostError: if it cannot run on this host.
        """
        ...

    def clear(self) -> None:
        """Remove what the last one left that must not meet the next; called before each start.

        :raises OSError: if that cannot be.
        """
        ...

    def config(self, bridge_index: int) -> str:
        """The text of its configuration file.

        :param bridge_index: of the bridge that it serves: with another one it has to be started
            again, though that has the same name.
        """
        ...

    def command(self) -> list[str]:
        """Its command line.

        :raises HostError: if it cannot run on this host.
        """
        ...

    def is_it(self, argv: Sequence[str]) -> bool:
        """Whether a command line is that of this fleet's."""
        ...

    def is_news(self, line: str) -> bool:
        """Whether a line of its log may be a reason for its death."""
        ...
