"""A slot's screen that cannot be had; real ones are in the integration and acceptance tests."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from taskgen.daemon import slot_screen
from taskgen.daemon.slot_screen import LONGEST_REST_S, SlotScreen
from taskgen.errors import HostError, MissingToolError
from taskgen.host.process import Exit


class Ended:
    """A session that ends at once."""

    def on_end(self, callback):
        ending = asyncio.ensure_future(self.wait())
        ending.add_done_callback(callback)
        return lambda: ending.remove_done_callback(callback)

    async def wait(self):
        return Exit(1, "Directory '/run/screen' must have mode 755.")

    async def ignore_keys(self):
        await asyncio.Event().wait()


@pytest.fixture
def tried(monkeypatch):
    """Keeps a screen until it rested so often: the rests, and what was reported."""

    def keep(screen, rests):
        slept, reports = [], []
        enough = asyncio.Event()

        async def sleep(seconds):
            slept.append(seconds)
            if len(slept) == rests:
                enough.set()
                await asyncio.Event().wait()

        async def main():
            keeping = asyncio.create_task(
                SlotScreen(
                    "taskgen-3",
                    None,
                    lambda: None,
                    lambda name, error: reports.append(error),
                    rest=sleep,
                ).keep()
            )
            async with asyncio.timeout(30):
                await enough.wait()
            keeping.cancel()
            await asyncio.wait([keeping])

        monkeypatch.setattr(slot_screen, "screen", screen)
        asyncio.run(main())
        return slept, reports

    return keep


def test_one_that_ends_at_once_again_and_again_is_tried_more_and_more_rarely(tried):
    @asynccontextmanager
    async def screen(name, inotify):
        yield Ended()

    slept, reports = tried(screen, 8)
    assert slept[:7] == [1, 2, 4, 8, 16, 32, LONGEST_REST_S]
    assert "taskgen-3 ends again and again: exit status 1: Directory" in reports[0].message
    assert reports[-1] is None  # nobody tries any more


def test_a_host_without_screen_is_told_of_and_tried_again(tried):
    @asynccontextmanager
    async def screen(name, inotify):
        raise MissingToolError("no program 'screen' on this host")
        yield

    slept, reports = tried(screen, 3)
    assert slept == [1, 2, 4]
    assert isinstance(reports[0], HostError)
    assert "no program 'screen'" in reports[0].message


class Line:
    """A console, and the one that follows it."""

    def __init__(self, following=None):
        self.following = following

    async def next(self):
        return self.following


def test_one_is_led_from_a_console_to_the_next_and_told_only_of_the_last_ones_end(monkeypatch):
    used, shown, over = [], [], asyncio.Event()

    class Session(Ended):
        async def wait(self):
            await over.wait()
            return Exit(0)

        async def use(self, hub):
            used.append(hub)

        async def show(self, data):
            shown.append(data)
            over.set()

    @asynccontextmanager
    async def screen(name, inotify):
        yield Session()

    last = Line()
    first = Line(last)
    lines = [first]

    async def main():
        keeping = SlotScreen(
            *("taskgen-3", None), lambda: lines.pop() if lines else None, lambda *report: None
        ).keep()
        task = asyncio.create_task(keeping)
        async with asyncio.timeout(30):
            await over.wait()
        task.cancel()
        await asyncio.wait([task])

    monkeypatch.setattr(slot_screen, "screen", screen)
    asyncio.run(main())
    assert used == [first, last]
    assert len(shown) == 1
    assert b"machine ended" in shown[0]
