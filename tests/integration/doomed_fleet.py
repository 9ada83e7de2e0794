"""Works off a job on a daemon's fleet, and tells what its machines do. Run by test_adoption.py.

``python doomed_fleet.py QUEUE MACHINES MAX_MACHINES [keep]``; a line of JSON for each thing told.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from taskgen.audience import Audience
from taskgen.engine import Engine
from taskgen.events.handler import EventHandler
from taskgen.host.records import Kind
from taskgen.local import local_fleet
from taskgen.local_plan import FleetPlan
from taskgen.profiles import load_profile
from taskgen.queue import JobQueue
from taskgen.settings import load_settings


def say(**what):
    os.write(1, f"{json.dumps(what)}\n".encode())  # whole lines: handlers have a thread


class Teller(EventHandler):
    def on_start(self, run):
        say(event="run", position=run.variant.index)

    def on_finish(self, run):
        say(event="result", position=run.variant.index, failure=run.outcome.failure)


def tell_machine(name, info):
    if info is not None:
        say(event=info.state, machine=name, pid=info.pid, adopted=info.adopted, run=info.run)


async def main(queue_path, machines, limit, kept=""):
    plan = FleetPlan(
        profile=load_profile("linux-x86_64"),
        settings=load_settings(options={"qemu": {"accelerator": "tcg"}}),
        kind=Kind.DAEMON,
        name="doomed",
        machines=Path(machines),
    )
    async with (
        local_fleet(plan, keep=lambda: bool(kept)) as fleet,
        JobQueue.open(Path(queue_path)) as queue,
    ):
        engine = Engine(queue, Audience([Teller()]))
        pool = fleet.pool(engine, queue, limit=int(limit))
        pool.on_change(tell_machine)
        say(event="begun", left=len(pool.machines))
        await pool.run()
        await engine.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
