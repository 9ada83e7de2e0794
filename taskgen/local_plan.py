"""What a fleet on this host is to be; nothing of it exists yet."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from taskgen import assets
from taskgen.binaries import Binaries
from taskgen.binary_store import BinaryStore
from taskgen.host.adoption import daemon_fleet
from taskgen.host.fleet_directory import FleetDirectory
from taskgen.host.records import Kind, embedded_name, state_root
from taskgen.profiles import Profile
from taskgen.run_settings import Reset
from taskgen.settings import Settings
from taskgen.slots import Network, load_network


@dataclass(frozen=True, kw_only=True)
class FleetPlan:
    """What a fleet is to be; nothing of it exists yet.

    :ivar binaries: the user's directories of task binaries, searched before the profile's.
    :ivar store: of the task binaries that were uploaded; ``None``: none can be.
    :ivar icount: virtual time, where the profile offers it.
    :ivar kind: whose it is; what a dead daemon left of a fleet of the same name is adopted.
    :ivar name: the fleet's, and its namespace's unless the settings name another; empty: a fresh
        one.
    :ivar machines: directory of a daemon's machines; ``None``: in the state's.
    """

    profile: Profile
    settings: Settings = field(default_factory=Settings)
    binaries: tuple[Path, ...] = ()
    store: BinaryStore | None = None
    icount: bool = False
    kind: Kind = Kind.EMBEDDED
    name: str = ""
    machines: Path | None = None

    def task_binaries(self) -> Binaries:
        """Where the task binaries of this fleet's machines are found."""
        own = (self.profile.binaries,) if self.profile.binaries else ()
        return Binaries((*self.binaries, *own), self.profile.architecture, self.store)

    def network(self) -> Network:
        """The network's description.

        :raises ConfigError: if it cannot be used.
        """
        return network_of(self.settings)

    def directory(self, network: Network) -> FleetDirectory:
        """The fleet's directory, made or adopted. Blocks.

        :raises HostError: if that cannot be.
        """
        wanted = self.settings.network
        chosen = wanted.namespace
        fresh = embedded_name()
        name = self.name or chosen or fresh
        namespace = chosen if chosen is not None else self.name or fresh
        if self.kind is Kind.DAEMON:
            return daemon_fleet(
                name,
                namespace=namespace,
                machines=self.machines or state_root() / "machines",
                network=network,
                uplink=wanted.uplink,
                existing_bridge=wanted.existing_bridge,
            )
        return FleetDirectory.create(
            name,
            kind=self.kind,
            namespace=namespace,
            uplink=wanted.uplink,
            existing_bridge=wanted.existing_bridge,
        )


def network_of(settings: Settings) -> Network:
    """The network that the settings name.

    :raises ConfigError: if its description cannot be used.
    """
    found = load_network(settings.network.file or assets.root() / "network" / "network.toml")
    if settings.run.reset is Reset.SNAPSHOT:  # a guest that goes back in time does not renew one
        return replace(found, lease_time_s="infinite")
    return found
