"""Programs for guests: task binaries of the tests' own, and a guest that keeps no task in."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from taskgen import assets
from taskgen.profiles import Profile

sys.path.append(str(assets.root() / "qemu" / "guest" / "image"))

import cpio

_SOURCES = Path(__file__).with_name("guest")
_COMPILER = ("musl-gcc", "-Os", "-Wall", "-Werror", "-D_GNU_SOURCE", "-static", "-s")


def compiled(name: str, folder: Path) -> Path:
    """The program made of ``tests/guest/NAME.c``, in a folder."""
    program = folder / name
    subprocess.run([*_COMPILER, "-o", program, _SOURCES / f"{name}.c"], check=True)
    return program


def with_program(initrd: Path, path: str, program: Path, *, mode: int = 0o755) -> bytes:
    """An initramfs that has one more program in it.

    :param path: in the guest.
    """
    # The kernel unpacks one archive after the other.
    added = cpio.archive({path: cpio.File(program.read_bytes(), mode)}, time=0)
    return added + initrd.read_bytes()


def open_guest(shipped: Profile, folder: Path) -> Profile:
    """The reference guest, but whatever runs in it can become root."""
    assert shipped.initrd is not None
    initrd = folder / "initrd"
    initrd.write_bytes(
        with_program(shipped.initrd, "bin/as-root", compiled("as_root", folder), mode=0o4755)
    )
    return replace(shipped, initrd=initrd)
