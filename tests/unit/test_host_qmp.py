"""The control connection to a QEMU that others have just let go of."""

import asyncio
import json

import pytest

from taskgen.errors import MachineError
from taskgen.host.qmp import Qmp

GREETING = {"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}}, "capabilities": []}}
REMAINDER = {"return": {"status": "running"}, "id": "__qmp#00009"}


def connected(tmp_path, *firsts):
    """Connect where each client in turn is told another thing first; how many clients came."""
    path = tmp_path / "qmp.sock"
    clients = []

    async def serve(reader, writer):
        clients.append(writer)
        writer.write(json.dumps(firsts[min(len(clients), len(firsts)) - 1]).encode() + b"\n")
        while line := await reader.read(65536):  # what is asked has no end of line
            asked = json.loads(line)
            answer = {"return": {}} | {key: asked[key] for key in asked if key == "id"}
            writer.write(json.dumps(answer).encode() + b"\n")
        writer.close()

    async def main():
        async with asyncio.timeout(60), await asyncio.start_unix_server(serve, path):
            qmp = await Qmp.connect("taskgen-1", path)
            await qmp.close()

    try:
        asyncio.run(main())
    finally:
        count = len(clients)
    return count


def test_what_qemu_still_had_to_say_to_the_last_client_is_passed_over(tmp_path):
    assert connected(tmp_path, GREETING) == 1
    assert connected(tmp_path, REMAINDER, GREETING) == 2


def test_who_never_greets_is_no_qemu(tmp_path):
    with pytest.raises(MachineError, match=r"taskgen-1: no connection to QEMU: .*Greeting"):
        connected(tmp_path, REMAINDER)
