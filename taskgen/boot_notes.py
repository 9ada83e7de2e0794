"""What a guest was sent since it booted, noted on disk for whoever takes the machine over.

A guest keeps uploaded binaries until it boots anew, and ignores another one of the same name. An
engine that adopts a machine cannot ask for them, and would have to restart it.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from taskgen.config import STRICT, convert
from taskgen.errors import ConfigError
from taskgen.session_manager import Boot
from taskgen.whole_file import whole_file

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Note:
    """``machines/NAME.boot``; see :class:`~taskgen.session_manager.Boot`.

    :ivar uuid: of the machine's QEMU.
    """

    __pydantic_config__ = STRICT

    uuid: str
    unknown: bool = False
    uploaded: dict[str, str] = field(default_factory=dict)
    unsure: tuple[str, ...] = ()
    stalled: bool = False


class BootNotes:
    """The note of one machine. It is gone with the machine's record.

    :param machine: directory of the machine; the note lies beside it, out of QEMU's reach.
    :param uuid: of its QEMU.
    """

    def __init__(self, machine: Path, uuid: str) -> None:
        self._path = machine.with_name(f"{machine.name}.boot")
        self._uuid = uuid

    def write(self, boot: Boot) -> None:
        """Note what there is. Where that fails nothing is noted, so that nothing wrong is."""
        note = _Note(
            uuid=self._uuid,
            unknown=boot.unknown,
            uploaded=boot.uploaded,
            unsure=tuple(sorted(boot.unsure)),
            stalled=boot.stalled,
        )
        try:
            # After a loss of power there is no guest of which it could say anything.
            with whole_file(self._path, durable=False) as file:
                file.write(json.dumps(asdict(note)).encode() + b"\n")
        except OSError as error:
            log.warning("%s: cannot be written: %s", self._path, error.strerror)
            with suppress(OSError):
                self._path.unlink()

    def read(self) -> Boot:
        """What was noted; if that is nothing, or of another QEMU, nothing is known."""
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
            note = convert(data, _Note, source=str(self._path))
        except (OSError, ValueError, ConfigError) as error:
            log.debug("%s: not known what its guest has had: %s", self._path, error)
            return Boot(unknown=True)
        if note.uuid != self._uuid or note.unknown:
            return Boot(unknown=True)
        return Boot(
            uploaded=dict(note.uploaded),
            unsure=set(note.unsure),
            stalled=note.stalled,
            runs=None,
        )
