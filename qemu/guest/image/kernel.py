"""What is taken out of a kernel package: the bare kernel, and modules with what they need."""

from __future__ import annotations

import gzip
import lzma
import shutil
import struct
import subprocess
from collections.abc import Iterable
from pathlib import Path

import lz4

# Offsets in the header of a bzImage (the kernel's Documentation/arch/x86/boot.rst).
SETUP_SECTORS = 0x1F1
PAYLOAD_OFFSET = 0x248
PAYLOAD_LENGTH = 0x24C

ELF = b"\x7fELF"


def unpack(image: bytes) -> bytes:
    """The ELF file inside a bzImage. QEMU starts it directly, which skips firmware and unpacking.

    :raises ValueError: if the image has an unknown format.
    """
    sectors = image[SETUP_SECTORS] or 4
    offset, length = struct.unpack_from("<II", image, PAYLOAD_OFFSET)
    begin = (sectors + 1) * 512 + offset
    vmlinux = _decompress(image[begin : begin + length])
    if not vmlinux.startswith(ELF):
        raise ValueError("there is no ELF file in the kernel image")
    return vmlinux


def _decompress(payload: bytes) -> bytes:
    """By the magic number. The payload ends in four bytes with the size of the result."""
    if payload.startswith(b"\x02\x21\x4c\x18"):
        return lz4.decompress_legacy(payload[:-4])
    if payload.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMADecompressor().decompress(payload)
    if payload.startswith(b"\x1f\x8b"):
        return gzip.decompress(payload[:-4])
    if payload.startswith(b"\x28\xb5\x2f\xfd"):
        command = ["zstd", "-dc"]
        return subprocess.run(command, input=payload[:-4], capture_output=True, check=True).stdout
    raise ValueError(f"unknown compression of the kernel: {payload[:6].hex()}")


def _needed_by(module: Path) -> list[str]:
    """The ``depends=`` of a module, from its ``.modinfo`` section."""
    for entry in module.read_bytes().split(b"\0"):
        if entry.startswith(b"depends="):
            names = entry.removeprefix(b"depends=").decode("ascii")
            return [name for name in names.split(",") if name]
    return []


def _plain(module: Path, scratch: Path) -> Path:
    """The module itself where the package has it compressed."""
    if module.suffix != ".xz":
        return module
    plain = scratch / module.stem
    with lzma.open(module) as packed, plain.open("wb") as output:
        shutil.copyfileobj(packed, output)
    return plain


def modules_with_dependencies(tree: Path, names: Iterable[str], scratch: Path) -> list[Path]:
    """The files of these modules and of all that they need, what is needed before what needs it.

    Names that the tree does not have are left out: a driver that is built into this kernel.
    """
    found = {
        path.name.split(".ko")[0].replace("-", "_"): path for path in sorted(tree.rglob("*.ko*"))
    }
    order: dict[str, Path] = {}

    def add(name: str) -> None:
        name = name.replace("-", "_")
        if name in order or name not in found:
            return
        module = _plain(found[name], scratch)
        for needed in _needed_by(module):
            add(needed)
        order[name] = module

    for name in names:
        add(name)
    return list(order.values())
