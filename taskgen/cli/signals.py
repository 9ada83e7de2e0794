"""What is done when the user, or the system, wants a command to end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def on_signals(hooks: Mapping[signal.Signals, Callable[[], object]]) -> Iterator[None]:
    """Call a hook, from the running loop, when its signal comes, while in the block."""
    loop = asyncio.get_running_loop()
    for number, hook in hooks.items():
        loop.add_signal_handler(number, hook)
    try:
        yield
    finally:
        for number in hooks:
            loop.remove_signal_handler(number)
