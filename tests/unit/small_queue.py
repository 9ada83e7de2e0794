"""The least queue that hosts can be fed from."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from values import run

from taskgen.interfaces import Counts, FailureClass


class SmallQueue:
    """Runs of given variants, each until it has a result or has failed by itself.

    :ivar outcomes: all of them, in their order.
    """

    def __init__(self, variants, **settings):
        self.waiting = [
            replace(each, settings=replace(each.settings, **settings))
            for each in (run(variant.index, variant=variant) for variant in variants)
        ]
        self.total = len(self.waiting)
        self.running = {}
        self.outcomes = []
        self.targets = set()
        self._change = asyncio.Event()

    @property
    def results(self):
        return [outcome for outcome in self.outcomes if outcome.failure is None]

    @property
    def counts(self):
        return Counts(
            total=self.total,
            queued=len(self.waiting),
            running=len(self.running),
            done=len(self.results),
            bad=0,
            failed_attempts=len(self.outcomes) - len(self.results),
        )

    @property
    def backlog(self):
        return len(self.waiting) + len(self.running)

    def backlog_for(self, profile):
        return self.backlog

    def add(self, *runs):
        self.waiting += runs
        self._notify()

    def join(self, target):
        self.targets.add(target.name)

    def leave(self, target):
        self.targets.discard(target.name)

    async def claim(self, target):
        for number, each in enumerate(self.waiting):
            if each.profile in (None, target.profile):
                self.running[each.id] = self.waiting.pop(number)
                return each
        return None

    async def settle(self, ended):
        del self.running[ended.id]
        self.outcomes.append(ended.outcome)
        if ended.outcome.failure not in (None, FailureClass.TASK):
            again = ended.attempt + 1
            self.waiting.append(
                replace(ended, id=f"{ended.id}-{again}", attempt=again, outcome=None)
            )
        self._notify()
        return ()

    async def push_back(self, stopped):
        del self.running[stopped.id]
        self.waiting.insert(0, stopped)
        self._notify()

    def changed(self):
        # What happens between this call and the first step of waiting counts, too.
        return self._change.wait()

    def _notify(self):
        self._change.set()
        self._change = asyncio.Event()
