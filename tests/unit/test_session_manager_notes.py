"""What is noted of a guest, and when: whoever dies in between must not leave a wrong note."""

import asyncio
import copy
from dataclasses import replace

import pytest
from test_binaries import elf
from test_board import one_run

from taskgen.binaries import Binaries
from taskgen.interfaces import FailureClass
from taskgen.protocol import Binary as Upload
from taskgen.session import Session, tcp
from taskgen.session_manager import Boot, Rules, SessionManager
from taskgen.task import Task
from taskgen.taskset import TaskSet
from taskgen.testing import FakeTaskloader, Faults


@pytest.fixture
def binaries(tmp_path):
    for name in ("hey", "pi"):
        (tmp_path / name).write_bytes(elf() + name.encode())
    return Binaries([tmp_path], "x86_64")


def play(binaries, scene, **faults):
    """What is noted, each with the uploads that the guest had by then."""
    notes = []

    async def main():
        async with FakeTaskloader(time_scale=0.01, faults=Faults(**faults)) as fake:

            def note(boot):
                sent = [m.name for m in fake.received if isinstance(m, Upload)]
                notes.append((copy.deepcopy(boot), sent))

            async def restart(session):
                await session.close()
                fake.binaries.clear()
                return await Session.open("taskgen-1", tcp("127.0.0.1", fake.port))

            manager = SessionManager(
                await Session.open("taskgen-1", tcp("127.0.0.1", fake.port)),
                Boot(),
                Rules(after_stall=True),
                binaries=binaries,
                optimize=True,
                restart=restart,
                lost_class=FailureClass.MACHINE,
                note=note,
            )
            try:
                await scene(manager)
            finally:
                await manager.close()

    asyncio.run(main())
    return notes


def execute(manager, *runs):
    return [manager.execute(each, lambda event: None) for each in runs]


def test_an_upload_is_noted_as_unsure_before_it_and_as_had_after_it(binaries):
    async def scene(manager):
        for each in execute(manager, one_run(), one_run(), one_run("pi")):
            assert (await each).failure is None

    before, after, before_next, after_next = play(binaries, scene)
    assert (before[0].unsure, before[0].uploaded, before[1]) == ({"hey"}, {}, [])
    assert (after[0].unsure, list(after[0].uploaded), after[1]) == (set(), ["hey"], ["hey"])
    assert (before_next[0].unsure, list(before_next[0].uploaded)) == ({"pi"}, ["hey"])
    assert (after_next[0].unsure, list(after_next[0].uploaded)) == (set(), ["hey", "pi"])


def test_during_a_restart_nothing_is_known(binaries, tmp_path):
    async def scene(manager):
        await manager.execute(one_run(), lambda event: None)
        (tmp_path / "hey").write_bytes(elf() + b"changed")
        assert (await manager.execute(one_run(), lambda event: None)).failure is None

    notes = [boot for boot, _ in play(binaries, scene)]
    assert [boot.unknown for boot in notes] == [False, False, True, False, False, False]
    assert notes[3] == Boot()


def test_a_run_that_is_broken_off_has_the_outcome_of_what_there_was(binaries):
    async def scene(manager):
        task = Task(pkg="hey", period=60_000, numberofjobs=2)
        slow = replace(one_run(), id="slow", variant=TaskSet([task]).variants()[0])
        began = asyncio.Event()
        running = asyncio.create_task(manager.execute(slow, lambda event: began.set()))
        await began.wait()
        running.cancel()
        await asyncio.wait([running])
        outcome = manager.broken_off(slow, FailureClass.MACHINE, "QEMU was killed")
        assert (outcome.failure, outcome.reason) == (FailureClass.MACHINE, "QEMU was killed")
        assert outcome.started_at > 0
        assert outcome.events
        other = manager.broken_off(replace(slow, id="other"), FailureClass.MACHINE, "before it")
        assert (other.started_at, other.events) == (0, ())

    play(binaries, scene)


def two_binaries():
    tasks = [Task(pkg=pkg, period=1000, numberofjobs=2) for pkg in ("hey", "pi")]
    return replace(one_run(), variant=TaskSet(tasks).variants()[0])


async def cancelled(manager, turns, times=1):
    """Cancel a run with two uploads after so many turns of the loop."""
    running = asyncio.create_task(manager.execute(two_binaries(), lambda event: None))
    for _ in range(turns):
        await asyncio.sleep(0)
    for _ in range(times):
        running.cancel()
        await asyncio.sleep(0.01)
    await asyncio.wait([running])
    assert running.cancelled()


@pytest.mark.parametrize("upload_bytes_per_s", [None, 1000.0])
@pytest.mark.parametrize("turns", [1, 2, 3, 4, 5, 6, 8, 12])
def test_an_upload_that_is_cancelled_is_finished_and_the_guest_stays(
    binaries, upload_bytes_per_s, turns
):
    """It waits for what it was told of; to break that off would cost its connection, and a boot."""

    async def scene(manager):
        session = manager.session
        await cancelled(manager, turns)
        assert session.usable
        outcome = await manager.execute(two_binaries(), lambda event: None)
        assert outcome.failure is None
        assert len(outcome.activations) == 4
        assert manager.session is session
        assert set(manager.boot.uploaded) == {"hey", "pi"}

    notes = play(binaries, scene, upload_bytes_per_s=upload_bytes_per_s)
    assert sorted(notes[-1][1]) == ["hey", "pi"]
    assert not any(boot.unknown for boot, _ in notes)


@pytest.mark.parametrize(("grace_s", "times"), [(0.05, 1), (60.0, 2)])
def test_an_upload_that_takes_too_long_to_be_finished_is_broken_off(
    binaries, monkeypatch, grace_s, times
):
    """As it is when somebody does not want to wait for that, and cancels again."""
    monkeypatch.setattr("taskgen.exchange.UPLOAD_GRACE_S", grace_s)

    async def scene(manager):
        await cancelled(manager, 6, times)
        assert not manager.session.usable
        assert manager.boot.unsure == {"hey", "pi"}

    play(binaries, scene, upload_bytes_per_s=0.1)
