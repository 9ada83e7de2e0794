"""What a script does that is told to stop."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: Exit status of a script that was told to stop, as a shell has it.
INTERRUPTED = 130


@contextmanager
def stopping_in_order() -> Iterator[None]:
    """``SIGTERM`` does as Ctrl-C does: what runs in the block is ended in order.

    Nothing is left behind then, and the process ends with the status :data:`INTERRUPTED`. Who
    cannot wait for that presses Ctrl-C again; another ``SIGTERM`` changes nothing.
    """
    # In the background of a shell's script it would be ignored, and SIGTERM with it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _stop(*_: object) -> None:
    # A group that is told hears it twice: from who told it, and from its parent.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.raise_signal(signal.SIGINT)
