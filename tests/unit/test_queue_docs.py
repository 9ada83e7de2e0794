"""The example in docs/queue.md runs."""

import asyncio
import textwrap
from pathlib import Path

from pages import blocks
from values import outcome

from taskgen.engine import Engine
from taskgen.queue import JobQueue, JobSpec
from taskgen.task import Task
from taskgen.taskset import TaskSet


class Target:
    name, profile, usable = "board-7", "linux-x86_64", True

    async def execute(self, run, emit):
        return outcome(target=self.name)


def test_the_example_hands_out_all_runs(tmp_path, monkeypatch):
    (example,) = blocks("docs/queue.md", "python")
    code = example.text
    monkeypatch.chdir(tmp_path)
    found = []
    names = {
        "JobQueue": JobQueue,
        "JobSpec": JobSpec,
        "Engine": Engine,
        "Path": Path,
        "asyncio": asyncio,
        "target": Target(),
        "taskset": TaskSet([Task(pkg="hey", period=[10, 20, 30])]),
        "found": found,
    }
    assert "        ...\n" in code
    body = textwrap.indent(code.replace("        ...\n", "        found.append(attempt)\n"), "    ")
    exec(f"async def main():\n{body}", names)
    asyncio.run(names["main"]())
    assert [attempt.variant for attempt in found] == [0, 1, 2]
