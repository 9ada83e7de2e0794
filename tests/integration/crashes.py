"""Engines in processes of their own, to be killed."""

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from taskgen.host.records import Kind
from taskgen.settings import DhcpChoice

HERE = Path(__file__).parent


@contextmanager
def engine(
    stage,
    *,
    name="crashed",
    kind=Kind.EMBEDDED,
    namespace="crashed",
    server=DhcpChoice.DNSMASQ,
    wiring=(),
    script=None,
):
    """Another process whose fleet has come so far.

    :param server: who gives its machines their addresses.
    :param wiring: its uplink, and a word if the bridge is the host's own.
    :param script: another name of the program, by which it is run.
    """
    program = script or HERE / "crash_fleet.py"
    process = subprocess.Popen(
        [sys.executable, program, stage, name, kind, namespace, server, *wiring],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def crash(stage, **options):
    """Kill an engine whose fleet has come so far."""
    with engine(stage, **options):
        pass
