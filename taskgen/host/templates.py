"""The template of one kind of machine: the state that all of them go on from.

It is made once on this host, by whoever needs it first, and is kept on disk for all engines. Each
engine has it in memory, sealed, and its machines map that copy-on-write.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from taskgen.errors import SilentGuestError, SnapshotError, TaskgenError
from taskgen.host import template_file
from taskgen.host.file_lock import file_lock
from taskgen.host.memory_file import MemoryFile
from taskgen.host.snapshot_file import Key
from taskgen.host.snapshot_store import SnapshotStore
from taskgen.host.waiting import in_thread

log = logging.getLogger(__name__)

#: Held, in the store's directory, while one is looked for or made: by one engine at a time.
_LOCK = "templates.lock"

#: After so many failures, of making it or of machines that it was to start, there is none.
TRIES = 3


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


#: Boots a machine whose memory is the template's, and saves its state there.
Make = Callable[[Template], Awaitable[None]]


class Templates:
    """Where the machines of one kind get their template from.

    :param store: where it is kept on disk.
    :param key: tells what a template depends on, as it is now.
    :param memory_mb: of the guest.
    :param make_s: limit for the making of one, by us or by another engine.
    """

    def __init__(
        self,
        store: SnapshotStore,
        key: Callable[[], Awaitable[Key]],
        *,
        memory_mb: int,
        make_s: float,
    ) -> None:
        self.key = key
        self._store = store
        self._memory_bytes = memory_mb << 20
        self._make_s = make_s
        self._turn = asyncio.Lock()
        self._template: Template | None = None
        self._dropped: list[Template] = []  # machines may just be starting from them
        self._failures = 0

    @property
    def exist(self) -> bool:
        """Whether the next machine can expect to start from one."""
        return self._failures < TRIES

    async def get(self, make: Make) -> Template | None:
        """The template; ``None``: there is none, and machines have to boot.

        :param make: called where it is not there yet.
        """
        async with self._turn:
            try:
                key = await self.key()
                if self._template and self._template.key != key:
                    log.info("another template is needed: image, profile or QEMU has changed")
                    self._let_go()
                if self._template is None and self.exist:
                    self._template = await self._get(key, make)
            except (TaskgenError, OSError) as error:  # TimeoutError is an OSError
                self._let_go()
                self._failed(f"cannot be had: {error or type(error).__name__}")
            return self._template

    def proved(self) -> None:
        """A machine has started from it: what failed before was passing."""
        self._failures = 0

    async def drop(self, template: Template, why: str) -> None:
        """It is of no use: the next machine makes another, or boots."""
        if template is not self._template:
            return  # somebody else has noticed, too
        self._let_go()
        self._failed(f"is dropped: {why}")
        try:
            await in_thread(None, self._remove, template.key)
        except OSError as error:
            log.warning("%s: not removed: %s", template.key.name, error)

    def close(self) -> None:
        """Let go of it; it stays on disk."""
        self._let_go()
        for template in self._dropped:
            template.close()
        self._dropped.clear()

    def _let_go(self) -> None:
        """The next machine does not get it."""
        if self._template:
            self._dropped.append(self._template)
            self._template = None

    def _failed(self, what: str) -> None:
        self._failures += 1
        then = "another one is tried" if self._failures < TRIES else "from now on all boot"
        log.warning("%s", f"the template of the machines {what}; {then}")

    async def _get(self, key: Key, make: Make) -> Template:
        await in_thread(None, _make_directory, self._store.path)
        async with file_lock(self._store.path / _LOCK, timeout_s=self._make_s):
            found = await in_thread(None, self._load, key, undo=_close)
            return found or await self._make(key, make)

    async def _make(self, key: Key, make: Make) -> Template:
        log.info("a template for all machines is made (once)")
        template = Template.empty(key, self._memory_bytes)
        try:
            try:
                async with asyncio.timeout(self._make_s):
                    await make(template)
            except SilentGuestError:
                self._failures = TRIES  # the next one would have to wait as long for the same
                raise
            template.seal()
            if await self.key() != key:  # whoever was booted may have had the new image
                raise SnapshotError("image, profile or QEMU has changed while it was made")
            await in_thread(None, self._keep, template)
        except BaseException:
            template.close()
            raise
        return template

    def _load(self, key: Key) -> Template | None:
        """What is on disk, if there is anything that can be used. Blocks."""
        place = self._store.take(key)
        template = Template.empty(key, self._memory_bytes)
        try:
            if found := place.snapshot:
                template_file.read(place.file, template.memory, template.state)
                template.seal()
                place.used()
                return replace(template, tag=found.tag, saved_at=found.saved_at)
        except ValueError as error:
            log.warning("%s: not usable, so it is made anew: %s", place.name, error)
            place.empty()
        except BaseException:
            template.close()
            raise
        finally:
            place.close()
        template.close()
        return None

    def _keep(self, template: Template) -> None:
        """Put it on disk, for others and later. If that cannot be, we have it all the same."""
        try:
            place = self._store.take(template.key)
            try:
                place.empty()
                template_file.write(place.file, template.memory, template.state)
                place.keep(template.key, tag=template.tag, address="", saved_at=template.saved_at)
            except OSError:
                place.empty()
                raise
            finally:
                place.close()
            self._store.make_room()
        except OSError as error:
            log.warning("%s: not kept: %s", template.key.name, error)

    def _remove(self, key: Key) -> None:
        place = self._store.take(key)
        place.empty()
        place.close()
        self._store.make_room()


def _make_directory(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def _close(template: Template | None) -> None:
    if template is not None:
        template.close()
