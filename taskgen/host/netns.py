"""Network namespaces: made, entered by one thread, deleted.

Only a dedicated thread lives in the namespace. What it makes there (sockets, tap descriptors,
children) belongs to the namespace for good, whoever uses it later; the rest of the program stays
where the user started it.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from pyroute2 import IPRoute
from pyroute2 import netns as pyroute2_netns

from taskgen.errors import HostError, NamespaceBusyError, PrivilegeError
from taskgen.host.waiting import in_thread

T = TypeVar("T")

DIRECTORY = Path("/run/netns")

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000  # linux/sched.h


def _busy(name: str) -> NamespaceBusyError:
    return NamespaceBusyError(
        f"there is a network namespace {name!r} already",
        hint="another fleet is running, or a crash left it: see taskgen down",
    )


class Namespace:
    """A network namespace and the thread that lives in it. Also a context manager."""

    def __init__(self, name: str, executor: ThreadPoolExecutor, *, made: bool) -> None:
        self.name = name
        self._executor = executor
        self._made = made

    @property
    def is_host(self) -> bool:
        """Whether this is the caller's own namespace, which others use too."""
        return not self._made

    @classmethod
    async def create(cls, name: str, *, mark: str) -> Namespace:
        """Make a namespace, ``""`` stands for the caller's own.

        ``mark`` becomes the alias of its loopback device and says whose it is. It gets its name
        only once it bears the mark: a named one without our mark is not ours.

        :raises NamespaceBusyError: if there is one of this name.
        :raises PrivilegeError: without the right to make one.
        :raises HostError: if the name cannot be one, or the kernel refuses.
        """
        if name and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
            raise HostError(f"namespace {name!r}: not a name for a network namespace")
        executor = ThreadPoolExecutor(1, thread_name_prefix=f"netns-{name or 'host'}")
        namespace = cls(name, executor, made=bool(name))
        try:
            if name:
                await in_thread(executor, _make, name, mark, undo=lambda _: delete(name))
        except BaseException:
            executor.shutdown(wait=False)
            raise
        return namespace

    @classmethod
    async def adopt(cls, name: str, *, mark: str) -> Namespace | None:
        """Enter a namespace that a dead engine left; ``None``: there is none that bears the mark.

        ``""`` stands for the caller's own.
        """
        if not name:
            return await cls.create(name, mark=mark)
        executor = ThreadPoolExecutor(1, thread_name_prefix=f"netns-{name}")
        entered = False
        try:
            # Whatever the thread finds there, it never comes back: it is of no use if it is wrong.
            entered = await in_thread(executor, _enter, name) == mark
        finally:
            if not entered:
                executor.shutdown(wait=False)
        return cls(name, executor, made=True) if entered else None

    async def run(
        self, function: Callable[..., T], *args: Any, undo: Callable[[T], object] | None = None
    ) -> T:
        """Call ``function``, which must be short, in the namespace.

        When cancelled, a result that was made all the same is given to ``undo``.
        """
        return await in_thread(self._executor, function, *args, undo=undo)

    async def close(self, *, keep: bool = False) -> None:
        """Delete the namespace's name, unless it is to be kept, and end the thread.

        The kernel deletes the namespace and all in it when its last process and socket are gone.
        """
        try:
            if self._made and not keep:
                await in_thread(self._executor, delete, self.name)
        finally:
            self._executor.shutdown(wait=False)

    async def __aenter__(self) -> Namespace:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()


def exists(name: str) -> bool:
    """Whether something has this name among the namespaces."""
    return (DIRECTORY / name).exists()


def is_unfinished(name: str) -> bool:
    """Whether the name is an empty file and no namespace: its maker died in the middle."""
    try:
        status = (DIRECTORY / name).lstat()
    except FileNotFoundError:
        return False
    return status.st_dev == DIRECTORY.stat().st_dev and status.st_size == 0


def owner_mark(name: str) -> str | None:
    """The mark of a named namespace; ``None``: it has none, or there is no such namespace."""

    with ThreadPoolExecutor(1) as executor:  # a thread of its own: it never comes back from there
        return executor.submit(_enter, name).result()


def in_marked(name: str, mark: str, function: Callable[[], T]) -> T | None:
    """Call ``function`` in a named namespace; ``None``: there is none that bears the mark."""

    def call() -> T | None:
        return function() if _enter(name) == mark else None

    with ThreadPoolExecutor(1) as executor:
        return executor.submit(call).result()


def delete(name: str) -> None:
    """Take a namespace's name away; nothing happens if somebody has done so."""
    with suppress(FileNotFoundError):
        pyroute2_netns.remove(str(DIRECTORY / name))


def remove_unfinished(name: str) -> bool:
    """Remove a name that is no namespace, because its maker died in the middle; if it is so."""
    if not is_unfinished(name):
        return False
    (DIRECTORY / name).unlink(missing_ok=True)
    return True


def _enter(name: str) -> str | None:
    """Put the calling thread into a namespace; its mark. ``None``: none, or no such namespace."""
    try:
        pyroute2_netns.setns(str(DIRECTORY / name), flags=0)
    except OSError:
        return None
    with IPRoute() as ipr:
        alias: str | None = ipr.link("get", index=1)[0].get_attr("IFLA_IFALIAS")
    return alias


def _make(name: str, mark: str) -> None:
    """Put the calling thread into a fresh namespace, then publish that under its name."""
    if exists(name):
        raise _busy(name)
    if _libc.unshare(_CLONE_NEWNET) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise PrivilegeError(
            f"no new network namespace: {reason}", hint="run as root (sudo taskgen …)"
        )
    with IPRoute() as ipr:
        ipr.link("set", index=1, ifalias=mark, state="up")
    for family in ("all", "default"):  # no router solicitations, no link-local neighbours
        path = Path(f"/proc/sys/net/ipv6/conf/{family}/disable_ipv6")
        if path.exists():
            path.write_text("1", encoding="ascii")
    publish(name)


def publish(name: str) -> None:
    """Give the calling thread's namespace a name.

    :raises NamespaceBusyError: if there is one of this name.
    :raises HostError: if the kernel refuses.
    """
    try:
        pyroute2_netns.attach(str(DIRECTORY / name), "thread-self")
    except FileExistsError as error:
        raise _busy(name) from error
    except OSError as error:
        (DIRECTORY / name).unlink(missing_ok=True)
        raise HostError(f"namespace {name}: cannot be given its name: {error}") from error
