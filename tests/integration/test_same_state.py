"""Each run of a machine that goes back to a saved state begins from the very same one."""

import asyncio
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
from guest_programs import compiled, open_guest
from host_tools import fleet
from snapshot_tools import kind_of, started
from test_session_manager import execute

from taskgen.machine_template import with_templates

RESETS = 20


@dataclass(frozen=True)
class Found:
    """What a run found in its guest.

    :ivar lines: memory, and each process, as the task ``state`` tells them.
    :ivar clock_s: the guest's, in the first answer that tells it: the task's ``START``.
    :ivar since_s: by the host's clock, from before the guest went back to its state until we had
        that answer.
    """

    lines: tuple[str, ...]
    clock_s: float
    since_s: float


@pytest.fixture
def network(network):
    """The network as it is where states are saved."""
    return replace(network, lease_time_s="infinite")


@contextmanager
def kinds(profile, network, tmp_path, *, icount, template):
    """The reference guest with the task ``state``, which can look into every process."""
    compiled("state", tmp_path)
    guest = replace(open_guest(profile, tmp_path), binaries=tmp_path)
    kind = replace(kind_of(guest, tmp_path / "snapshots"), icount=icount)
    if template:
        kind = with_templates(kind, network)
    try:
        yield kind
    finally:
        if kind.templates:
            kind.templates.close()


async def look(machine, number):
    word = f"state-{number}"
    told = []
    begun = time.monotonic()
    outcome = await execute(
        machine,
        {"pkg": "state", "period": 0, "config": {"arg1": word}},
        lambda event: told.append((event.at_us / 1e6, time.monotonic() - begun)),
    )
    assert outcome.failure is None, outcome.reason
    assert outcome.provenance["reset"] == "snapshot"
    console = machine.qemu.console
    assert await console.wait_for(f"{word}: end", 60), console.tail()
    said = [line.partition(f"{word}: ") for line in console.tail(400).splitlines()]
    lines = tuple(comparable(text) for start, _, text in said if text and not start)
    return Found(lines, *told[0])


def comparable(line):
    """What is to be the same each time."""
    line = re.sub(
        r"(kworker/\S+?)[-+]\S+", r"\1", line
    )  # what a worker of the kernel does just now
    return re.sub(r"\d+ (memfd:state .*) start.*", r"\1", line)  # the task is no part of the state


def without_workers(found):
    return tuple(line for line in found.lines if " kworker/" not in line)


def newest_s(lines):
    """When the last process was started that is a part of the state."""
    return max(int(start) for start in re.findall(r" start (\d+)", "\n".join(lines))) / 100


@pytest.mark.parametrize(
    "way",
    [
        # Virtual time is what an emulated x86 goes back in.
        pytest.param({"icount": True, "template": False}, id="in place"),
        pytest.param({"icount": False, "template": False}, id="another QEMU"),
        pytest.param({"icount": False, "template": True}, id="template"),
    ],
)
def test_over_20_resets_memory_processes_and_clock_are_the_same(way, profile, network, tmp_path):
    async def main(kind):
        async with fleet(network) as (directory, net), started(kind, net, directory) as machine:
            return [await look(machine, number) for number in range(1 + RESETS)]

    with kinds(profile, network, tmp_path, **way) as kind:
        first, *others = asyncio.run(main(kind))

    assert any(" taskloader " in line for line in first.lines)
    for each in others:
        assert without_workers(each) == without_workers(first)
    # The kernel makes another worker whenever all that it has are waiting, also in the first run.
    saved = set(first.lines).intersection(*(each.lines for each in others))
    assert any(" kworker/" in line for line in saved)
    # The guest's clock has gone on from the saved one by no more than the host's meanwhile. So the
    # saved one is between these two, and were it not the same each time, there would be none such.
    earliest = max(newest_s(saved), *(each.clock_s - each.since_s for each in others))
    latest = min(each.clock_s for each in others)
    print(f"saved at {earliest:.3f} … {latest:.3f} s, then told {[e.clock_s for e in others]}")
    assert earliest <= latest
