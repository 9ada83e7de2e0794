"""Machines, hosts, and how the daemon is."""

from __future__ import annotations

from pydantic import Field

from taskgen.resources.base import Request, Resource
from taskgen.resources.diagnosis import Diagnosis
from taskgen.resources.jobs import Counts


class Machine(Resource):
    """A machine of the fleet."""

    name: str = Field(description="As in `taskgen-3`.")
    slot: int
    state: str = Field(
        description="launching, booting, adopting, ready, running, failed, stopping; or held: it"
        " was drained, and nothing is launched in its slot until it is restarted."
    )
    profile: str
    accelerator: str = Field(description="What executes the guest's instructions: kvm, tcg.")
    mac: str
    tap: str
    address: str | None = Field(default=None, description="From its DHCP lease.")
    pid: int | None = Field(default=None, description="Of its QEMU.")
    uuid: str | None = Field(default=None, description="On the command line of its QEMU.")
    launched_at: float | None = None
    ready_s: float | None = Field(default=None, description="From its launch to its first answer.")
    run: str | None = Field(default=None, description="The run that it carries out.")
    runs: int = Field(default=0, description="Runs that it has carried out since it was launched.")
    retiring: bool = Field(default=False, description="It goes once its run is through.")
    adopted: bool = Field(default=False, description="An earlier daemon launched it.")
    saved_at: float | None = Field(
        default=None,
        description="When the state was saved that it starts anew from; null: none is.",
    )
    pinned_cpus: str = Field(
        default="", description="Cores that its vCPUs are pinned to, as `0-2,5`; empty: none."
    )
    reason: str = Field(default="", description="Why it is as it is; for people.")
    trouble: Diagnosis | None = Field(
        default=None, description="What was last wrong with a machine of this slot; null: nothing."
    )


class Fleet(Resource):
    """The machines that the daemon launches, and their limits."""

    max_machines: int = Field(description="As wished.")
    in_effect: int = Field(description="What network and host can hold of that.")
    slots: int = Field(description="Machines that the network has room for.")
    memory_room: int = Field(description="Machines that the host's memory has room for.")
    host_cores: float = Field(
        default=0, description="How many cores' time machines may use together."
    )
    machine_vcpus: int = Field(default=0, description="vCPUs of each machine.")
    paused: bool = Field(description="No run is begun, and no machine launched.")
    reasons: list[str] = Field(
        description="Why less is in effect than wished, and whether machines ask for more than the"
        " host has; for people."
    )
    profile: str
    accelerator: str
    namespace: str = Field(description="Network namespace; empty: the host's own.")
    bridge: str
    subnet: str


class FleetChange(Request):
    """What can be changed of the fleet while it works."""

    max_machines: int | None = Field(default=None, ge=1, le=1_000_000)
    paused: bool | None = None


class Host(Resource):
    """An address of a range in which the daemon looks for boards."""

    address: str
    name: str
    state: str
    failures: int = Field(description="Tries in a row that led to nothing.")
    reason: str = ""
    next_try_s: float | None = None


class HostSummary(Resource):
    """Numbers of hosts by state; those that were never reached are only counted."""

    states: dict[str, int]


class Lease(Resource):
    """An address that the DHCP server gave to a machine."""

    mac: str
    address: str
    machine: str | None = Field(default=None, description="The machine whose MAC it is.")
    expires: float | None = Field(default=None, description="null: never.")


class Degradation(Resource):
    """Something that is not as it should be, as long as it is so."""

    key: str = Field(description="Tells it from others, as in `disk` or `dhcp`.")
    text: str
    hint: str | None = None
    since: float


class Snapshots(Resource):
    """The saved states of machines."""

    count: int = Field(description="States that can be used.")
    used_bytes: int = Field(description="What they take on the disk.")
    limit_bytes: int = Field(description="What they may take; 0: no bound.")


class Status(Resource):
    """The daemon at a glance."""

    version: str
    pid: int
    started_at: float
    state: str = Field(description="working, idle, paused, draining, or stopped: see problems.")
    fleet: Fleet | None = Field(description="null: it launches no machines.")
    machines: dict[str, int] = Field(description="Numbers of machines by state.")
    hosts: dict[str, int] = Field(description="Numbers of hosts by state.")
    counts: Counts = Field(description="Of all jobs that have not ended.")
    jobs: dict[str, int] = Field(description="Numbers of jobs that have not ended, by state.")
    console_bytes: int = Field(description="What the logs of consoles take on the disk.")
    snapshots: Snapshots | None = Field(
        default=None, description="null: this daemon launches no machines."
    )
    problems: list[Degradation]


class Health(Resource):
    """Whether the daemon can do its work."""

    healthy: bool
    problems: list[Degradation]
