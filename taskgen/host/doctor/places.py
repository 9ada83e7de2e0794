"""The directories of our own, and who may do what there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from taskgen.host.doctor.check import Check, Grade
from taskgen.host.records import run_root, state_root

#: Only a directory that has one of these in it is surely ours.
_KNOWN = ("queue.sqlite", "machines", "secrets", "accelerator.json", "wishes.json")
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_MAY_PASS = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


def check_places() -> Check:
    """Whether our directories are ours alone, and the user of QEMU can pass them."""
    wrong = [f"{path}: {what}" for path, what, _ in _faults()]
    if not wrong:
        return Check("directories", Grade.OK, ", ".join(map(str, _places())) or "none yet")
    advice = "; ".join(f"chmod {mode:o} {path}" for path, _, mode in _faults() if mode)
    return Check("directories", Grade.FAIL, "; ".join(wrong), advice or "chown root them")


def mend_places() -> list[str]:
    """Give our directories their modes; a line for each that was changed.

    What is above them, or belongs to somebody else, is not touched.
    """
    done = []
    for path, _, mode in _faults():
        if mode and (path == run_root() or _is_surely_ours(path)):
            path.chmod(mode)
            done.append(f"{path}: mode {mode:o}")
    return done


def _faults() -> list[tuple[Path, str, int]]:
    """Directories, what is wrong with each, and the mode that mends it; 0: none does."""
    found = []
    for path in _places():
        status = path.stat()
        mode = stat.S_IMODE(status.st_mode)
        wanted = (mode & ~_OTHERS_MAY_WRITE) | _MAY_PASS
        if status.st_uid not in (0, os.geteuid()):
            found.append((path, f"belongs to user {status.st_uid}", 0))
        elif mode & _OTHERS_MAY_WRITE and not mode & stat.S_ISVTX:
            found.append((path, "others may write there", wanted))
        elif mode & _MAY_PASS != _MAY_PASS:
            found.append((path, "the user that QEMU runs as cannot pass", wanted))
    return found


def _places() -> list[Path]:
    state = state_root()
    return [path for path in (state, state / "machines", run_root()) if path.is_dir()]


def _is_surely_ours(path: Path) -> bool:
    above = path.parent if path.name == "machines" else path
    return any((above / name).exists() for name in _KNOWN)
