"""What a service is to work with; nothing of it exists yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from taskgen.addresses import Addresses
from taskgen.binaries import Binaries
from taskgen.binary_store import BinaryStore
from taskgen.board import BoardKind
from taskgen.fitting import Place
from taskgen.host.cores import whole_cores
from taskgen.local_plan import FleetPlan
from taskgen.profiles import Profile, load_profile
from taskgen.settings import Settings
from taskgen.wishes import Wishes


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a service is to work with.

    :ivar machines: what it launches on this host; ``None``: nothing.
    :ivar hosts: where it looks for boards; ``None``: nowhere.
    :ivar host_profile: what those are; decides which binaries fit them.
    :ivar binaries: the user's directories of task binaries, searched before the profile's.
    :ivar store: of the task binaries that were uploaded for boards; machines have theirs in
        ``machines``.
    :ivar queue: file of the queue; ``None``: it ends with the process.
    :ivar max_machines: machines at most.
    :ivar wishes: what users changed of an earlier service, ``max_machines`` already in effect.
    :ivar lasting: go on by itself after what keeps the work from being done: boots that fail, a
        full disk. If not, waiting calls raise it.
    :ivar keep_wishes: called, in a thread, with what users changed, before it takes effect.
    """

    machines: FleetPlan | None = None
    hosts: Addresses | None = None
    host_profile: Profile | None = None
    binaries: tuple[Path, ...] = ()
    store: BinaryStore | None = None
    queue: Path | None = None
    max_machines: int = field(default_factory=whole_cores)
    wishes: Wishes = field(default_factory=Wishes)
    lasting: bool = False
    keep_wishes: Callable[[Wishes], None] = lambda wishes: None
    settings: Settings = field(default_factory=Settings)

    def board_kind(self) -> BoardKind:
        """What the hosts are.

        :raises ConfigError: if there is no such profile.
        """
        profile = self.host_profile or load_profile(self.settings.fleet.profile)
        own = (profile.binaries,) if profile.binaries else ()
        return BoardKind(
            profile=profile,
            binaries=Binaries((*self.binaries, *own), profile.architecture, self.store),
            settings=self.settings.hosts,
            reset=self.settings.run.reset,
        )

    @property
    def places(self) -> list[Place]:
        """Where a job can run."""
        places = []
        if self.hosts is not None:
            kind = self.board_kind()
            places.append(Place(kind.profile, kind.binaries, launched=False))
        if self.machines:
            fleet = self.machines
            places.append(Place(fleet.profile, fleet.task_binaries(), launched=True))
        return places
