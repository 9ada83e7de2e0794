"""The heart of the queue: hands out runs and takes back what became of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from taskgen.errors import TaskgenError
from taskgen.interfaces import Outcome, Run, Target
from taskgen.queue.committer import GATHER_S, Committer
from taskgen.queue.database import Batch, Database
from taskgen.queue.history import History
from taskgen.queue.schedule import choose, given_up
from taskgen.queue.values import ENDED, JobState
from taskgen.queue.work import Claim, Unwritten, Work
from taskgen.run_settings import Order

log = logging.getLogger(__name__)

#: Seconds after which those who wait learn that fewer and fewer runs are left.
NOTIFY_S = 0.25


class Claims(History):
    """The part of a queue that an engine needs.

    What is decided is written first, and only what is written takes effect: whoever sees a result
    counted may rely on it.
    """

    def __init__(
        self,
        database: Database,
        thread: ThreadPoolExecutor,
        works: Sequence[Work],
        last: int,
        *,
        order: Order,
        clock: Callable[[], float],
        on_stall: Callable[[str | None], object] | None = None,
    ) -> None:
        stall = None if on_stall is None else partial(self._stalled, on_stall)
        self._committer = Committer(database, thread, self._collect, self._committed, stall)
        self._paused = False
        self._kept = database.path is not None
        self.order = order  #: between jobs of the same priority, from the next claim on
        self._clock = clock
        self._works = {work.id: work for work in works}
        self._open = dict(self._works)  # those that have not ended
        self._last_number = last
        self._claims: dict[str, Claim] = {}  # by the run that was handed out
        self._targets: dict[str, Target] = {}
        self._touched: set[Work] = set()
        self._served = 0
        self._news = False
        self._change = asyncio.Event()
        self._retrying = asyncio.Lock()
        self._later: asyncio.TimerHandle | None = None
        for work in works:
            if work.state in ENDED:  # it ended while something of it ran, or cannot go on
                work.waiting.clear()
                self._committer.batch.statements.append(("drop_claims", (work.number,)))
            self._end_if_through(work)

    def join(self, target: Target) -> None:
        """A target takes runs from now on; each :meth:`join` needs its :meth:`leave`."""
        self._targets[target.name] = target

    def leave(self, target: Target) -> None:
        """A target takes no more runs."""
        self._targets.pop(target.name, None)
        if any(work.waiting for work in self._open.values()):
            self._notify()  # what only it could have had may now be had by another

    async def claim(self, target: Target) -> Run | None:
        """The next run that fits ``target``; ``None`` if there is none now.

        It is in the database before its outcome, or with it.
        """
        self._committer.check()
        if self.held:
            return None
        while (choice := self._choose(target)) is not None:
            work, others = choice
            try:
                claim = work.take(target.name, others)
            except TaskgenError as error:
                log.error("job %s ends here: %s", work.id, error)
                self._give_up(work, JobState.FAILED, str(error))
                continue
            if claim is None:
                self._end_if_through(work)
            else:
                return self._hand_out(claim, target)
        return None

    def settle(self, run: Run) -> asyncio.Future[Sequence[Outcome]]:
        """Keep ``run.outcome`` and release the claim; await it to know both on the disk.

        :returns: if the variant was thereby set aside, the outcomes of its attempts; else nothing.
        :raises KeyError: if the run is not claimed, or was settled already.
        """
        self._committer.check()
        outcome = run.outcome
        assert outcome is not None
        claim = self._claims.pop(run.id)
        work, batch = claim.work, self._committer.batch
        batch.attempts.append((work.number, claim.position, run, not work.resumable))
        attempts: tuple[Outcome, ...] = ()
        if outcome.failure is None:
            self._release(claim)
            work.unwritten.done += 1
            self._committer.then(lambda: self._settled(work))
        else:
            claim.failures.append(outcome)
            work.unwritten.failed_attempts += 1
            if given_up(claim.failures, work.spec.tries):
                attempts = tuple(claim.failures)
                self._release(claim)
                batch.bad.append((*claim.key, claim.attempt))
                work.unwritten.bad += 1
            else:
                claim.attempt += 1
                self._keep_waiting(claim)
            self._committer.then(lambda: self._failed(claim, bool(attempts)))
        self._touched.add(work)
        return self._committer.durable(attempts, within_s=GATHER_S)

    async def push_back(self, run: Run) -> None:
        """Release the claim on a run that was not carried out; it is claimed next.

        :raises KeyError: if the run is not claimed, or was settled.
        """
        claim = self._claims.pop(run.id)
        claim.work.running -= 1
        self._wait(claim, first=True)
        self._committer.later()
        self._notify()

    @property
    def paused(self) -> bool:
        """Whether no run is handed out, of whatever job; may be set at any time."""
        return self._paused

    @paused.setter
    def paused(self, paused: bool) -> None:
        self._paused = paused
        self._notify()

    @property
    def held(self) -> bool:
        """Whether no run is handed out now: paused, or what comes of it could not be kept."""
        return self._paused or self._committer.stalled is not None

    def changed(self) -> Coroutine[Any, Any, None]:
        """Wait until there may be something new to claim, or nothing more to wait for.

        What happens between the call and the awaiting counts.
        """
        return _happened(self._change)

    def wake(self) -> None:
        """Wake all that wait for a change: something that they look at has, outside the queue."""
        self._notify()

    def _choose(self, target: Target) -> tuple[Work, list[str]] | None:
        """A job that may have something for ``target``, and the other targets that it could use."""
        offers: list[tuple[Work, list[str]]] = []
        name, own_profile = target.name, target.profile
        for work in self._open.values():
            profile = work.spec.profile
            if profile is None or profile == own_profile:
                others = self._others(target, profile) if work.waiting else []
                if work.offers(name, others):
                    offers.append((work, others))
        if len(offers) < 2:
            return offers[0] if offers else None
        best = choose((work.candidate for work, _ in offers), self.order)
        return next(offer for offer in offers if best and offer[0].number == best.number)

    def _others(self, target: Target, profile: str | None) -> list[str]:
        return [
            other.name
            for other in self._targets.values()
            if other.name != target.name and profile in (None, other.profile)
        ]

    def _hand_out(self, claim: Claim, target: Target) -> Run:
        work = claim.work
        run = work.run(claim)
        self._claims[run.id] = claim
        work.running += 1
        self._served += 1
        work.served = self._served
        if work.state is JobState.QUEUED:
            work.state = JobState.RUNNING
        key = claim.key
        self._committer.batch.claims[key] = (claim.attempt, claim.counts_from, target.name)
        self._touched.add(work)
        self._committer.later()
        return run

    def _release(self, claim: Claim) -> None:
        batch = self._committer.batch
        batch.claims.pop(claim.key, None)
        batch.released.add(claim.key)

    def _keep_waiting(self, claim: Claim) -> None:
        self._committer.batch.claims[claim.key] = (claim.attempt, claim.counts_from, None)

    def _wait(self, claim: Claim, *, first: bool) -> None:
        """Let a claim wait for a target, unless its job has ended."""
        work = claim.work
        if work.state in ENDED:
            self._release(claim)
            self._end_if_through(work)
        elif first:
            self._keep_waiting(claim)
            work.waiting.appendleft(claim)
        else:
            work.waiting.append(claim)

    def _settled(self, work: Work) -> None:
        work.running -= 1
        work.done += 1
        if work.exhausted or work.state in ENDED:
            self._end_if_through(work)
            self._notify_soon()  # fewer targets are needed now

    def _failed(self, claim: Claim, given_up: bool) -> None:
        work = claim.work
        work.running -= 1
        work.failed_attempts += 1
        if given_up:
            work.bad += 1
            self._end_if_through(work)
        else:
            self._wait(claim, first=False)
        self._news = True

    def _give_up(self, work: Work, state: JobState, error: str = "") -> None:
        """Hand out nothing more of a job."""
        work.state, work.error = state, error
        work.waiting.clear()
        batch = self._committer.batch
        for key in [key for key, claim in batch.claims.items() if key[0] == work.number]:
            if batch.claims[key][2] is None:
                del batch.claims[key]
        batch.statements.append(("drop_waiting", (work.number,)))
        self._touched.add(work)
        self._end_if_through(work)
        self._committer.later()
        self._notify()

    def _end_if_through(self, work: Work) -> None:
        """End a job of which nothing runs and nothing is left."""
        if work.running or work.ended_at is not None:
            return
        if work.state not in ENDED:
            if work.waiting or not work.exhausted:
                return
            work.state, work.total = JobState.DONE, work.done + work.bad
        work.ended_at = self._clock()
        log.info("job %s is %s: %d results, %d given up", work.id, work.state, work.done, work.bad)
        if not work.bad:
            work.source = None  # a task-set can be large
        self._open.pop(work.id, None)
        self._touched.add(work)
        self._committer.later()
        work.ended.set()
        self._notify()

    def _stalled(self, on_stall: Callable[[str | None], object], reason: str | None) -> None:
        on_stall(reason)
        self._notify()

    def _collect(self, batch: Batch) -> None:
        """What has become of the jobs that the batch is about."""
        for work in self._touched:
            behind, work.unwritten = work.unwritten, Unwritten()
            batch.jobs.append(
                {
                    "number": work.number,
                    "state": work.state,
                    "error": work.error,
                    "total": work.total,
                    "cursor": work.cursor,
                    "ended_at": work.ended_at,
                    "done": behind.done,
                    "bad": behind.bad,
                    "failed_attempts": behind.failed_attempts,
                }
            )
        self._touched.clear()

    def _committed(self) -> None:
        if self._news:
            self._notify()

    def _notify_soon(self) -> None:
        """Wake all that wait, for what happens with every result and is not urgent."""
        if self._later is None:
            self._later = asyncio.get_running_loop().call_later(NOTIFY_S, self._notify)

    def _notify(self) -> None:
        # Whoever waits now is woken; whoever comes later waits for the next change.
        self._news = False
        if self._later is not None:
            self._later.cancel()
            self._later = None
        self._change.set()
        self._change = asyncio.Event()


async def _happened(event: asyncio.Event) -> None:
    await event.wait()
