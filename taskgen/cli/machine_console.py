"""``taskgen machine console``"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable

import click

from taskgen.cli.note import note
from taskgen.cli.options import machine_argument
from taskgen.cli.raw_terminal import key_of, name_of, raw
from taskgen.client import AsyncClient, AsyncConsole
from taskgen.errors import ConfigError
from taskgen.waiting import first_of

#: What is typed at once at most; more waits in the terminal.
_PIECE = 4096


@click.command()
@machine_argument
@click.option(
    "--escape",
    "escape",
    default="^]",
    show_default=True,
    metavar="KEY",
    help="The key that leaves the console: ^X for Ctrl-X, or a character.",
)
def console(name: str, escape: str) -> None:
    """Use the console of a machine.

    All keys go to the machine, Ctrl-C too, but for the one that leaves: Ctrl-]. Nobody has to look:
    the machine goes on without, and several may look at once. taskgen machine log has what was
    printed before.

    Exit status 0: left by the key; 1: the console ended, or the daemon cannot; 2: bad input; 3: no
    daemon answers.
    """
    key = key_of(escape)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigError(
            "a console needs a terminal", hint=f"taskgen machine log -f {name} only prints"
        )
    sys.exit(asyncio.run(_use(name, key)))


async def _use(name: str, key: bytes) -> int:
    async with AsyncClient() as client, await client.console(name, recent=True) as console:
        note(f"console of {name}; {name_of(key)} leaves it")
        left = asyncio.Event()
        with raw(sys.stdin.fileno(), left.set):
            await first_of(_show(console), _type(console, key, left.set), left.wait())
    # The cursor may be anywhere in a line.
    print(flush=True)
    note(f"console of {name} left" if left.is_set() else f"the console of {name} has ended")
    return 0 if left.is_set() else 1


async def _show(console: AsyncConsole) -> None:
    """Show what comes. A terminal that is slow only delays us: the daemon drops what we miss."""
    output = sys.stdout.fileno()
    async for piece in console:
        rest = piece
        while rest:
            rest = rest[await asyncio.to_thread(os.write, output, rest) :]


async def _type(console: AsyncConsole, key: bytes, leave: Callable[[], object]) -> None:
    """Pass on what is typed, up to the key that leaves, or the end of the terminal."""
    loop, typed = asyncio.get_running_loop(), asyncio.Queue[bytes]()
    terminal = sys.stdin.fileno()

    def read() -> None:
        try:
            typed.put_nowait(os.read(terminal, _PIECE))
        except OSError:
            typed.put_nowait(b"")  # it was hung up

    loop.add_reader(terminal, read)
    try:
        while keys := await typed.get():
            before, escape, _ = keys.partition(key)
            if before:
                await console.write(before)
            if escape:
                break
    finally:
        loop.remove_reader(terminal)
    leave()
