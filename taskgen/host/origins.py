"""What a fleet's provenance says of this host: Taskgen, QEMU, image."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import taskgen
from taskgen.errors import HostError
from taskgen.host.output import output_of
from taskgen.host.process import find_program
from taskgen.host.waiting import in_thread
from taskgen.profiles import Profile
from taskgen.provenance import files_sha256

_VERSION = re.compile(r"version (\S+)")

#: A file as it was looked at, by which it is known again: device, inode, size, times in ns.
Identity = tuple[int, int, int, int, int]

# Images have tens of megabytes, and 42 machines the same one.
_images: dict[tuple[Path, ...], tuple[list[Identity], str]] = {}
_versions: dict[tuple[str, Identity], str] = {}


async def origins(profile: Profile) -> dict[str, Any]:
    """The part of :class:`taskgen.provenance.Provenance` that all machines of a fleet share.

    :raises ConfigError: if the profile's image is missing.
    :raises HostError: if it cannot be read, or QEMU does not say what it is.
    """
    return {
        "taskgen": taskgen.__version__,
        "host": os.uname().nodename,
        **await launched_from(profile),
    }


async def launched_from(profile: Profile) -> dict[str, str]:
    """What of that can be another one for each machine: of one that is launched now.

    :raises ConfigError: as :func:`origins`, as for the other.
    """
    said = await emulator_version(profile.emulator)
    version = _VERSION.search(said)
    return {
        "qemu": version[1] if version else said,
        "image_sha256": await image_sha256(profile),
    }


async def emulator_version(emulator: str) -> str:
    """What a QEMU says of its version, in a line. It is asked once, unless the file changes.

    :raises HostError: if it is not there, or does not say it.
    """
    try:
        known = emulator, identity(Path(find_program(emulator)))
    except OSError as error:
        raise HostError(f"{error.filename}: {error.strerror}") from error
    if known not in _versions:
        said = await output_of([emulator, "--version"])
        line = said.text.partition("\n")[0]
        if said.exit.code != 0 or not line:  # in the midst of an upgrade: the next time it may
            raise HostError(
                f"{emulator} --version: {said.exit}: {line or 'it says nothing'}",
                hint="can it be started by hand?",
            )
        _versions[known] = line
    return _versions[known]


async def image_sha256(profile: Profile) -> str:
    """Hash of the profile's image as it is now.

    :raises ConfigError: if it is missing.
    :raises HostError: if it cannot be read.
    """
    try:
        return await in_thread(None, _image_sha256, profile.image_files())
    except OSError as error:
        raise HostError(f"{error.filename}: {error.strerror}") from error


def identity(path: Path) -> Identity:
    """What changes when a file does.

    :raises OSError: if it is not there.
    """
    status = os.stat(path)
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def _image_sha256(paths: tuple[Path, ...]) -> str:
    now = [identity(path) for path in paths]
    before, digest = _images.get(paths, ([], ""))
    if now != before or not digest:
        digest = files_sha256(paths)
        _images[paths] = now, digest
    return digest
