"""A handler is told everything in order, and can neither stop nor delay a run."""

import logging
import threading

from values import event, outcome, run

from taskgen.events.dispatch import Dispatcher
from taskgen.events.handler import EventHandler


class Recorder(EventHandler):
    def __init__(self):
        self.calls = []
        self.threads = set()

    def _note(self, *call):
        self.calls.append(call)
        self.threads.add(threading.current_thread())

    def on_start(self, run):
        self._note("start", run.id)

    def on_event(self, run, event):
        self._note("event", event.type)

    def on_finish(self, run):
        self._note("finish", run.id)

    def on_stop(self, run, reason):
        self._note("stop", reason)

    def on_bad(self, run, attempts):
        self._note("bad", len(attempts))

    def close(self):
        self._note("close")


def test_hooks_are_called_in_order_from_one_other_thread():
    recorder = Recorder()
    dispatcher = Dispatcher(recorder)
    dispatcher.on_start(run())
    dispatcher.on_event(run(), event("EXIT"))
    dispatcher.on_finish(run(outcome=outcome()))
    dispatcher.on_bad(run(), [outcome()])
    dispatcher.on_stop(run(), "why not")
    dispatcher.close()
    assert [call[0] for call in recorder.calls] == [
        "start",
        "event",
        "finish",
        "bad",
        "stop",
        "close",
    ]
    assert len(recorder.threads) == 1
    assert threading.current_thread() not in recorder.threads


def test_a_hook_that_raises_is_reported_and_the_next_is_called(caplog):
    class Broken(Recorder):
        def on_start(self, run):
            raise ValueError("ouch")

    broken = Broken()
    dispatcher = Dispatcher(broken)
    with caplog.at_level(logging.ERROR):
        dispatcher.on_start(run())
        dispatcher.on_finish(run(outcome=outcome()))
        dispatcher.close()
    assert [call[0] for call in broken.calls] == ["finish", "close"]
    assert dispatcher.failed == 1
    assert "handler Broken failed in on_start" in caplog.text
    assert "ouch" in caplog.text


def test_what_a_slow_handler_misses_is_counted_and_told(caplog):
    go = threading.Event()

    class Slow(Recorder):
        def on_start(self, run):
            go.wait(60)
            super().on_start(run)

    slow = Slow()
    dispatcher = Dispatcher(slow, backlog=2)
    for _ in range(10):
        dispatcher.on_start(run())
    go.set()
    dispatcher.close()
    told = sum(call[0] == "start" for call in slow.calls)
    assert told + dispatcher.missed == 10
    assert dispatcher.missed >= 7
    assert f"missed {dispatcher.missed} calls" in caplog.text


def test_a_handler_without_hooks_is_no_burden():
    dispatcher = Dispatcher(EventHandler(), backlog=1)
    for _ in range(100):
        dispatcher.on_event(run(), event("EXIT"))
    dispatcher.close()
    assert dispatcher.missed == 0
