"""What a DHCP server has said before it died."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from taskgen.host.dhcp_program import DhcpProgram
from taskgen.host.foreign_files import open_to_read
from taskgen.host.process import Exit

_BYTES = 4096
_LINES = 5


def log_size(program: DhcpProgram) -> int:
    """How long its log is, in bytes."""
    with suppress(OSError):
        return program.log_file.stat().st_size
    return 0


def said_last(program: DhcpProgram, end: Exit, *, since: int) -> Exit:
    """How it ended, with the last lines that may be a reason for it.

    :param since: what the log had before says nothing, in bytes.
    """
    said = b""
    with suppress(OSError), open_to_read(program.log_file) as file:
        file.seek(max(since, log_size(program) - _BYTES))
        said = file.read()
    lines = said.decode(errors="replace").splitlines()
    kept = [line for line in lines if line.strip() and program.is_news(line)]
    return replace(end, output="\n".join(kept[-_LINES:]))
