"""What a fleet's provenance says of this host: Taskgen, QEMU, image."""

from __future__ import annotations

import os
import re
from typing import Any

import taskgen
from taskgen.host.output import output_of
from taskgen.host.waiting import in_thread
from taskgen.profiles import Profile
from taskgen.provenance import files_sha256

_VERSION = re.compile(r"version (\S+)")


async def origins(profile: Profile) -> dict[str, Any]:
    """The part of :class:`taskgen.provenance.Provenance` that all machines of a fleet share.

    :raises ConfigError: if the profile's image is missing.
    :raises HostError: if QEMU does not say what it is.
    """
    said = (await output_of([profile.emulator, "--version"])).text.partition("\n")[0]
    version = _VERSION.search(said)
    image = profile.image_files()
    return {
        "taskgen": taskgen.__version__,
        "host": os.uname().nodename,
        "qemu": version[1] if version else said,
        "image_sha256": await in_thread(None, lambda: files_sha256(image)),
    }
