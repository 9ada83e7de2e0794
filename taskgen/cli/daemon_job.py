"""A job that the daemon carries out while we watch, with handlers of ours and Ctrl-C in between."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path

from taskgen.backend import Backend
from taskgen.cli.console import logged_to, messages
from taskgen.cli.end import End, GivenUp
from taskgen.cli.note import note
from taskgen.cli.progress import in_words, shown
from taskgen.cli.signals import on_signals
from taskgen.cli.watching import JobWatch
from taskgen.client import AsyncClient
from taskgen.client.address import Address
from taskgen.errors import StateError
from taskgen.events.handler import EventHandler
from taskgen.remote import remote
from taskgen.waiting import first_of

#: Has the daemon begin the job, with handlers of ours; gives its id.
Begin = Callable[[Backend, Sequence[EventHandler]], Awaitable[str]]


class DaemonJob:
    """Waits for the end of one job.

    :param handlers: told of everything, beside what is shown.
    :param directories: where binaries of the user's own lie; they are uploaded.
    :param leave: whether the job goes on when we are interrupted; else it is ended then.
    :param silent: show nothing meanwhile.
    """

    def __init__(
        self,
        address: Address,
        begin: Begin,
        handlers: Sequence[EventHandler],
        *,
        directories: Sequence[Path] = (),
        leave: bool = False,
        silent: bool = False,
    ) -> None:
        self._address = address
        self._begin = begin
        self._handlers = handlers
        self._directories = tuple(directories)
        self._leave = leave
        self._silent = silent
        self._interrupted = asyncio.Event()
        self._stopped = asyncio.Event()
        self._watch: JobWatch | None = None

    async def execute(self) -> End:
        """Begin it, and wait for its end, or for that which the user wants.

        :raises DaemonUnreachableError: if the daemon does not answer at first.
        :raises SetupError: if it cannot run the job; nothing was added then.
        """
        given_up = GivenUp()
        handlers = [*self._handlers, given_up]
        with self._signals():
            async with (
                AsyncClient(address=self._address) as client,
                remote(self._address, self._directories) as backend,
            ):
                # Who interrupts us now has to wait: the job might be there, and we not know its id.
                job_id = await self._begin(backend, handlers)
                self._watch = watch = JobWatch(client, await client.job(job_id))
                await self._watched(client, watch)
                if not (self._leave and self._interrupted.is_set()):
                    await backend.wait_job(job_id)
                    await watch.refresh()
                lost = (await backend.status()).handlers
        end = await watch.end()
        return replace(
            end,
            interrupted=self._interrupted.is_set(),
            given_up=given_up.reasons,
            lost=lost,
        )

    async def _watched(self, client: AsyncClient, watch: JobWatch) -> None:
        both = first_of(watch.until_ended(), self._obeyed(client, watch))
        if self._silent:
            await both
            return
        console = messages()
        with logged_to(console):
            async with shown(console, watch.counts, watch.fleet_in_words):
                await both

    async def _obeyed(self, client: AsyncClient, watch: JobWatch) -> None:
        """Wait for an interruption, and for the end that it makes."""
        await self._interrupted.wait()
        if self._leave:
            return
        with suppress(StateError):  # it has ended by itself meanwhile
            await client.pause_job(watch.job.id)
            await first_of(watch.until_idle(), self._stopped.wait())
            await client.cancel_job(watch.job.id)
        await watch.until_over()

    def _signals(self) -> AbstractContextManager[None]:
        return on_signals(
            {
                signal.SIGINT: self._interrupt,
                signal.SIGTERM: self._stop,
                signal.SIGHUP: self._stop,
            }
        )

    def _interrupt(self) -> None:
        """Ctrl-C: once, finish what is running; again, stop."""
        if self._interrupted.is_set():
            self._stop()
            return
        self._interrupted.set()
        if self._leave and self._watch:
            job_id = self._watch.job.id
            note(
                f"job {job_id} goes on (taskgen job watch {job_id}); nothing more is recorded here"
            )
        elif not self._leave:
            done = in_words(self._watch.counts()) if self._watch else "nothing yet"
            note(f"finishing what is running ({done}); Ctrl-C again stops it")

    def _stop(self) -> None:
        self._interrupted.set()
        if not self._stopped.is_set():
            self._stopped.set()
            if not self._leave:
                note("stopping now, and cleaning up")
