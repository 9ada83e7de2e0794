"""Processes: started or adopted, watched and ended in one place.

Each command is logged as it could be typed. A process's death is told by the kernel through its
pidfd, signals go through the pidfd only (so a recycled pid is never hit), and every child is
reaped. What a crashed engine had started is adopted: found by its command line.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from taskgen.errors import HostError, MissingToolError
from taskgen.host.accounts import Account
from taskgen.host.command_lines import Found, Wanted, find
from taskgen.host.foreign_files import open_to_append, open_to_read
from taskgen.host.netns import Namespace
from taskgen.host.waiting import finish, in_thread

log = logging.getLogger(__name__)

_PF_EXITING = 0x4  # linux/sched.h

_TAIL_BYTES = 4096
_TAIL_LINES = 5

#: Searched after the user's PATH, which often lacks the directories of system programs.
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: Nothing of our own environment, which may hold secrets, goes to a child of another user.
_ENVIRONMENT = {
    "PATH": _SYSTEM_PATH,
    "LC_ALL": "C",
}


@dataclass(frozen=True)
class Exit:
    """How a process ended.

    :ivar code: exit status; negative: the signal that killed it; ``None``: unknown, because it was
        not our child.
    :ivar output: the last lines that it wrote to standard error.
    """

    code: int | None
    output: str = ""

    def __str__(self) -> str:
        if self.code is None:
            text = "ended with an unknown status"
        elif self.code < 0:
            text = f"killed by {signal.Signals(-self.code).name}"
        else:
            text = f"exit status {self.code}"
        return f"{text}: {' | '.join(self.output.splitlines())}" if self.output else text


#: Children that were let go: kept so that those that end before us are reaped.
_released: list[subprocess.Popen[bytes]] = []


class Process:
    """A running process. Made by :func:`start` or :func:`adopt`.

    It is ended by :meth:`stop`, or let go by :meth:`release`.

    :param pidfd: stands for it; closed at its end.
    :param output: where its output goes: a file, a descriptor of ours, or ``None``: not known.
    :param child: ``None``: it is not a child of ours, and nobody tells us its exit status.
    """

    def __init__(
        self,
        name: str,
        pid: int,
        pidfd: int,
        output: Path | int | None,
        child: subprocess.Popen[bytes] | None = None,
    ) -> None:
        self.name = name
        self.pid = pid
        self._pidfd = pidfd
        self._output = output
        self._child = child
        if child:
            child.args = name  # that of a QEMU has kilobytes, and is in the log
        self._loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[Exit] = self._loop.create_future()
        self.died_at: float | None = None  #: time.monotonic() when its death was noticed
        self._loop.add_reader(self._pidfd, self._on_death)

    @property
    def adopted(self) -> bool:
        """Whether somebody else had started it: its exit status will not be known."""
        return self._child is None

    @property
    def exit(self) -> Exit | None:
        """How it ended; ``None`` while it runs."""
        return self._exit.result() if self._exit.done() else None

    @property
    def state(self) -> str | None:
        """The kernel's letter for what it does (proc(5)); ``None``: it has ended just now."""
        with suppress(OSError):
            text = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii", errors="replace")
            return text.rpartition(")")[2].split()[0]
        return None

    @property
    def is_stopped(self) -> bool:
        """Whether a signal or a debugger keeps it from going on."""
        return self.state in ("T", "t")

    @property
    def is_ending(self) -> bool:
        """Whether it is about to end, or has ended: nothing that it had need be there any more.

        What it has open is closed by then, one thing after the other; only then its end is told.
        """
        with suppress(OSError):
            text = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii", errors="replace")
            return bool(int(text.rpartition(")")[2].split()[6]) & _PF_EXITING)
        return True

    async def wait(self) -> Exit:
        """Wait for its end. Any number of waiters, and they may be cancelled.

        After :meth:`release` nobody hears of its end any more.
        """
        return await asyncio.shield(self._exit)

    def on_end(self, callback: Callable[[Exit], object]) -> Callable[[], object]:
        """Call ``callback`` once it has ended; it must not block.

        Takes a tenth of the memory of a task that waits for it.

        :returns: call that to have it called no more.
        """

        def tell(ended: asyncio.Future[Exit]) -> None:
            callback(ended.result())

        self._exit.add_done_callback(tell)
        return lambda: self._exit.remove_done_callback(tell)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens if it has ended already."""
        if not self._exit.done():
            assert self._pidfd >= 0, f"{self.name} was released"
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    async def stop(
        self, *, grace_s: float = 0.0, term_s: float = 5.0, kill_s: float = 10.0
    ) -> Exit:
        """End it: SIGTERM, after ``term_s`` SIGKILL.

        :param grace_s: how long it may take to end by itself before.
        :raises HostError: if it lives ``kill_s`` after SIGKILL; the kernel holds it then.
        """
        if grace_s:
            await asyncio.wait([self._exit], timeout=grace_s)
        for number, limit_s in ((signal.SIGTERM, term_s), (signal.SIGKILL, kill_s)):
            if not self._exit.done():
                self.signal(number)
                self.signal(signal.SIGCONT)  # one that is stopped would not hear of the first
                await asyncio.wait([self._exit], timeout=limit_s)
        if not self._exit.done():
            raise HostError(f"{self.name} (pid {self.pid}) does not die of SIGKILL")
        return self._exit.result()

    def release(self) -> None:
        """Stop watching it, and let it run on. Nothing happens if it has ended or was released."""
        if self._exit.done() or self._pidfd < 0:
            return
        self._unwatch()
        if self._child:
            _released.append(self._child)

    def _unwatch(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = -1
        if isinstance(self._output, int):
            os.close(self._output)

    def _on_death(self) -> None:
        self.died_at = time.monotonic()
        ended = Exit(self._child.wait() if self._child else None, self._tail())
        self._unwatch()
        log.debug("%s (pid %d): %s", self.name, self.pid, ended)
        self._exit.set_result(ended)

    def _tail(self) -> str:
        if self._output is None:
            return ""
        try:
            if isinstance(self._output, int):
                size = os.fstat(self._output).st_size
                data = os.pread(self._output, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
            else:
                with open_to_read(self._output) as file:
                    file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
                    data = file.read()
        except OSError as error:
            return f"(its output cannot be read: {error.strerror})"
        return "\n".join(data.decode(errors="replace").splitlines()[-_TAIL_LINES:])


def find_program(name: str) -> str:
    """The path of a program, looked for in the user's PATH, then where the system has its own.

    :raises MissingToolError: if there is none.
    """
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}")
    if path is None:
        raise MissingToolError(
            f"no program {name!r} on this host", hint="taskgen doctor says what to install"
        )
    return path


async def start(
    name: str,
    argv: Sequence[str],
    *,
    namespace: Namespace | None = None,
    user: Account | None = None,
    fds: Collection[int] = (),
    output: Path | int | None = None,
) -> Process:
    """Start a process. The caller must :meth:`~Process.stop` it, or use :func:`running`.

    :param name: what messages call it.
    :param namespace: the network namespace that it starts in; ``None``: the caller's.
    :param user: who it runs as; ``None``: the caller.
    :param fds: descriptors that it inherits under their numbers.
    :param output: file that standard output and error are appended to, or a descriptor, of which
        it gets a copy; ``None``: kept in memory.
    :raises MissingToolError: if there is no such program.
    :raises HostError: if it cannot be started.
    """
    log.debug("%s: %s", name, shlex.join(argv))
    _released[:] = [child for child in _released if child.poll() is None]
    program = find_program(argv[0])

    def spawn() -> tuple[subprocess.Popen[bytes], int]:
        if isinstance(output, Path):
            sink = open_to_append(output)
        else:
            sink = os.memfd_create(name) if output is None else os.dup(output)
        try:
            child = subprocess.Popen(
                argv,
                executable=program,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                pass_fds=tuple(fds),
                start_new_session=True,  # Ctrl-C is for us; we end our children in our own order
                user=user.uid if user else None,
                group=user.gid if user else None,
                extra_groups=user.groups if user else None,
                cwd="/",
                env=_ENVIRONMENT,
            )
        except BaseException:
            os.close(sink)
            raise
        return child, sink

    def undo(spawned: tuple[subprocess.Popen[bytes], int]) -> None:
        spawned[0].kill()
        spawned[0].wait()
        os.close(spawned[1])

    try:
        popen, sink = await (
            namespace.run(spawn, undo=undo) if namespace else in_thread(None, spawn, undo=undo)
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise HostError(f"{name}: {argv[0]} cannot be started: {error}") from error
    if isinstance(output, Path):
        os.close(sink)
        return Process(name, popen.pid, os.pidfd_open(popen.pid), output, popen)
    return Process(name, popen.pid, os.pidfd_open(popen.pid), sink, popen)


async def adopt(name: str, wanted: Wanted, *, output: Path | None = None) -> Process | None:
    """Take over a running process that an engine before us had started; ``None``: there is none.

    It is looked at again once a pidfd of it is open, so what is held is what is wanted.

    :param name: what messages call it.
    :param wanted: tells it by its command line, as :func:`~taskgen.host.command_lines.is_qemu`.
    :param output: file that its output goes to, for its last words.
    """

    def look() -> Found | None:
        return next(find(wanted), None)

    def undo(found: Found | None) -> None:
        if found:
            found.close()

    found = await in_thread(None, look, undo=undo)
    if found is None:
        return None
    log.debug("%s: adopted process %d: %s", name, found.pid, shlex.join(found.argv))
    return Process(name, found.pid, found.pidfd, output)


@asynccontextmanager
async def running(
    name: str,
    argv: Sequence[str],
    *,
    namespace: Namespace | None = None,
    user: Account | None = None,
    fds: Collection[int] = (),
    output: Path | int | None = None,
) -> AsyncIterator[Process]:
    """As :func:`start`; the process is ended when the block is left."""
    process = await start(name, argv, namespace=namespace, user=user, fds=fds, output=output)
    try:
        yield process
    finally:
        await finish(process.stop())
