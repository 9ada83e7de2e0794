"""A terminal that passes keys on as they are, and is as it was before whatever happens."""

from __future__ import annotations

import re
import signal
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from taskgen.cli.signals import on_signals
from taskgen.errors import ConfigError

#: What ends a process politely: the terminal is restored then too.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def key_of(text: str) -> bytes:
    """The byte of a key as people write it: ``^]`` for Ctrl-], or a single character.

    :raises ConfigError: if it is neither.
    """
    if re.fullmatch(r"\^[@-_a-z]", text):
        return bytes([ord(text[1].upper()) & 0x1F])
    if len(text) == 1 and text.isascii():
        return text.encode()
    raise ConfigError(f"{text!r}: not a key", hint="as in ^] for Ctrl-], or a single character")


def name_of(key: bytes) -> str:
    """What people call a key."""
    return f"Ctrl-{chr(key[0] + 0x40)}" if key[0] < 0x20 else key.decode()


@contextmanager
def raw(descriptor: int, on_signal: Callable[[], object]) -> Iterator[None]:
    """Pass keys on as they are while in the block, Ctrl-C too.

    :param on_signal: called when the process is to end; it has to see to it that the block is left.
    """
    before = termios.tcgetattr(descriptor)
    with on_signals(dict.fromkeys(_SIGNALS, on_signal)):
        try:
            tty.setraw(descriptor, termios.TCSADRAIN)
            yield
        finally:
            # TCSADRAIN waits for what is still to be shown, and keeps what was typed ahead.
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
