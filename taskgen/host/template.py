"""A saved state that all machines of a kind can go on from, as an engine has it in memory."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

from taskgen.host.memory_file import MemoryFile
from taskgen.host.snapshot_file import Key


@dataclass(frozen=True)
class Template:
    """A saved state.

    :ivar key: of all that it depends on.
    :ivar tag: its name; no other state ever has it, nor its beginning under another key.
    :ivar saved_at: seconds since the epoch.
    :ivar memory: the guest's.
    :ivar state: of the devices.
    """

    key: Key
    tag: str
    saved_at: float
    memory: MemoryFile
    state: MemoryFile

    @classmethod
    def empty(cls, key: Key, memory_bytes: int) -> Template:
        """One that is yet to be made; to be closed."""
        return cls(
            key=key,
            tag=f"{key.name}-{secrets.token_hex(4)}",
            saved_at=time.time(),
            memory=MemoryFile("guest memory", memory_bytes),
            state=MemoryFile("guest state", 0),
        )

    def seal(self) -> None:
        """From now on nobody can change it.

        :raises OSError: if somebody still has its memory mapped.
        """
        self.memory.seal()
        self.state.seal()

    def close(self) -> None:
        """Close it; machines that have it mapped keep it."""
        self.memory.close()
        self.state.close()


def is_of(tag: str, key: Key) -> bool:
    """Whether a template's tag is that of one with this key."""
    return tag.rpartition("-")[0] == key.name
