"""The template of one kind of machine: the state that all of them go on from.

It is made once on this host, by whoever needs it first, and is kept on disk for all engines. Each
engine has it in memory, sealed, and its machines map that copy-on-write.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from taskgen.errors import SilentGuestError, SnapshotError, TaskgenError
from taskgen.host import template_file
from taskgen.host.file_lock import file_lock
from taskgen.host.snapshot_file import Key
from taskgen.host.snapshot_store import TEMPLATE, SnapshotStore
from taskgen.host.template import Template
from taskgen.host.waiting import in_thread

log = logging.getLogger(__name__)

#: Held, in the store's directory, while one is looked for or made: by one engine at a time.
_LOCK = "templates.lock"

#: After so many failures, of making it or of machines that it was to start, there is none.
TRIES = 3

#: What could not be kept on disk is tried again after so long: nothing tells of room on a disk.
KEEP_AGAIN_S = 60.0

#: Limit for the lock then: machines that start wait meanwhile.
_LOCK_AGAIN_S = 1.0

#: Keys of the problems that there is none, and that it is not on disk.
PROBLEM, DISK_PROBLEM = "template", "template-disk"


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
        self._held: list[Template] = []  # machines are just starting from them
        self._key: Key | None = None  # which the failures are of
        self._failures = 0
        self._keeping: asyncio.Task[None] | None = None  # until it is on disk

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
                if key != self._key:
                    if self._template:
                        log.info("another template is needed: image, profile or QEMU has changed")
                    self._let_go()
                    self._key, self._failures = key, 0
                if self._template is None and self.exist:
                    self._template = await self._get(key, make)
            except (TaskgenError, OSError) as error:  # TimeoutError is an OSError
                self._let_go()
                self._failed(f"cannot be had: {error or type(error).__name__}")
            return self._template

    @asynccontextmanager
    async def held(self, make: Make) -> AsyncIterator[Template | None]:
        """As :meth:`get`; a machine can start from it while in the block, also if it is dropped."""
        template = await self.get(make)
        with self._hold(template) if template else nullcontext():
            yield template

    def proved(self) -> None:
        """A machine has started from it: what failed before was passing."""
        self._failures = 0
        self._store.problems.clear(PROBLEM)

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

    def _let_go(self) -> None:
        """The next machine does not get it."""
        self._kept()
        template, self._template = self._template, None
        if template and template not in self._held:
            template.close()

    @contextmanager
    def _hold(self, template: Template) -> Iterator[None]:
        self._held.append(template)
        try:
            yield
        finally:
            self._held.remove(template)
            if template is not self._template and template not in self._held:
                template.close()

    def _failed(self, what: str) -> None:
        self._failures += 1
        then = "another one is tried" if self._failures < TRIES else "from now on all boot"
        self._store.problems.report(
            PROBLEM,
            f"the template of the machines {what}; {then}",
            hint="machines boot meanwhile; docs/templates.md tells what a guest needs",
        )

    async def _get(self, key: Key, make: Make) -> Template:
        await in_thread(None, _make_directory, self._store.path)
        async with file_lock(self._store.path / _LOCK, timeout_s=self._make_s):
            found = await in_thread(None, self._load, key, undo=_close)
            if found is None:
                return await self._make(key, make)
            self._kept()
            return found

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
            await self._keep(template)
        except BaseException:
            template.close()
            raise
        return template

    def _load(self, key: Key) -> Template | None:
        """What is on disk, if there is anything that can be used. Blocks."""
        place = self._store.take(key, TEMPLATE)
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

    async def _keep(self, template: Template) -> None:
        """Put it on disk, for others and later. If that cannot be, we have it all the same."""
        try:
            await in_thread(None, self._write, template)
        except OSError as error:
            self._not_kept(error.strerror or str(error))
        except SnapshotError as error:
            self._not_kept(error.message, error.hint)
        else:
            self._kept()

    async def _keep_again(self) -> None:
        """Try it again and again, until it is on disk."""
        while self._keeping:
            await asyncio.sleep(KEEP_AGAIN_S)
            async with self._turn:
                assert self._template, "else nobody keeps it"
                try:
                    with self._hold(self._template):
                        async with file_lock(self._store.path / _LOCK, timeout_s=_LOCK_AGAIN_S):
                            await self._keep(self._template)
                except (OSError, TaskgenError) as error:
                    self._not_kept(str(error))

    def _kept(self) -> None:
        """It is on disk, or need not be."""
        keeping, self._keeping = self._keeping, None
        if keeping and keeping is not asyncio.current_task():
            keeping.cancel()
        self._store.problems.clear(DISK_PROBLEM)

    def _not_kept(self, why: str, hint: str | None = "make room on the disk") -> None:
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep_again(), name="template: to the disk")
        self._store.problems.report(
            DISK_PROBLEM,
            f"the template of the machines cannot be kept on disk, so it is lost with this"
            f" engine: {why}",
            hint=hint,
        )

    def _write(self, template: Template) -> None:
        """Put it on disk, unless another engine has put one there. Blocks.

        :raises OSError: if that cannot be.
        :raises SnapshotError: if there is no room for it.
        """
        place = self._store.take(template.key, TEMPLATE)
        try:
            if place.snapshot is None:
                template_file.write(place.file, template.memory, template.state)
                place.keep(template.key, tag=template.tag, address="", saved_at=template.saved_at)
        except OSError:
            place.empty()
            raise
        finally:
            place.close()
        if not self._store.make_room() or not place.path.exists():
            raise SnapshotError(
                "there is no room for it", hint="snapshots.megabytes in the settings says how much"
            )

    def _remove(self, key: Key) -> None:
        place = self._store.take(key, TEMPLATE)
        place.empty()
        place.close()
        self._store.make_room()


def _make_directory(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def _close(template: Template | None) -> None:
    if template is not None:
        template.close()
