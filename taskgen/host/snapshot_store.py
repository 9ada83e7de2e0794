"""Saved states of machines on the disk: one file for each slot and key, and what it is beside it.

::

    snapshots/                     0700  root's; QEMU gets a descriptor of one file
      lock                               held while files are looked for, made and removed
      taskgen-3-6d0f…2b.qcow2      0600  locked by whoever uses it, and by the QEMU that has it open
      taskgen-3-6d0f…2b.json             Snapshot, written last: without it a file is nothing
      template-91c4…07.template    0600  the state of all machines of a kind: template_file
      template-91c4…07.json

Several engines may share it. Who finds the file of a key in use takes another one for the same
key, with ``.2`` behind its name. All of it blocks: use threads.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from taskgen.host.snapshot_file import FLAGS, Key, Place, note_of, opened, read
from taskgen.problems import Problems

log = logging.getLogger(__name__)

#: What files are called: QEMU's images, and templates, which only we read.
IMAGE, TEMPLATE = ".qcow2", ".template"

#: Key of the problem that states cannot be saved.
PROBLEM = "snapshots"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the store has.

    :ivar snapshots: how many can be used.
    :ivar size_bytes: what all files take on the disk.
    :ivar limit_bytes: what they may take; 0: no bound.
    """

    snapshots: int
    size_bytes: int
    limit_bytes: int


class SnapshotStore:
    """Saved states of machines.

    :param path: their directory; made with the first one.
    :param limit_bytes: of all files together; 0: no bound. May be changed at any time.
    :ivar problems: told why states cannot be saved, as long as it is so.
    """

    def __init__(self, path: Path, limit_bytes: int = 0) -> None:
        self.path = path
        self.limit_bytes = limit_bytes
        self.problems = Problems()
        self._without: dict[str, str] = {}

    def take(self, key: Key, ending: str = IMAGE) -> Place:
        """A file for a machine's state, with a state in it if there is one that can be used.

        States of the slot that a change has made worthless are removed, unless they are in use.

        :param ending: of the file's name, which says what is in it.
        :raises OSError: if there can be none.
        """
        with self._lock():
            self._remove_stale(key)
            place = self._free(key, ending)
        try:
            place.look(key)
        except BaseException:
            place.close()
            raise
        return place

    def of(self, name: str) -> Place | None:
        """The file that a QEMU has which somebody else launched; ``None``: it is not there.

        It is that QEMU that keeps it locked: see :meth:`Place.hold`.
        """
        path = self.path / f"{name}{IMAGE}"
        try:
            place = Place(path, os.open(path, FLAGS))
        except OSError:
            return None
        place.snapshot = read(note_of(path))
        return place

    def make_room(self) -> bool:
        """Remove what is in nobody's use, what was used longest ago first, until all is within the
        limit; whether it is.

        What has no state that can be used goes in any case.

        :raises OSError: if the directory cannot be read.
        """
        if not self.path.is_dir():
            return True
        with self._lock():
            for path in self._files():
                if not note_of(path).exists():
                    _remove_unused(path)
            self._remove_notes_of_nothing()
            files = sorted(self._files(), key=_used_at)
            while self.limit_bytes and _size(files) > self.limit_bytes:
                gone = next((path for path in files if _remove_unused(path)), None)
                if gone is None:
                    return False
                log.info("%s: given up, for want of room", gone.stem)
                files.remove(gone)
        return True

    def room(self) -> int:
        """How many bytes there are for more states, on the disk and within the limit."""
        try:
            free = shutil.disk_usage(self.path).free
        except OSError:
            return 0
        return min(free, self.limit_bytes - self.usage().size_bytes) if self.limit_bytes else free

    def cannot(self, name: str, why: str) -> None:
        """A machine has to do without a saved state, until :meth:`can`."""
        self._without[name] = why
        self._report()

    def can(self, name: str) -> None:
        """A machine has a saved state, or has ended."""
        if self._without.pop(name, None) is not None:
            self._report()

    def usage(self) -> Usage:
        """What there is now."""
        files = self._files() if self.path.is_dir() else []
        return Usage(
            snapshots=sum(note_of(path).exists() for path in files),
            size_bytes=_size(files),
            limit_bytes=self.limit_bytes,
        )

    def _report(self) -> None:
        if not self._without:
            self.problems.clear(PROBLEM)
            return
        name, why = next(iter(self._without.items()))
        others = f" and {len(self._without) - 1} more" if len(self._without) > 1 else ""
        self.problems.report(
            PROBLEM,
            f"{name}{others}: the state cannot be saved, so the guest boots before each run: {why}",
        )

    def _files(self) -> list[Path]:
        return [path for ending in (IMAGE, TEMPLATE) for path in self.path.glob(f"*{ending}")]

    def _free(self, key: Key, ending: str) -> Place:
        """A file of this key that nobody else uses; one with a state if there is any."""
        known = sorted(self.path.glob(f"{key.name}*{ending}"))
        for path in sorted(known, key=lambda each: not note_of(each).exists()):
            if (file := opened(path)) is not None:
                return Place(path, file)
        names = (f"{key.name}.{number}" if number > 1 else key.name for number in count(1))
        paths = (self.path / f"{name}{ending}" for name in names)
        path = next(each for each in paths if each not in known)
        file = os.open(path, FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return Place(path, file)

    def _remove_notes_of_nothing(self) -> None:
        """A note whose file somebody has removed, and what a crash has left of one."""
        known = {note_of(path).name for path in self._files()}
        for note in (*self.path.glob("*.json"), *self.path.glob("*.json.new")):
            if note.name.removesuffix(".new") not in known:
                note.unlink(missing_ok=True)

    def _remove_stale(self, key: Key) -> None:
        for note in self.path.glob(f"{key.slot}-*.json"):
            template = note.with_suffix(TEMPLATE)
            path = template if template.exists() else note.with_suffix(IMAGE)
            found = read(note)
            if found is None or found.place != key.place or found.facts == key.facts:
                continue
            names = key.facts.keys() | found.facts.keys()
            changed = sorted(n for n in names if key.facts.get(n) != found.facts.get(n))
            if _remove_unused(path):
                what = " and ".join(changed)
                log.info("%s: a stale saved state, so it is dropped: other %s", path.stem, what)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _remove_unused(path: Path) -> bool:
    """Remove a file with its note, unless somebody uses it."""
    with suppress(FileNotFoundError):
        if (file := opened(path)) is None:
            return False
        try:
            note_of(path).unlink(missing_ok=True)  # first: a note never stands for another file
            path.unlink()
        finally:
            os.close(file)
    note_of(path).unlink(missing_ok=True)
    return True


def _size(files: Iterable[Path]) -> int:
    total = 0
    for path in files:
        with suppress(FileNotFoundError):
            total += path.stat().st_blocks * 512
    return total


def _used_at(path: Path) -> float:
    try:
        return note_of(path).stat().st_mtime
    except FileNotFoundError:
        return 0.0
