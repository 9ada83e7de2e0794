"""One machine's vCPUs: on which cores they run, and how much they had of them during a run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from math import inf
from typing import Any

from taskgen.cpu_list import format_cpus
from taskgen.errors import MachineError
from taskgen.host.cores import allowed_cores
from taskgen.host.cpu_times import HostTicks, Threads
from taskgen.host.qemu import Qemu
from taskgen.load import Load
from taskgen.placement import Cores

log = logging.getLogger(__name__)


class MachineCpus:
    """The vCPUs of a slot's machine. Use :meth:`find` once it has a QEMU, :meth:`close` at the end.

    :param load: what the whole fleet asks of the host, and where its machines are to run.
    """

    def __init__(self, name: str, slot: int, load: Load) -> None:
        self._name = name
        self._slot = slot
        self._load = load
        self._threads: Threads | None = None
        self._wanted: Cores | None = None  # what was tried last
        self._pinned: Cores | None = None

    @property
    def pinned(self) -> str:
        """The cores that the vCPUs are pinned to, as ``0-2,5``; empty: the scheduler chooses."""
        return format_cpus(self._pinned or ())

    def come(self) -> None:
        """The machine counts from now on."""
        self._load.add(self._slot)

    def go(self) -> None:
        """The machine counts no more."""
        self._load.remove(self._slot)

    async def find(self, qemu: Qemu) -> None:
        """Find the vCPUs, and put them where they belong.

        :raises MachineError: if QEMU does not tell them, or tells of threads that are not its own.
        """
        answer = await qemu.qmp.execute("query-cpus-fast")
        try:
            assert isinstance(answer, list), "query-cpus-fast returns a list"
            # Under icount one thread executes all vCPUs.
            numbers = {int(cpu["thread-id"]) for cpu in answer}
            # A guest that got out of its QEMU must not choose which threads we touch.
            self._threads = Threads(qemu.pid, numbers)
        except OSError as error:
            raise MachineError(f"{self._name}: QEMU's vCPUs are not there: {error}") from error
        if qemu.process.adopted:  # an earlier engine may have pinned it
            self._run_on(allowed_cores())
        self.place()

    def place(self) -> None:
        """Have them run where the fleet's placement says now.

        Between runs only: a run whose vCPUs moved would be measured under two conditions.
        """
        wanted = self._load.placement.of(self._slot)
        if wanted == self._wanted:
            return
        self._wanted = wanted
        done = self._run_on(allowed_cores() if wanted is None else wanted)
        self._pinned = wanted if done else None

    def measure(self) -> Callable[[], Mapping[str, Any]]:
        """Begin to measure a run; what is returned tells, at the run's end, how it was."""
        peak = self._load.begin(self._slot)
        ticks, waited_ns = HostTicks.now(), self._waited_ns()

        def told() -> Mapping[str, Any]:
            now_ns = self._waited_ns()
            wait_ms = None
            if waited_ns is not None and now_ns is not None:
                wait_ms = round((now_ns - waited_ns) / 1e6, 3)
            return {
                "host_cores": float(peak.cores) if peak.cores < inf else None,
                "fleet_vcpus": peak.vcpus,
                "cpus_overcommitted": peak.cpus_overcommitted,
                "memory_overcommitted": peak.memory_overcommitted,
                "pinned_cpus": self.pinned,
                "vcpu_wait_ms": wait_ms,
                "host_steal_share": round(HostTicks.now().steal_share(ticks), 4),
            }

        return told

    def close(self) -> None:
        """Give back what is held."""
        self._wanted = self._pinned = None
        threads, self._threads = self._threads, None
        if threads:
            threads.close()

    def _waited_ns(self) -> int | None:
        return self._threads.waited_ns() if self._threads else None

    def _run_on(self, cores: Cores) -> bool:
        """Whether they all do so now."""
        assert self._threads is not None, "they were found"
        try:
            self._threads.run_on(cores)
        except OSError as error:
            where = format_cpus(cores)
            log.warning("%s", f"{self._name}: its vCPUs cannot be pinned to {where}: {error}")
            return False
        return True
