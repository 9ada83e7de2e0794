"""One run over one session: from ``CLEAR`` to the last event, and what to make of a failure."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from taskgen.errors import ProtocolError, SessionError, SessionTimeoutError
from taskgen.events.model import Event
from taskgen.events.tracker import RunTracker, time_limit_s
from taskgen.host.waiting import finish
from taskgen.interfaces import Emit, FailureClass, Outcome, Run
from taskgen.protocol import Binary, dict_to_xml
from taskgen.session import Session
from taskgen.wire import BadFrame

#: Seconds for the last words of activations that were stopped: they are pushed by another thread of
#: the guest than the one that answers.
LAST_WORDS_S = 1.0

#: Seconds for an upload to be finished in spite of a cancellation.
UPLOAD_GRACE_S = 3.0

#: Called at START; what it returns is called when there is an outcome, and tells for its provenance
#: what was measured in between.
Measure = Callable[[], Callable[[], Mapping[str, Any]]]


class Exchange:
    """Carries out one run; made anew for each.

    :param session: stays usable if the outcome's failure is none or the task-set's own.
    :param run: what is to be carried out.
    :param binaries: those that the target has not had since its boot.
    :param emit: told each event when it arrives.
    :param provenance: goes into the outcome.
    :param measure: of the host while the run lasts; ``None``: nothing.
    :ivar prepared: the target has the task-set and all binaries.
    :ivar stalled: the run did not end by itself in time, and was stopped.
    """

    def __init__(
        self,
        session: Session,
        run: Run,
        binaries: Sequence[Binary],
        emit: Emit,
        *,
        provenance: Mapping[str, Any] | None = None,
        measure: Measure | None = None,
    ) -> None:
        self.prepared = False
        self.stalled = False
        self._session = session
        self._run = run
        self._binaries = binaries
        self._emit = emit
        self._provenance = provenance or {}
        self._measure = measure
        self._measured: Callable[[], Mapping[str, Any]] | None = None
        self._tracker = RunTracker(run.variant.tasks)
        self._events: list[Event] = []
        self._started_at = 0.0
        self._began_s: float | None = None

    async def perform(self) -> Outcome:
        """Carry the run out. Failures of session and guest are outcomes; cancellation passes.

        An upload is finished first, within :data:`UPLOAD_GRACE_S`, unless there is another
        cancellation: a target that waits for binaries in vain is lost for others, and has to boot
        again.
        """
        try:
            await self._prepare()
            if self._run.settings.admission_control is not None:
                self._session.optimize(dict_to_xml(self._run.settings.admission_control))
            self._start()
            reason = await self._follow()
        except asyncio.CancelledError:
            if self._session.usable:
                self._session.clear()  # else it would go on running, to no purpose
            raise
        except (SessionError, ProtocolError) as error:
            return self.outcome(FailureClass.GUEST, str(error))
        if reason:
            return self.outcome(FailureClass.TASK, reason)
        return self.outcome(None)

    def outcome(self, failure: FailureClass | None, reason: str = "") -> Outcome:
        """What there is so far, as an outcome."""
        return Outcome(
            target=self._session.target,
            failure=failure,
            reason=reason,
            events=tuple(self._events),
            activations=self._tracker.activations(),
            started_at=self._started_at,
            duration_s=0.0 if self._began_s is None else time.monotonic() - self._began_s,
            provenance={**self._provenance, **(self._measured() if self._measured else {})},
        )

    async def _prepare(self) -> None:
        preparing = self._session.prepare(self._run.variant.description(), self._binaries)
        if not self._binaries:
            await preparing
            self.prepared = True
            return
        uploading = asyncio.create_task(preparing)
        try:
            await asyncio.wait([uploading])
        except asyncio.CancelledError:
            await asyncio.wait([uploading], timeout=UPLOAD_GRACE_S)
            raise
        finally:
            if uploading.cancel():
                await finish(asyncio.wait([uploading]))
            self.prepared = not uploading.cancelled() and uploading.exception() is None
        uploading.result()

    def _start(self) -> None:
        if self._measure:
            self._measured = self._measure()
        self._started_at, self._began_s = time.time(), time.monotonic()
        self._session.start()

    async def _follow(self) -> str:
        """Take events until the run is over.

        :returns: what is wrong with the run; empty if nothing is.
        """
        settings, tracker = self._run.settings, self._tracker
        limit_s = time_limit_s(tracker.tasks, margin=settings.margin, slack_s=settings.slack_s)
        ends_by_itself = settings.duration_s is None
        try:
            await self._take(limit_s if settings.duration_s is None else settings.duration_s)
        except SessionTimeoutError:
            self.stalled = ends_by_itself
            # That it still answers tells a task-set that hangs from a guest that does.
            self._session.stop()
            await self._session.available()
            await self._take_last_words()
            if ends_by_itself:
                late = ", ".join(map(str, tracker.waiting_for))
                tracker.problems.append(f"no JOBS_DONE of task {late} within {limit_s:.1f} s")
        return "; ".join(tracker.problems)

    async def _take(self, timeout_s: float) -> None:
        async for item in self._session.events(timeout_s=timeout_s):
            self._note(item)
            if self._tracker.done:
                return

    async def _take_last_words(self) -> None:
        for item in self._session.unread():
            self._note(item)
        if self._tracker.running:
            await self._until_nothing_runs()

    async def _until_nothing_runs(self) -> None:
        try:
            async for item in self._session.events(timeout_s=LAST_WORDS_S):
                self._note(item)
                if not self._tracker.running:
                    return
        except SessionTimeoutError:
            return  # an activation that does not tell its end stays open in the result

    def _note(self, item: Event | BadFrame) -> None:
        if isinstance(item, BadFrame):
            self._tracker.problems.append(f"a frame that cannot be read: {item.reason}")
            return
        self._events.append(item)
        self._tracker.feed(item)
        self._emit(item)
