"""The example in docs/protocol.md runs, on a fake at another address than it names."""

import asyncio
import textwrap

from pages import blocks

from taskgen.protocol import Binary
from taskgen.session import Session
from taskgen.taskset import TaskSet
from taskgen.testing import FakeTaskloader


def test_the_example_carries_a_run_out():
    (example,) = blocks("docs/protocol.md", "python")
    code = example.text
    ending = """        found.append(event.type)
        if event.type == "JOBS_DONE":
            break
"""
    assert "        ...\n" in code
    body = textwrap.indent(code.replace("        ...\n", ending), "    ")
    variant = TaskSet([{"pkg": "hey", "period": 10, "numberofjobs": 2}]).variants()[0]
    found = []

    async def main():
        async with FakeTaskloader() as fake:
            names = {
                "Session": Session,
                "Binary": Binary,
                "tcp": lambda address: fake.connect,
                "description": variant.description(),
                "content": b"\x7fELF",
                "found": found,
            }
            exec(f"async def example():\n{body}", names)
            await names["example"]()

    asyncio.run(main())
    assert found == ["START", "EXIT", "START", "EXIT", "JOBS_DONE"]
