"""A daemon with one job, in memory, behind the client's transport. Its stream may lie."""

import asyncio
import random
import re

import httpx

from taskgen.bulletin import Bulletin
from taskgen.queue.rows import run_id
from taskgen.resources import EventKind, Page, Run

JOB = "j0b"

FAILURE = {"failure": "task", "reason": "it exited"}


class DaemonModel(httpx.AsyncBaseTransport):
    """What ended is kept, what happens is told, and all else is forgotten when it is killed.

    :ivar lies: of the events of runs, which part is not told, and which is told twice.
    :ivar down: whether nobody answers.
    :ivar prompt: while it is clear, nobody who adds a job is answered.
    """

    def __init__(self, document, variants, *, tries=2, page=3, seed=0):
        self.document, self.variants, self.tries, self.page = document, variants, tries, page
        self.lies = (0.0, 0.0)
        self.down = False
        self.prompt = asyncio.Event()
        self.prompt.set()
        self.kept = []
        self.bad = 0
        self.next_attempt = dict.fromkeys(range(variants), 1)  # of those that are not through
        self.running = {}  # attempt by position
        self._random = random.Random(seed)
        self._streams = set()
        self.bulletin = Bulletin(sequence=lambda: len(self.kept), ring_events=16)

    # What happens.

    def start(self, position):
        self.running[position] = self.next_attempt[position]
        self._publish(EventKind.RUN_STARTED, position, target="model")

    def event(self, position):
        event = {"type": "START", "task_id": 1, "time_stamp_ms": len(self.kept)}
        self._publish(EventKind.RUN_EVENT, position, event=event)

    def stop(self, position):
        self._publish(EventKind.RUN_STOPPED, position, reason="pushed back")
        del self.running[position]

    def finish(self, position, *, well=True):
        attempt = self.running[position]
        given_up = not well and attempt >= self.tries
        self.kept.append(
            {
                "sequence": 10 * len(self.kept) + 1,
                "run": run_id(JOB, position, attempt),
                "job": JOB,
                "position": position,
                "variant": position,
                "attempt": attempt,
                "parameters": None,
                "target": "model",
                "bad": given_up,
                "started_at": 1.0,
                "duration_s": 1.0,
                **({"failure": None} if well else FAILURE),
            }
        )
        self._publish(EventKind.RUN_FINISHED, position, target="model", failure=None)
        if given_up:
            self.bad += 1
            self._publish(EventKind.RUN_BAD, position)
        del self.running[position]
        if well or given_up:
            del self.next_attempt[position]
        else:
            self.next_attempt[position] += 1
        self.bulletin.publish(EventKind.JOB, self.job)

    def cut(self):
        """All connections are lost."""
        for stream in list(self._streams):
            stream.cut()

    def kill(self):
        """It is killed, and another one goes on."""
        self.running.clear()
        self.bulletin = Bulletin(sequence=lambda: len(self.kept), ring_events=16)
        self.cut()

    @property
    def job(self):
        done = self.variants - len(self.next_attempt) - self.bad
        left = len(self.next_attempt) - len(self.running)
        counts = {"total": self.variants, "queued": left, "running": len(self.running)}
        counts |= {"done": done, "bad": self.bad, "failed_attempts": 0}
        return {
            "id": JOB,
            "number": 1,
            "name": "modelled",
            "labels": {},
            "priority": 0,
            "profile": None,
            "tries": self.tries,
            "repeat": 1,
            "offset": 0,
            "session": {},
            "state": "running" if self.next_attempt else "done",
            "error": "",
            "counts": counts,
            "resumable": True,
            "binaries": {},
            "provenance": {"from": "the model"},
            "added_at": 1.0,
            "ended_at": None,
        }

    def _publish(self, kind, position, **data):
        attempt = self.running[position]
        told = {"run": run_id(JOB, position, attempt), "job": JOB, "position": position}
        self.bulletin.publish(kind, told | {"variant": position, "attempt": attempt} | data)

    def tampered(self, notices):
        dropped, doubled = self.lies
        for notice in notices:
            of_runs = notice.kind.startswith("run.") and notice.kind is not EventKind.RUN_EVENT
            if of_runs and self._random.random() < dropped:
                continue
            yield notice
            if of_runs and self._random.random() < doubled:
                yield notice

    # What it answers.

    async def handle_async_request(self, request):
        await asyncio.sleep(0)  # as a real one, it takes its time
        if self.down:
            raise httpx.ConnectError("refused")
        path = request.url.path.removeprefix("/v1/")
        if path == "events":
            return self._events(request)
        if path == "jobs":
            await self.prompt.wait()
        if path == "attempts":
            return httpx.Response(200, json=self._attempts(int(request.url.params["after"])))
        if (match := re.fullmatch(rf"runs/{JOB}-(\d+)-(\d+)", path)) is not None:
            return httpx.Response(200, json=self._run(int(match[1]), int(match[2])))
        answers = {
            "status": {"state": "working", "version": "0", "pid": 1, "started_at": 0.0}
            | {"fleet": None, "machines": {}, "hosts": {}, "jobs": {}, "problems": []}
            | {"counts": self.job["counts"], "console_bytes": 0},
            "jobs": self.job,
            f"jobs/{JOB}": self.job,
            f"jobs/{JOB}/document": self.document,
        }
        return httpx.Response(200, json=answers[path])

    def _attempts(self, after):
        behind = [each for each in self.kept if each["sequence"] > after]
        page = behind[: self.page]
        more = len(behind) > len(page)
        return Page(items=page, next=str(page[-1]["sequence"]) if more else None).model_dump()

    def _run(self, position, attempt):
        state = "running" if self.running.get(position) == attempt else "waiting"
        run = Run(
            id=run_id(JOB, position, attempt),
            job=JOB,
            position=position,
            variant=position,
            attempt=attempt,
            state=state,
            target=None,
            parameters=None,
            ended=None,
            attempts=[],
        )
        return run.model_dump()

    def _events(self, request):
        kinds = request.url.params.get_list("kind")
        subscription = self.bulletin.subscribe(
            request.headers.get("Last-Event-ID"),
            [EventKind(kind) for kind in kinds],
            run_events=EventKind.RUN_EVENT in kinds,
        )
        stream = _Stream(self, subscription)
        self._streams.add(stream)
        headers = {"Content-Type": "text/event-stream"}
        return httpx.Response(200, headers=headers, stream=stream)

    def left(self, stream):
        self._streams.discard(stream)


class _Stream(httpx.AsyncByteStream):
    def __init__(self, daemon, subscription):
        self._daemon, self._subscription = daemon, subscription
        self._cut = False

    def cut(self):
        self._cut = True
        self._subscription.close()

    async def __aiter__(self):
        while batch := await self._subscription.batch():
            if self._cut:
                break
            for notice in self._daemon.tampered(batch):
                yield f"id: {notice.id}\nevent: {notice.kind}\ndata: {notice.json}\n\n".encode()
        raise httpx.ReadError("cut")

    async def aclose(self):
        self._subscription.close()
        self._daemon.left(self)
