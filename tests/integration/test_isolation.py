"""What a task-set leaves in its guest, and whether the next one finds it there."""

import asyncio
from dataclasses import replace
from itertools import count

import pytest
from guest_programs import compiled, open_guest
from host_tools import fleet
from snapshot_tools import kind_of, started
from test_session_manager import execute

from taskgen.machine_template import with_templates
from taskgen.run_settings import Reset

#: What a task can leave behind that is nobody, and one that is root.
BY_NOBODY = "memory queue"
BY_ROOT = "memory queue file process priority setting"

QUOTA_MIB = 4


@pytest.fixture
def network(network):
    """The network as it is where states are saved."""
    return replace(network, lease_time_s="infinite")


@pytest.fixture(params=["shipped", "open"])
def guest(request, profile, tmp_path):
    """The reference guest, or one that keeps no task in; and what can be left in it."""
    if request.param == "shipped":
        return profile, BY_NOBODY
    return open_guest(profile, tmp_path), BY_ROOT


def looked_for(profile, network, tmp_path, *, reset, template=False):
    """The traces that a set finds in a guest in which another one has left all that it could."""
    for name in ("dirty", "look"):
        compiled(name, tmp_path)
    kind = kind_of(replace(profile, binaries=tmp_path), tmp_path / "snapshots")
    kind = replace(kind, reset=reset)
    if template:
        kind = with_templates(kind, network)

    async def main():
        async with fleet(network) as (directory, net), started(kind, net, directory) as machine:
            assert bool(machine.qemu.record.template) is template
            assert await traces_in(machine) == ""
            await leave_traces(machine)
            return await traces_in(machine)

    try:
        return asyncio.run(main())
    finally:
        if kind.templates:
            kind.templates.close()


def test_traces_of_a_set_are_there_for_the_next_one_after_clear(guest, network, tmp_path):
    profile, all_traces = guest
    assert looked_for(profile, network, tmp_path, reset=Reset.CLEAR) == all_traces


@pytest.mark.parametrize("template", [False, True], ids=["own state", "template"])
def test_traces_of_a_set_are_gone_with_a_snapshot(template, guest, network, tmp_path):
    profile, _ = guest
    found = looked_for(profile, network, tmp_path, reset=Reset.SNAPSHOT, template=template)
    assert found == ""


async def leave_traces(machine):
    outcome = await execute(machine, {"pkg": "dirty", "period": 0, "quota": f"{QUOTA_MIB}M"})
    assert outcome.failure is None, outcome.reason
    assert [each.exit for each in outcome.activations] == ["OUT_OF_QUOTA"]


_looks = count(1)


async def traces_in(machine):
    """The traces that a set finds, by name."""
    word = f"look-{next(_looks)}"
    # Memory that was left does not count towards the quota of who comes next.
    task = {"pkg": "look", "period": 0, "config": {"arg1": word}, "quota": f"{QUOTA_MIB // 2}M"}
    outcome = await execute(machine, task)
    assert outcome.failure is None, outcome.reason
    assert [each.exit for each in outcome.activations] == ["EXIT"]
    assert outcome.provenance["reset"] == machine.kind.reset
    console = machine.qemu.console
    assert await console.wait_for(rf"{word} found:.* \.", 60), console.tail()
    said = next(line for line in console.tail(200).splitlines() if f"{word} found:" in line)
    return said.partition("found:")[2].rstrip(" .").strip()
