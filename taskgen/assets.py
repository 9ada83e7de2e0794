"""Where the files that are not Python lie: machine profiles, network, the built guest image."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from taskgen.errors import ConfigError


def root() -> Path:
    """The directory that holds ``qemu/``, ``network/`` and, once built, ``build/``.

    It is ``TASKGEN_ASSETS`` if that is set, else the checkout that this package lies in, else
    ``share/taskgen`` of the Python installation.

    :raises ConfigError: if there is no such directory.
    """
    chosen = os.environ.get("TASKGEN_ASSETS")
    places = [
        Path(chosen) if chosen else Path(__file__).resolve().parent.parent,
        *([] if chosen else [Path(sys.prefix) / "share" / "taskgen"]),
    ]
    for place in places:
        if (place / "network" / "network.toml").is_file():
            return place
    raise ConfigError(
        f"no network/network.toml below {' or '.join(map(str, places))}",
        hint="set TASKGEN_ASSETS to a checkout of Taskgen",
    )
