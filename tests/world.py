"""The world in which tests use the real thing: namespaces, taps, dnsmasq, QEMU. It needs root.

Tests run in a network namespace that plays the host, with a ``/run`` of their own: nothing of them
can reach the real host's network, and what a test leaves behind is its own for certain.
"""

import ctypes
import gc
import os
import shutil
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from taskgen import assets
from taskgen.host import cleanup
from taskgen.profiles import load_profile
from taskgen.slots import load_network

_PROGRAMS = ("qemu-system-x86_64", "qemu-system-arm", "dnsmasq")
_CLONE_NEWNS, _CLONE_NEWNET = 0x00020000, 0x40000000
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@pytest.fixture(scope="session", autouse=True)
def own_world():
    """A network and a ``/run`` of the tests' own."""
    missing = [program for program in _PROGRAMS if not shutil.which(program)]
    if os.geteuid() != 0 or missing:
        pytest.fail(f"these tests need root and {', '.join(missing or _PROGRAMS)}")
    _check(_libc.unshare(_CLONE_NEWNS | _CLONE_NEWNET))
    _check(_libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None))
    _check(_libc.mount(b"tmpfs", b"/run", b"tmpfs", 0, b"mode=755"))
    with IPRoute() as ipr:
        ipr.link("set", index=1, state="up")
    state = Path("/run/state")  # a directory for tests could not be passed by the user of QEMU
    state.mkdir(mode=0o711)
    os.environ["TASKGEN_STATE"] = str(state)
    yield
    # There is no way back to the host's mounts once a library has made threads, and no need of one:
    # the world ends with the process.
    os.environ.pop("TASKGEN_STATE", None)  # each module that imports this has a world of its own


@pytest.fixture(scope="module", autouse=True)
def own_state(own_world, request):
    """A state directory of the module's own: logs and saved states of others are not in it."""
    outer = os.environ["TASKGEN_STATE"]
    state = Path(outer, request.module.__name__)
    state.mkdir(mode=0o711)
    os.environ["TASKGEN_STATE"] = str(state)
    yield
    os.environ["TASKGEN_STATE"] = outer
    shutil.rmtree(state)


def _processes():
    """Processes that live in our world, other than ourselves, and zombies of ours."""
    # Not by the mount namespace: dhcpd has one of its own, made from ours.
    world = os.stat("/run").st_dev
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            status = (entry / "stat").read_text().rpartition(")")[2].split()
            if status[0] == "Z" and int(status[1]) == os.getpid():
                found.add(f"zombie {entry.name}")
            elif os.stat(entry / "root/run").st_dev == world:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if b"multiprocessing.resource_tracker" not in b" ".join(words):
                    found.add(f"process {entry.name} {words[0].decode()}")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def _snapshot():
    gc.collect()
    with IPRoute() as ipr:
        links = {f"device {link.get_attr('IFLA_IFNAME')}" for link in ipr.get_links()}
    names = Path("/run/netns")
    fleets = Path("/run/taskgen")
    return (
        links
        | _processes()
        | {f"namespace {n}" for n in (os.listdir(names) if names.exists() else ())}
        | {f"fleet {n}" for n in (os.listdir(fleets) if fleets.exists() else ())}
        | ({"directory /run/taskgen"} if fleets.exists() else set())
        | {f"thread {t.name}" for t in threading.enumerate()}
    )


@contextmanager
def nothing_left():
    """Fails if the block leaves anything behind; it is removed then, for the next test's sake."""
    before, descriptors = _snapshot(), len(os.listdir("/proc/self/fd"))
    yield
    for thread in threading.enumerate():
        if thread.name.startswith("netns-"):
            thread.join(5)
    left = _snapshot() - before
    opened = len(os.listdir("/proc/self/fd")) - descriptors
    if left:
        cleanup.down(force=True, force_s=5.0)
    assert not left, f"left behind: {', '.join(sorted(left))}"
    assert opened <= 0, f"{opened} descriptors left open"


@pytest.fixture(autouse=True)
def no_leftovers():
    """Each test has to clean up; modules whose tests share something check it at their own end."""
    with nothing_left():
        yield


@pytest.fixture
def network():
    """The network of ``network/network.toml``."""
    return load_network(assets.root() / "network" / "network.toml")


@pytest.fixture
def profile():
    """The reference guest; without its image the test fails, and says what to do."""
    found = load_profile("linux-x86_64")
    found.image_files()
    return found
