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

    Nothing is left behind then, and the process ends with the status :data:`INTERRUPTED`.
    """
    # In the background of a shell's script it would be ignored, and SIGTERM with it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
