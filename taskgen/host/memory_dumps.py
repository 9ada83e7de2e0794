"""Dumps of guests' memory, for those who look into why one hangs; so many are kept, no more."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from taskgen.host.qmp import Qmp
from taskgen.host.waiting import in_thread


async def dump_memory(qmp: Qmp, directory: Path, *, keep: int) -> Path:
    """Write a guest's memory to a new file, an ELF core that ``crash`` and ``gdb`` read.

    :param directory: made where it is missing; nobody but root can read it.
    :param keep: files there are deleted, the oldest first, as soon as there are more.
    :raises MachineError: if QEMU does not do it; nothing is left then.
    :raises OSError: if the file cannot be made.
    """
    path, file = await in_thread(None, _new_file, directory, qmp.name, undo=_discard)
    try:
        await qmp.dump_memory(file)
    except BaseException:
        _discard((path, file))
        raise
    os.close(file)
    await in_thread(None, _prune, directory, keep)
    return path


def _new_file(directory: Path, name: str) -> tuple[Path, int]:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    now_ns = time.time_ns()
    moment = time.strftime("%Y%m%dT%H%M%S", time.localtime(now_ns / 10**9))
    path = directory / f"{name}-{moment}.{now_ns % 10**9:09}.elf"
    return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def _discard(made: tuple[Path, int]) -> None:
    path, file = made
    os.close(file)
    path.unlink(missing_ok=True)


def _prune(directory: Path, keep: int) -> None:
    dumps = sorted(directory.glob("*.elf"), key=lambda path: path.stat().st_mtime_ns)
    for path in dumps[: max(0, len(dumps) - keep)]:
        with suppress(FileNotFoundError):
            path.unlink()
