"""All commands, and where each is."""

from __future__ import annotations

from taskgen.cli.lazy import Lazy

COMMANDS = {
    "Run and look at task-sets": {
        "run": Lazy("taskgen.cli.run:run", "Run all variants of a task-set."),
        "taskset": Lazy("taskgen.cli.taskset:taskset", "Look at task-sets and their variants."),
        "results": Lazy("taskgen.cli.results:results", "Export results, and prune databases."),
    },
    "The daemon, its fleet and its jobs": {
        "daemon": Lazy("taskgen.cli.daemon:daemon", "Keep fleet and queue at work."),
        "status": Lazy("taskgen.cli.status:status", "Show how the daemon is."),
        "fleet": Lazy("taskgen.cli.fleet:fleet", "Show and change the fleet."),
        "machine": Lazy("taskgen.cli.machine:machine", "Look at machines, and act on one."),
        "job": Lazy("taskgen.cli.job:job", "Add, watch and change jobs."),
        "host": Lazy("taskgen.cli.host:host", "Look at the boards that the daemon knows."),
        "lease": Lazy("taskgen.cli.lease:lease", "Look at the addresses of machines."),
        "events": Lazy("taskgen.cli.events:events", "Follow what happens."),
        "set-max-machine-value": Lazy(
            "taskgen.cli.fleet:set_max_machine_value", "The same as fleet set-max."
        ),
    },
    "This host": {
        "doctor": Lazy("taskgen.cli.doctor:doctor", "Check whether a fleet can run on this host."),
        "down": Lazy("taskgen.cli.down:down", "Remove what crashed fleets left behind."),
        "network": Lazy(
            "taskgen.cli.network:network", "Make what others need to know of the fleet's network."
        ),
        "config": Lazy("taskgen.cli.config:config", "Show the settings."),
        "completion": Lazy("taskgen.cli.completion:completion", "Print a script for your shell."),
    },
}
