"""The methods that both clients have."""

from __future__ import annotations

from taskgen.client import calls
from taskgen.client.routes import Listing, Route


class Api:
    """The daemon's API, call by call. What they do and take stands in :mod:`taskgen.client.calls`.

    Lists give one item after the other and fetch their pages as they are needed.
    """

    status = Route(calls.status)
    health = Route(calls.health)
    config = Route(calls.config)
    metrics = Route(calls.metrics)

    fleet = Route(calls.fleet)
    change_fleet = Route(calls.change_fleet)
    set_max_machines = Route(calls.set_max_machines)
    pause = Route(calls.pause)
    resume = Route(calls.resume)
    machines = Listing(calls.machines)
    machine = Route(calls.machine)
    restart_machine = Route(calls.restart_machine)
    drain_machine = Route(calls.drain_machine)
    kill_machine = Route(calls.kill_machine)
    machine_boots = Listing(calls.machine_boots)
    machine_log = Route(calls.machine_log)
    hosts = Listing(calls.hosts)
    hosts_summary = Route(calls.hosts_summary)
    leases = Listing(calls.leases)

    add_job = Route(calls.add_job)
    jobs = Listing(calls.jobs)
    job = Route(calls.job)
    change_job = Route(calls.change_job)
    delete_job = Route(calls.delete_job)
    cancel_job = Route(calls.cancel_job)
    pause_job = Route(calls.pause_job)
    resume_job = Route(calls.resume_job)
    retry_bad = Route(calls.retry_bad)
    document = Route(calls.document)
    job_results = Listing(calls.job_results)
    job_results_page = Route(calls.job_results)
    runs = Listing(calls.runs)
    run = Route(calls.run)
    attempts = Listing(calls.attempts)
    attempts_page = Route(calls.attempts)

    binaries = Listing(calls.binaries)
    has_binary = Route(calls.has_binary)
    put_binary = Route(calls.put_binary)
