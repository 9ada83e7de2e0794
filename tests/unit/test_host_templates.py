"""Where a template comes from: made once, kept for others, left where it is of no use."""

import asyncio
import os

import pytest

from taskgen.errors import BootError, SilentGuestError
from taskgen.host import template_file
from taskgen.host import templates as module
from taskgen.host.snapshot_file import Key
from taskgen.host.snapshot_store import SnapshotStore
from taskgen.host.templates import DISK_PROBLEM, PROBLEM, TRIES, Templates

KEY = Key(slot="template", place={"profile": "linux"}, facts={"image": "a"})


class Maker:
    """Stands for the machine that is booted for it.

    :param fails: how often it fails at first.
    """

    def __init__(self, fails=0):
        self.fails = fails
        self.calls = 0

    async def __call__(self, template):
        self.calls += 1
        await asyncio.sleep(0)
        if self.calls <= self.fails:
            raise BootError("taskgen-1: not ready")
        template.memory.write(4096, b"memory")
        template.state.write(0, b"state")


def templates(path, key=KEY, limit_bytes=0):
    return of(SnapshotStore(path, limit_bytes), key)


def of(store, key=KEY):
    async def now():
        return key

    return Templates(store, now, memory_mb=1, make_s=30)


def content(template):
    return template.memory.read()[4096:4102], template.state.read()


MADE = (b"memory", b"state")


def test_it_is_made_once_for_all(tmp_path):
    async def main():
        ours, make = templates(tmp_path), Maker()
        found = await asyncio.gather(*(ours.get(make) for _ in range(5)))
        assert make.calls == 1
        assert len({id(each) for each in found}) == 1
        assert content(found[0]) == MADE
        ours.close()

    asyncio.run(main())


def test_of_two_engines_one_makes_it(tmp_path):
    async def main():
        make = Maker()
        engines = [templates(tmp_path) for _ in range(2)]
        for found in await asyncio.gather(*(each.get(make) for each in engines)):
            assert content(found) == MADE
        assert make.calls == 1
        for each in engines:
            each.close()

    asyncio.run(main())


def test_another_image_has_another_one(tmp_path):
    async def main():
        make = Maker()
        for image in ("a", "b"):
            ours = templates(
                tmp_path, Key(slot="template", place=KEY.place, facts={"image": image})
            )
            await ours.get(make)
            ours.close()
        assert make.calls == 2
        assert len(list(tmp_path.glob("*.json"))) == 1  # the one of the old image went

    asyncio.run(main())


def test_an_image_that_changes_meanwhile_has_another_one(tmp_path):
    images = ["a"]

    async def now():
        return Key(slot="template", place=KEY.place, facts={"image": images[-1]})

    async def rebuilds(template):
        await Maker()(template)
        images.append("c")

    async def main():
        ours, make = templates(tmp_path), Maker()
        ours.key = now
        first = await ours.get(make)
        images.append("b")
        second = await ours.get(make)
        assert first.key != second.key == await now()
        images.append("b2")
        assert await ours.get(rebuilds) is None
        assert (await ours.get(make)).key == await now()
        ours.close()

    asyncio.run(main())


def spoil_by_cutting(path):
    os.truncate(path, path.stat().st_size - 1)


def spoil_by_changing(path):
    path.write_bytes(path.read_bytes()[:-1] + b"x")


@pytest.mark.parametrize("spoil", [spoil_by_cutting, spoil_by_changing, os.unlink])
def test_one_that_is_spoiled_on_disk_is_made_anew(tmp_path, spoil):
    async def main():
        make = Maker()
        for _ in range(2):
            ours = templates(tmp_path)
            assert content(await ours.get(make)) == MADE
            ours.close()
            (file,) = tmp_path.glob("template-*.template")
            spoil(file)
        assert make.calls == 2

    asyncio.run(main())


def test_one_that_cannot_be_kept_serves_this_engine(tmp_path, monkeypatch, caplog):
    def full(*args):
        raise OSError(28, "No space left on device")

    async def main():
        monkeypatch.setattr("taskgen.host.template_file.write", full)
        ours, make = templates(tmp_path), Maker()
        assert content(await ours.get(make)) == MADE
        assert await ours.get(make)
        assert make.calls == 1
        assert not list(tmp_path.glob("*.json"))
        ours.close()

    asyncio.run(main())
    assert "No space left" in caplog.text


def problems(store):
    return {each.key: each.text for each in store.problems.current}


def test_that_it_cannot_be_kept_is_a_problem_until_it_can(tmp_path, monkeypatch):
    writes, write = [], template_file.write

    def full_once(*args):
        writes.append(args)
        if len(writes) == 1:
            raise OSError(28, "No space left on device")
        write(*args)

    monkeypatch.setattr(template_file, "write", full_once)

    monkeypatch.setattr(module, "KEEP_AGAIN_S", 0.2)

    async def main():
        store = SnapshotStore(tmp_path)
        cleared = asyncio.Event()
        store.problems.on_change(lambda _, problem: None if problem else cleared.set())
        ours, make = of(store), Maker()
        await ours.get(make)
        assert "cannot be kept on disk" in problems(store)[DISK_PROBLEM]
        await ours.get(make)
        assert len(writes) == 1  # not with each machine
        async with asyncio.timeout(60):  # by itself: no machine may be needed for long
            await cleared.wait()
        assert not problems(store)
        assert (make.calls, len(writes)) == (1, 2)
        ours.close()
        other = of(store)
        assert content(await other.get(make)) == MADE
        assert make.calls == 1  # it was found on disk
        other.close()

    asyncio.run(main())


