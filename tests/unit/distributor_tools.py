"""Distributors for tests, on hosts that are fakes: one of its own, and one of a daemon's."""

import asyncio
import struct
import threading
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from taskgen.daemon.api import api
from taskgen.daemon.daemon import running
from taskgen.daemon.state import state_directory
from taskgen.distributor import Distributor
from taskgen.events.handler import EventHandler
from taskgen.problems import Problems
from taskgen.settings import load_settings
from taskgen.task import Task
from taskgen.taskset import TaskSet
from taskgen.testing import FakeTaskloader, Faults

PATIENCE_S = 120

ENDLESS = {"time_scale": 1.0, "faults": Faults(hang_after_start=True)}


class Recorder(EventHandler):
    def __init__(self):
        self.calls = []
        self.first_start = threading.Event()

    def on_start(self, run):
        self.calls.append(("start", run.variant.index))
        self.first_start.set()

    def on_finish(self, run):
        self.calls.append(("finish", run.variant.index))

    def on_stop(self, run, reason):
        self.calls.append(("stop", run.variant.index, reason))

    def of(self, kind):
        return sorted(call[1] for call in self.calls if call[0] == kind)


class Monitor:
    """As the prototypes had them."""

    def __init__(self):
        self.calls = []

    def __taskset_start__(self, taskset):
        self.calls.append("start")

    def __taskset_event__(self, taskset, event):
        self.calls.append("event")

    def __taskset_finish__(self, taskset):
        self.calls.append("finish")

    def __taskset_stop__(self, taskset):
        self.calls.append("stop")


def tasks(variants=5, **keys):
    return TaskSet([Task({"pkg": "hey", "period": list(range(10, 10 + variants)), **keys})])


def elf(content=b""):
    """A task binary, as far as anybody looks."""
    return struct.pack("<4sBB10xHH", b"\x7fELF", 2, 1, 2, 62) + bytes(44) + content


def profile_of(directory, monkeypatch):
    """A profile ``board`` whose binaries need no guest image to have been built."""
    folder, profiles = directory / "bin", directory / "profiles"
    folder.mkdir()
    profiles.mkdir()
    (folder / "hey").write_bytes(elf())
    (profiles / "board.toml").write_text(
        'description = "a board"\narchitecture = "x86_64"\nemulator = "qemu-system-x86_64"\n'
        f'machine = "q35"\nmemory_mb = 96\nbinaries = "{folder}"\n[nic]\nmodel = "e1000"\n'
    )
    monkeypatch.setenv("TASKGEN_PROFILES", str(profiles))
    return folder


@contextmanager
def in_a_thread(make):
    """What ``make()``, an asynchronous context manager, gives; in a loop and thread of its own."""
    up, made = threading.Event(), []

    async def main():
        end = asyncio.Event()
        async with make() as what:
            made.append((what, asyncio.get_running_loop(), end))
            up.set()
            await end.wait()

    def work():
        try:
            asyncio.run(main())
        finally:
            up.set()

    thread = threading.Thread(target=work)
    thread.start()
    assert up.wait(PATIENCE_S)
    assert made, "it did not begin"
    what, loop, end = made[0]
    try:
        yield what
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()


@asynccontextmanager
async def fakes(number, options):
    """Fakes at 127.0.0.2 and up, all on one port."""
    async with AsyncExitStack() as stack:
        made, port = [], 0
        for n in range(number):
            fake = FakeTaskloader(host=f"127.0.0.{n + 2}", port=port, **options)
            made.append(await stack.enter_async_context(fake))
            port = fake.port
        yield made


@asynccontextmanager
async def daemon(directory, addresses):
    """A daemon that drives hosts; gives its socket."""
    path = directory / "taskgen.sock"
    options = {
        "fleet": {"launch": False},
        "hosts": {"addresses": addresses, "profile": "board"},
        "api": {"socket": path, "group": "", "listen": ""},
        "daemon": {"drain_s": 0.0},
    }
    settings = load_settings(None, options=options)
    with state_directory(directory / "state") as state:
        async with running(settings, state, Problems(), api):
            yield path


@contextmanager
def embedded(monkeypatch, number=1, *, fake=None, **options):
    """A distributor that drives fakes itself."""
    made = {"time_scale": 0.0, **(fake or {})}
    with in_a_thread(lambda: fakes(number, made)) as there:
        monkeypatch.setenv("TASKGEN_HOSTS__PORT", str(there[0].port))
        addresses = [each.host for each in there]
        with Distributor(addresses, profile="board", **options) as distributor:
            yield distributor, there


@contextmanager
def connected(monkeypatch, directory, number=1, *, fake=None):
    """A distributor of a daemon that drives fakes."""
    made = {"time_scale": 0.0, **(fake or {})}
    with in_a_thread(lambda: fakes(number, made)) as there:
        monkeypatch.setenv("TASKGEN_HOSTS__PORT", str(there[0].port))
        addresses = [each.host for each in there]
        with (
            in_a_thread(lambda: daemon(directory, addresses)) as socket,
            Distributor.connect(socket) as distributor,
        ):
            yield distributor, there
