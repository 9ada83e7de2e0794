"""The reference guest with a saboteur inside, and its files to be spoiled.

What is typed on the console of such a machine breaks the guest in the way that it says: see
``guest/saboteur.c``.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from guest_programs import compiled, with_program

from taskgen import assets
from taskgen.profiles import load_profile

PROFILE = "linux-x86_64"

#: A machine that does not boot is given up sooner than usual; other work may have the cores.
BOOT_TIMEOUT_S, SILENT_S = 20, 8

#: Of this in the file of the kernel nothing is left in :meth:`Sabotage.damaged_kernel`.
_CODE = slice(0x200000, 0x600000)


@dataclass(frozen=True)
class Sabotage:
    """A profile of our name that goes before the shipped one, and what it is made of.

    :ivar folder: where the files lie.
    """

    folder: Path

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinux"

    @contextmanager
    def text_for_kernel(self) -> Iterator[None]:
        """A file that is no image at all."""
        with self._other_kernel(b"This is not the kernel that you are looking for.\n" * 100):
            yield

    @contextmanager
    def damaged_kernel(self) -> Iterator[None]:
        """QEMU takes it; of its code nothing is left."""
        damaged = bytearray(self.kernel.read_bytes())
        damaged[_CODE] = bytes(_CODE.stop - _CODE.start)
        with self._other_kernel(damaged):
            yield

    @contextmanager
    def memory(self, megabytes: int) -> Iterator[None]:
        """Holds for daemons that are started in the block."""
        path = self.folder / f"{PROFILE}.toml"
        before = path.read_text(encoding="utf-8")
        usual = f"memory_mb = {load_profile(PROFILE).memory_mb}"
        assert usual in before
        path.write_text(before.replace(usual, f"memory_mb = {megabytes}"), encoding="utf-8")
        try:
            yield
        finally:
            path.write_text(before, encoding="utf-8")

    @contextmanager
    def _other_kernel(self, content: bytes | bytearray) -> Iterator[None]:
        # Another file of the same name: machines that run have the old one open.
        kept = self.kernel.rename(self.folder / "vmlinux.kept")
        self.kernel.write_bytes(content)
        try:
            yield
        finally:
            kept.rename(self.kernel)


@contextmanager
def sabotage(folder: Path) -> Iterator[Sabotage]:
    """Daemons that are started in the block have machines with a saboteur.

    :param folder: an empty one, for its files.
    """
    shipped = load_profile(PROFILE)
    kernel, initrd = shipped.image_files()
    program = compiled("saboteur", folder)
    (folder / "initrd").write_bytes(with_program(initrd, "saboteur", program))
    (folder / "vmlinux").write_bytes(kernel.read_bytes())
    (folder / f"{PROFILE}.toml").write_text(_profile(), encoding="utf-8")
    with patch.dict(os.environ, TASKGEN_PROFILES=str(folder)):
        yield Sabotage(folder)


def _profile() -> str:
    """The shipped profile with other files, and limits for those who do not want to wait."""
    root = assets.root()
    text = (root / "qemu" / "machines" / f"{PROFILE}.toml").read_text(encoding="utf-8")
    shipped = tomllib.loads(text)
    other = {
        f'kernel = "{shipped["kernel"]}"': 'kernel = "vmlinux"',
        f'initrd = "{shipped["initrd"]}"': 'initrd = "initrd"',
        f'binaries = "{shipped["binaries"]}"': f'binaries = "{root / shipped["binaries"]}"',
        f'append = "{shipped["append"]}"': f'append = "{shipped["append"]} rdinit=/saboteur"',
    }
    for usual, changed in other.items():
        assert usual in text, usual
        text = text.replace(usual, changed)
    return f"boot_timeout_s = {BOOT_TIMEOUT_S}\nsilent_s = {SILENT_S}\n{text}"