def test_what_cannot_be_kept_is_no_problem_any_more_once_it_is_let_go(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(template_file, "write", full)

    async def main():
        store = SnapshotStore(tmp_path)
        ours = of(store)
        template = await ours.get(Maker())
        assert DISK_PROBLEM in problems(store)
        await ours.drop(template, "for a test")
        assert DISK_PROBLEM not in problems(store)
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1  # nobody tries to keep it
        ours.close()

    asyncio.run(main())


def test_that_there_is_no_room_for_it_is_a_problem(tmp_path):
    async def main():
        store = SnapshotStore(tmp_path, limit_bytes=1)
        ours = of(store)
        assert content(await ours.get(Maker())) == MADE
        (problem,) = store.problems.current
        assert problem.key == DISK_PROBLEM
        assert "no room" in problem.text
        assert "snapshots.megabytes" in problem.hint
        ours.close()

    asyncio.run(main())


def test_that_there_is_none_is_a_problem_until_a_machine_has_started_from_one(tmp_path):
    async def main():
        store = SnapshotStore(tmp_path)
        ours, make = of(store), Maker(fails=1)
        assert await ours.get(make) is None
        assert "taskgen-1: not ready; another one is tried" in problems(store)[PROBLEM]
        template = await ours.get(make)
        assert PROBLEM in problems(store)  # whether a machine starts from it is not known
        await ours.drop(template, "the guest does not answer")
        assert "is dropped: the guest does not answer" in problems(store)[PROBLEM]
        assert await ours.get(make)
        ours.proved()
        assert not problems(store)
        ours.close()

    asyncio.run(main())


def test_after_failures_another_image_is_tried(tmp_path):
    images = ["bad"]

    async def now():
        return Key(slot="template", place=KEY.place, facts={"image": images[-1]})

    async def main():
        ours, make = of(SnapshotStore(tmp_path)), Maker(fails=TRIES)
        ours.key = now
        for _ in range(TRIES + 1):
            assert await ours.get(make) is None
        assert not ours.exist
        images.append("good")
        assert content(await ours.get(make)) == MADE
        assert ours.exist
        ours.close()

    asyncio.run(main())


def test_after_a_failure_it_is_tried_again_but_not_for_ever(tmp_path):
    async def main():
        ours, make = templates(tmp_path), Maker(fails=1)
        assert await ours.get(make) is None
        assert content(await ours.get(make)) == MADE
        ours.close()
        (file,) = tmp_path.glob("template-*.template")
        file.unlink()
        ours, make = templates(tmp_path), Maker(fails=100)
        for _ in range(TRIES + 2):
            assert await ours.get(make) is None
        assert make.calls == TRIES
        assert not ours.exist

    asyncio.run(main())


def test_a_guest_that_says_nothing_is_waited_for_once(tmp_path, caplog):
    calls = []

    async def silent(template):
        calls.append(template)
        raise SilentGuestError("taskgen-1: its control port is silent for 60 s")

    async def main():
        ours = templates(tmp_path)
        assert [await ours.get(silent) for _ in range(3)] == [None, None, None]

    asyncio.run(main())
    assert len(calls) == 1
    assert "from now on all boot" in caplog.text


def test_one_that_is_dropped_is_gone_from_the_disk_and_made_anew(tmp_path):
    async def main():
        ours, make = templates(tmp_path), Maker()
        async with ours.held(make) as first:
            await ours.drop(first, "no machine starts from it")
            assert not list(tmp_path.glob("*.json"))
            second = await ours.get(make)
            assert second is not first
            assert content(second) == MADE
            await ours.drop(first, "told late")
            assert await ours.get(make) is second
            assert content(first) == MADE  # a machine is just starting from it
        ours.close()

    asyncio.run(main())


def test_those_of_older_images_take_no_memory(tmp_path):
    images = ["a"]

    async def now():
        return Key(slot="template", place=KEY.place, facts={"image": images[-1]})

    async def main():
        ours, make = templates(tmp_path), Maker()
        ours.key = now
        before = len(os.listdir("/proc/self/fd"))
        for number in range(5):
            images.append(str(number))
            async with ours.held(make) as one, ours.held(make) as same:
                assert one is same
        assert make.calls == 5
        assert len(os.listdir("/proc/self/fd")) == before + 2  # memory and devices of the newest
        ours.close()
        assert len(os.listdir("/proc/self/fd")) == before

    asyncio.run(main())


def test_cancelling_who_makes_it_leaves_it_to_the_next(tmp_path):
    async def main():
        begun, ours = asyncio.Event(), templates(tmp_path)

        async def forever(template):
            begun.set()
            await asyncio.Event().wait()

        first = asyncio.create_task(ours.get(forever))
        await begun.wait()
        second = asyncio.create_task(ours.get(Maker()))
        first.cancel()
        assert content(await second) == MADE
        assert first.cancelled()
        ours.close()

    before = len(os.listdir("/proc/self/fd"))
    asyncio.run(main())
    assert len(os.listdir("/proc/self/fd")) <= before
