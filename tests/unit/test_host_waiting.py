"""What cancellation must not cut short; locks among processes; changes of files."""

import asyncio
import multiprocessing
import os

import pytest

from taskgen.errors import HostError
from taskgen.host.file_lock import file_lock
from taskgen.host.inotify import Change, Inotify
from taskgen.host.waiting import finish, in_thread


def test_finish_goes_on_when_cancelled():
    async def main():
        gate = asyncio.Event()
        done = []

        async def work():
            await gate.wait()
            done.append(True)

        task = asyncio.create_task(finish(work()))
        for _ in range(3):
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        gate.set()
        await asyncio.wait([task])
        assert task.cancelled()
        assert done

    asyncio.run(main())


def test_finish_gives_results_and_errors():
    async def main():
        assert await finish(asyncio.sleep(0, 5)) == 5
        with pytest.raises(ZeroDivisionError):
            await finish(in_thread(None, lambda: 1 // 0))

    asyncio.run(main())


def test_result_of_a_cancelled_thread_is_undone():
    async def main():
        undone = []
        task = asyncio.create_task(in_thread(None, lambda: 7, undo=undone.append))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert undone == [7]

    asyncio.run(main())


def hold(path, ready, release):
    async def main():
        async with file_lock(path, timeout_s=1):
            ready.set()
            await asyncio.to_thread(release.wait)

    asyncio.run(main())


def test_file_lock_waits_for_another_process(tmp_path):
    context = multiprocessing.get_context("spawn")
    path, ready, release = tmp_path / "lock", context.Event(), context.Event()
    other = context.Process(target=hold, args=(path, ready, release))
    other.start()

    async def main():
        assert await asyncio.to_thread(ready.wait, 20)
        with pytest.raises(HostError, match=r"held by another process for 0.05 s"):
            async with file_lock(path, timeout_s=0.05):
                pass
        cancelled = asyncio.create_task(file_lock(path, timeout_s=20).__aenter__())
        await asyncio.sleep(0.01)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        release.set()
        async with file_lock(path, timeout_s=20):
            pass

    asyncio.run(main())
    other.join()
    assert other.exitcode == 0


def test_inotify_two_watches_of_one_file(tmp_path):
    path = tmp_path / "file"
    path.touch()

    async def main():
        first, second = asyncio.Event(), asyncio.Event()
        with Inotify() as inotify:
            with inotify.watch(path, Change.MODIFY, first.set):
                with inotify.watch(path, Change.CLOSE_WRITE, second.set):
                    path.write_text("x")
                    await asyncio.wait_for(first.wait(), 5)
                    await asyncio.wait_for(second.wait(), 5)
                first.clear()
                path.write_text("y")
                await asyncio.wait_for(first.wait(), 5)
            with (
                pytest.raises(HostError, match="cannot be watched: No such file"),
                inotify.watch(tmp_path / "no", Change.MODIFY, first.set),
            ):
                pass

    before = len(os.listdir("/proc/self/fd"))
    asyncio.run(main())
    assert len(os.listdir("/proc/self/fd")) == before
