"""The distributor: hands task-sets to machines that it launches, and to hosts that it finds.

::

    from taskgen.distributor import Distributor
    from taskgen.events.csv import CsvHandler
    from taskgen.tasksets.hey import Hey1TaskSet

    with Distributor(machines=4) as distributor:
        job = distributor.add_job(Hey1TaskSet(), CsvHandler("events.csv"))
        job.wait()
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from taskgen.addresses import parse_hosts
from taskgen.backend import Backend, embedded
from taskgen.binaries import user_directories
from taskgen.client.address import find
from taskgen.engine_thread import EngineThread
from taskgen.errors import ConfigError
from taskgen.events.adapter import adapt
from taskgen.events.handler import EventHandler
from taskgen.job import Job
from taskgen.job_request import JobRequest, sorted_out
from taskgen.local_plan import FleetPlan
from taskgen.profiles import load_profile
from taskgen.queue.values import VariantSource
from taskgen.remote import remote
from taskgen.service import Plan
from taskgen.settings import load_settings
from taskgen.status import Status
from taskgen.taskset import TaskSet


class Distributor:
    """Runs task-sets. Its calls block, and may come from any thread.

    :param hosts: boards to drive: an address, a CIDR range, a host name, or a list of them.
    :param machines: QEMU machines to launch on this host at most. Default: as many as cores, or
        none where ``hosts`` are given.
    :param profile: what kind of machine; default: the one of the settings.
    :param image: an image of one's own instead of the profile's.
    :param binaries: directory of one's own task binaries, or several with ``:`` between.
    :param host_profile: what the hosts are; default: the same as ``profile``.
    :param queue: file of the queue; jobs in it that are not through go on. Default: in memory.
    :param config: file of settings; default: as for the command line.
    :param namespace: network namespace of the fleet; default: one of its own.
    :raises SetupError: if the input or the host does not allow it; nothing is left then.
    """

    def __init__(
        self,
        hosts: str | Iterable[str] | None = None,
        *,
        machines: int | None = None,
        profile: str | None = None,
        image: str | os.PathLike[str] | None = None,
        binaries: str | os.PathLike[str] | None = None,
        host_profile: str | None = None,
        queue: str | os.PathLike[str] | None = None,
        config: str | os.PathLike[str] | None = None,
        namespace: str | None = None,
    ) -> None:
        options = {} if namespace is None else {"network": {"namespace": namespace}}
        settings = load_settings(Path(config) if config else None, options=options)
        own = tuple(user_directories(os.fspath(binaries) if binaries else None))
        kind = load_profile(profile or settings.fleet.profile)
        board = load_profile(host_profile) if host_profile else kind
        launches = machines is not None or hosts is None
        if not launches and image is not None:
            raise ConfigError("an image is for machines", hint="say how many: machines=N")
        own_kind = kind if image is None else kind.with_image(Path(image))
        fleet = FleetPlan(profile=own_kind, settings=settings, binaries=own)
        plan = Plan(
            machines=fleet if launches else None,
            hosts=parse_hosts(hosts) if hosts is not None else None,
            host_profile=board,
            binaries=own,
            queue=Path(queue) if queue else None,
            settings=settings,
        )
        if machines is not None:
            plan = replace(plan, max_machines=_positive(machines))
        self._begin(lambda: embedded(plan))

    @classmethod
    def connect(
        cls,
        socket: str | os.PathLike[str] | None = None,
        url: str | None = None,
        token: str | None = None,
        *,
        binaries: str | os.PathLike[str] | None = None,
    ) -> Self:
        """A distributor whose work is done by a daemon. Handlers run here; jobs go on without us.

        :param socket: the daemon's Unix socket; default: ``TASKGEN_SOCKET``, or where it puts it.
        :param url: instead of a socket; default: ``TASKGEN_URL``.
        :param token: for a daemon that listens on TCP; default: ``TASKGEN_TOKEN``.
        :param binaries: as for an embedded one; they are uploaded.
        :raises DaemonUnreachableError: if it does not answer.
        :raises SetupError: if address or binaries make no sense.
        """
        own = tuple(user_directories(os.fspath(binaries) if binaries else None))
        address = find(socket, url, token)
        made = cls.__new__(cls)
        made._begin(lambda: remote(address, own))
        return made

    def _begin(self, make: Callable[[], AbstractAsyncContextManager[Backend]]) -> None:
        self._handler: EventHandler | None = None
        self._started: list[Job] = []
        self._engine = EngineThread(make)

    # Work.

    @property
    def event_handler(self) -> EventHandler | None:
        """Who is told of the runs of jobs that bring no handler of their own."""
        return self._handler

    @event_handler.setter
    def event_handler(self, handler: Any) -> None:
        self._handler = None if handler is None else adapt(handler)

    def start(
        self,
        taskset: TaskSet | VariantSource,
        *parameters: Any,
        wait: bool = True,
        timeout: float | None = None,
        **options: Any,
    ) -> Job:
        """Run all variants of a task-set; :meth:`stop` ends it.

        :param parameters: as for :meth:`add_job`, as are ``options``.
        :param wait: until it has ended.
        :param timeout: seconds for that.
        :raises TimeoutError: if it has not ended by then; it goes on.
        """
        self._engine.call(lambda backend: backend.begin())
        job = self.add_job(taskset, *parameters, **options)
        self._started.append(job)
        if wait:
            job.wait(timeout)
        return job

    def stop(self, wait: bool = True, timeout: float | None = None) -> None:
        """Cancel what :meth:`start` began and is not through.

        :param wait: until the runs have ended and their handlers were told.
        """
        jobs, self._started = [job.id for job in self._started], []

        async def stop_all(backend: Backend) -> None:
            for job_id in jobs:
                await backend.stop_job(job_id, "stopped")

        if wait:
            self._engine.call(stop_all, timeout)
        else:
            self._engine.begin(stop_all)

    def add_job(
        self,
        taskset: TaskSet | VariantSource,
        *parameters: Any,
        name: str = "",
        labels: Mapping[str, str] | None = None,
        priority: int = 0,
        offset: int = 0,
        limit: int | None = None,
        repeat: int = 1,
        tries: int | None = None,
        profile: str | None = None,
        duration_s: float | None = None,
    ) -> Job:
        """Queue all variants of a task-set. A copy is queued: later changes do not touch it.

        :param parameters: handlers, monitors of the prototypes, or a dictionary of data for
            admission control, which go out as ``OPTIMIZE``; in any order. Without a handler
            :attr:`event_handler` is told.
        :param name: for people; default: the task-set's.
        :param labels: to find the job by.
        :param priority: larger goes first; jobs of the same priority share the targets.
        :param offset: begin at this variant.
        :param limit: so many variants at most.
        :param repeat: run each variant so often.
        :param tries: attempts for a variant whose failures are its own.
        :param profile: the kind of target that it needs; default: the only one that fits.
        :param duration_s: stop each run after so many seconds.
        :raises SetupError: if it cannot run here; nothing was queued then.
        :raises ValueError: for a number that makes no sense.
        """
        handlers, admission_control = sorted_out(parameters)
        if not handlers and self._handler is not None:
            handlers = (self._handler,)
        request = JobRequest(
            taskset=taskset.copy() if isinstance(taskset, TaskSet) else taskset,
            name=name,
            labels=dict(labels or {}),
            priority=priority,
            offset=offset,
            limit=limit,
            repeat=repeat,
            tries=tries,
            profile=profile,
            duration_s=duration_s,
            admission_control=admission_control,
        )
        return Job(self._engine.call(lambda b: b.add_job(request, handlers)), self._engine)

    def jobs(self) -> list[Job]:
        """All jobs of the queue, oldest first, also those of earlier programs."""
        infos = self._engine.call(lambda backend: backend.jobs())
        return [Job(info.id, self._engine) for info in infos]

    def wait(self, timeout: float | None = None) -> None:
        """Wait until nothing is queued or running.

        :raises TimeoutError: if something is, after ``timeout`` seconds.
        """
        self._engine.call(lambda backend: backend.wait_idle(), timeout)

    # Targets.

    def set_max_machine_value(self, machines: int) -> None:
        """Launch so many machines at most. More than fit is kept as a wish: see :attr:`status`.

        Lowering it lets the highest machines finish their runs, and go.

        :raises ValueError: if it is not a whole number above 0.
        """
        number = _positive(machines)
        self._engine.call(lambda backend: backend.set_limit(number))

    def get_max_machine_value(self) -> int:
        """Machines at most, as wished; 0 where none are launched."""
        return self.status.max_machines

    def get_distributor_state(self) -> bool:
        """Whether work is queued or running."""
        return self._engine.call(lambda backend: backend.busy())

    @property
    def status(self) -> Status:
        """How things stand."""
        return self._engine.call(lambda backend: backend.status())

    def kill_all_machines(self, timeout: float | None = None) -> None:
        """Stop all machines now; their runs go back to the queue. None starts until
        :meth:`resume`."""
        self._engine.call(lambda backend: backend.kill_machines(), timeout)

    def shut_down_all_machines(self, timeout: float | None = None) -> None:
        """Let all machines finish their runs, and stop. None starts until :meth:`resume`."""
        self._engine.call(lambda backend: backend.shut_down_machines(), timeout)

    def resume(self) -> None:
        """Launch machines and take hosts again as there is work for them."""
        self._engine.call(lambda backend: backend.resume())

    # Its end.

    def close(self, wait: bool = True, timeout: float | None = None) -> None:
        """Stop everything. Handlers are told; what is not through stays in a queue with a file.

        :param wait: until nothing is left.
        :raises TimeoutError: if something is, after ``timeout`` seconds.
        """
        self._engine.close()
        if wait:
            self._engine.join(timeout)

    def wait_closed(self, timeout: float | None = None) -> None:
        """Wait until nothing is left after :meth:`close`.

        :raises TimeoutError: if something is, after ``timeout`` seconds.
        """
        self._engine.join(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _positive(machines: int) -> int:
    if isinstance(machines, bool) or not isinstance(machines, int) or machines < 1:
        raise ValueError(f"the number of machines must be a whole number above 0, not {machines!r}")
    return machines
