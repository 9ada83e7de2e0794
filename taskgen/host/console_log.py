"""What is kept of one machine's console: its boots, over machines, resets and daemons.

::

    consoles/taskgen-3/   0700  root's; QEMU gets a descriptor that it can append to
      boots.json                the index: which boot is in which log, and where
      boot-7.log          0600  of one QEMU; boot 7 and, after a reset, boot 8
      boot-7.times              which byte of it was written when
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

from taskgen.host import console_boots
from taskgen.host.console import Console, Output
from taskgen.host.console_boots import Boot, Limits, Why
from taskgen.host.console_times import TimesReader, TimesWriter
from taskgen.host.holes import punch
from taskgen.host.waiting import finish, in_thread

log = logging.getLogger(__name__)

_INDEX = "boots.json"


class ConsoleLog:
    """The console of one slot's machines. Made by :meth:`ConsoleLogs.of`; for one event loop.

    :param path: its directory; made with the first boot.
    :param limits: tells what is kept, whenever it is asked.
    :param holes: whether the file system can give back the head of a file.
    """

    def __init__(self, path: Path, limits: Callable[[], Limits], holes: Callable[[], bool]) -> None:
        self.path = path
        self._limits = limits
        self._holes = holes
        self._boots = tuple(self._load())
        self._saving = threading.Lock()
        self._tidying: asyncio.Task[None] | None = None
        self._news: asyncio.Event | None = None  # only where somebody waits for it
        self._console: Console | None = None  # that is recorded
        self._times: TimesWriter | None = None
        self._stop: Callable[[], object] = lambda: None  # the console tells us no more

    @property
    def name(self) -> str:
        """The machine's."""
        return self.path.name

    @property
    def boots(self) -> tuple[Boot, ...]:
        """What is kept, oldest first."""
        return self._boots

    @property
    def live(self) -> bool:
        """Whether the newest boot's QEMU runs."""
        return self._console is not None

    @property
    def news(self) -> asyncio.Event:
        """Set once there is more than now: output, a boot, or the end of one. Another event is
        there from then on: take it before you look, and wait for it after."""
        if self._news is None:
            self._news = asyncio.Event()
        return self._news

    def boot(self, number: int) -> Boot | None:
        """One of the boots; ``None``: it is not kept."""
        return next((boot for boot in self._boots if boot.number == number), None)

    def end(self, boot: Boot) -> int:
        """Offset behind its last byte."""
        return console_boots.end_of(self._boots, boot, self._size)

    def last_output_ns(self, boot: Boot) -> int | None:
        """When it said something last, ns since the epoch; ``None``: it said nothing, or nobody
        noted it. Blocks shortly."""
        with closing(TimesReader(self.times(boot))) as times:
            end = self.end(boot)
            last = next(times.spans(end - 1), None) if end > boot.first else None
        return last.latest_ns if last else None

    def is_open(self, boot: Boot) -> bool:
        """Whether more of it can come."""
        return self.live and boot.number == self._boots[-1].number

    def file(self, boot: Boot) -> Path:
        """The log that a boot is in."""
        return self.path / boot.file

    def times(self, boot: Boot) -> Path:
        """The times of the log that a boot is in."""
        return self.file(boot).with_suffix(".times")

    def begin(self, uuid: str) -> Path:
        """A QEMU is about to be launched: a boot with an empty log, which is returned. Blocks
        shortly.

        :param uuid: of that QEMU.
        :raises OSError: if it cannot be made.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = self._next_number
        boot = Boot(number=number, file=f"boot-{number}.log", uuid=uuid)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        os.close(os.open(self.file(boot), flags, 0o600))
        self._set((*self._boots, boot))
        self._save()
        return self.file(boot)

    def reset(self) -> None:
        """The guest starts anew in the QEMU that runs. A boot that has printed nothing counts with
        the next one. Blocks shortly."""
        if not self._boots:
            return
        if self._console is not None:
            self._console.look()
        last = self._boots[-1]
        first = self._size(last.file)
        if first == last.first:
            return  # firmware resets again what was reset, before it prints anything
        self._set(
            (
                *self._boots,
                replace(
                    Boot(number=self._next_number, file=last.file, why=Why.RESET, uuid=last.uuid),
                    first=first,
                    kept_from=first,
                ),
            )
        )
        try:
            self._save()
        except OSError as error:  # it is in memory, and on the disk with the next change
            log.warning("%s: %s", self.path, error.strerror)
        self._tidy_soon()

    def restored(self) -> None:
        """The QEMU that was launched has gone on from a saved state: its guest does not boot."""
        self._set((*self._boots[:-1], replace(self._boots[-1], why=Why.SNAPSHOT)))
        try:
            self._save()
        except OSError as error:  # it is in memory, and on the disk with the next change
            log.warning("%s: %s", self.path, error.strerror)

    def record(self, console: Console) -> None:
        """From now on times are noted, and what is too much is dropped, until :meth:`stop`.

        What came while nobody recorded is noted as such.

        :raises HostError: if the console cannot be watched.
        :raises OSError: if the times cannot be noted.
        """
        boot = self._boots[-1]
        times = TimesWriter(self.times(boot))
        try:
            _note_what_came_before(times, console.path, boot)
            self._stop = console.on_output(self._heard)
        except BaseException:
            times.close()
            raise
        self._console, self._times = console, times
        self._tidy_soon(times)

    async def stop(self) -> None:
        """Note what has come, and no more. Nothing happens if nobody records."""
        if self._console is None or self._times is None:
            return
        try:
            self._console.look()
            self._stop()
            self._console = None
            self._wake()
            if self._tidying:
                await finish(self._tidying)
        finally:
            self._times.close()
            self._times = None

    async def tidy(self, times: TimesWriter | None = None) -> None:
        """Drop what is more than the limits."""
        holes = self._holes()
        self._set(tuple(console_boots.kept(self._boots, self._limits(), self._size, holes=holes)))
        try:
            await in_thread(None, self._drop, times)
        except OSError as error:
            log.warning("%s: cannot be shortened now: %s", self.path, error.strerror)

    def _heard(self, output: Output) -> None:
        assert self._times is not None, "it records"
        self._times.note(output)
        self._wake()
        if self._too_long(output.end, self._times):
            self._tidy_soon(self._times)

    def _tidy_soon(self, times: TimesWriter | None = None) -> None:
        if self._tidying is None or self._tidying.done():
            self._tidying = asyncio.create_task(self.tidy(times), name=f"{self.name}: console")
            self._tidying.add_done_callback(self._tidied)

    def _tidied(self, task: asyncio.Task[None]) -> None:
        if self._tidying is task:
            self._tidying = None

    def _too_long(self, end: int, times: TimesWriter) -> bool:
        too_long = end - self._boots[-1].kept_from > self._limits().boot_bytes
        return (too_long or times.excess) and self._holes()

    def _drop(self, times: TimesWriter | None) -> None:
        """Make the disk hold no more than the index says."""
        try:
            self._save()
        except OSError as error:  # a full disk is no reason not to make room; see _load()
            log.warning("%s: %s", self.path, error.strerror)
        boots = self._boots
        if self._holes():
            for hole in console_boots.holes_of(boots):
                punch(self.path / hole.file, hole.start, hole.end)
            if times and times.excess:
                times.trim()
        used = {boot.file for boot in boots}
        for file in self.path.glob("boot-*.log"):
            if file.name not in used and _number(file) < boots[-1].number:
                file.with_suffix(".times").unlink(missing_ok=True)
                file.unlink(missing_ok=True)

    @property
    def _next_number(self) -> int:
        return self._boots[-1].number + 1 if self._boots else 1

    def _set(self, boots: tuple[Boot, ...]) -> None:
        self._boots = boots
        self._wake()

    def _wake(self) -> None:
        if self._news is not None:
            self._news.set()
            self._news = None

    def _size(self, file: str) -> int:
        try:
            return (self.path / file).stat().st_size
        except FileNotFoundError:
            return 0

    def _save(self) -> None:
        with self._saving:
            console_boots.save(self.path / _INDEX, self._boots)

    def _load(self) -> list[Boot]:
        if not self.path.is_dir():
            return []
        found = console_boots.load(self.path / _INDEX)
        if found is None:
            files = sorted(self.path.glob("boot-*.log"), key=_number)
            if files:
                log.warning("%s: the index of its boots is lost; it is made anew", self.path)
            found = [
                Boot(
                    number=_number(file),
                    file=file.name,
                    began=file.stat().st_mtime,
                    why=Why.UNKNOWN,
                )
                for file in files
            ]
        # A head may have been dropped that could not be noted, or just before a crash.
        return [replace(each, kept_from=self._first_data(each)) for each in found]

    def _first_data(self, boot: Boot) -> int:
        with suppress(OSError), self.file(boot).open("rb") as content:
            return os.lseek(content.fileno(), boot.kept_from, os.SEEK_DATA)
        return boot.kept_from  # there is nothing behind it


def _number(file: Path) -> int:
    digits = file.stem.removeprefix("boot-")
    return int(digits) if digits.isdecimal() else 0


def _note_what_came_before(times: TimesWriter, path: Path, boot: Boot) -> None:
    status = path.stat()
    if status.st_size > times.end:
        earliest_ns = times.latest_ns or int(boot.began * 1e9)
        latest_ns = max(earliest_ns, status.st_mtime_ns)
        times.note(Output(times.end, status.st_size, earliest_ns, latest_ns))
