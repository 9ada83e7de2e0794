"""``taskgen machine log``"""

from __future__ import annotations

import codecs
import sys
import time

import click

from taskgen.cli.note import note
from taskgen.cli.options import machine_argument
from taskgen.client import Client, Console
from taskgen.printable import printable

#: Seconds for what a console said while its log was read.
_AT_ONCE_S = 0.2


@click.command()
@machine_argument
@click.option("-f", "--follow", is_flag=True, help="Go on with what it prints, until Ctrl-C.")
@click.option(
    "--lines",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    metavar="N",
    help="So many last lines.",
)
def log(name: str, follow: bool, lines: int) -> None:
    """Print what the console of a machine said.

    Exit status 0: done; 1: the console ended while it was followed, or the daemon cannot; 2: bad
    input; 3: no daemon answers; 130: interrupted.
    """
    with Client() as client:
        if not follow:
            _print(client.machine_log(name, lines=lines))
            return
        # The console first: what comes while the log is read is then in both, not in none.
        with client.console(name) as console:
            said = client.machine_log(name, lines=lines)
            _print(said)
            _follow(console, said)
    note(f"the console of {name} has ended")
    sys.exit(1)


def _follow(console: Console, said: str) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    _print(behind(said, decoder.decode(_waiting(console))))
    for piece in console:
        _print(decoder.decode(piece))


def _waiting(console: Console) -> bytes:
    """What has come until now."""
    said = b""
    end_s = time.monotonic() + _AT_ONCE_S
    while (left_s := end_s - time.monotonic()) > 0:
        try:
            piece = console.read(timeout_s=left_s)
        except TimeoutError:
            break
        if not piece:
            break
        said += piece
    return said


def behind(said: str, more: str) -> str:
    """The part of ``more`` that is not at the end of ``said`` already."""
    for length in range(min(len(said), len(more)), 0, -1):
        if said.endswith(more[:length]):
            return more[length:]
    return more


def _print(text: str) -> None:
    text = text.replace("\r\n", "\n")
    # A guest must not be able to play with the terminal of whoever reads its log.
    sys.stdout.write(printable(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()
