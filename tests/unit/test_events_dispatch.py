"""A handler is told everything in order, and can neither stop nor delay a run."""

import logging
import threading
import time

import pytest
from values import activation, event, finished, outcome, run

from taskgen.events.dispatch import Dispatcher
from taskgen.events.handler import EventHandler

LIMIT_S = 60  # for what must happen at once, on a busy machine


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
        self._note("stop", run.id, reason)

    def on_bad(self, run, attempts):
        self._note("bad", len(attempts))

    def close(self):
        self._note("close")

    @property
    def names(self):
        return [call[0] for call in self.calls]


class Held(Recorder):
    """Waits in ``on_start`` until it is let go."""

    def __init__(self):
        super().__init__()
        self.entered = threading.Event()
        self.go = threading.Event()

    def on_start(self, run):
        self.entered.set()
        self.go.wait(LIMIT_S)
        super().on_start(run)


@pytest.fixture
def held():
    handler = Held()
    yield handler
    handler.go.set()


def test_hooks_are_called_in_order_from_one_other_thread():
    recorder = Recorder()
    dispatcher = Dispatcher(recorder)
    dispatcher.on_start(run())
    dispatcher.on_event(run(), event("EXIT"))
    dispatcher.on_finish(run(outcome=outcome()))
    dispatcher.on_bad(run(), [outcome()])
    dispatcher.on_stop(run(), "why not")
    assert dispatcher.close()
    assert recorder.names == ["start", "event", "finish", "bad", "stop", "close"]
    assert len(recorder.threads) == 1
    assert threading.current_thread() not in recorder.threads
    assert dispatcher.report.lost == ""


@pytest.mark.parametrize("error", [ValueError("ouch"), SystemExit("ouch")])
def test_a_hook_that_raises_is_reported_and_the_next_is_called(caplog, error):
    class Broken(Recorder):
        def on_start(self, run):
            raise error

    broken = Broken()
    dispatcher = Dispatcher(broken)
    with caplog.at_level(logging.ERROR):
        dispatcher.on_start(run())
        dispatcher.on_finish(run(outcome=outcome()))
        assert dispatcher.close()
    assert broken.names == ["finish", "close"]
    assert dispatcher.failed == 1
    assert "handler Broken failed in on_start" in caplog.text
    assert "ouch" in caplog.text
    assert dispatcher.report.lost.startswith("handler Broken failed 1 times: on_start: ")


def test_a_handler_that_always_fails_does_not_fill_the_log(caplog):
    class Broken(EventHandler):
        def on_start(self, run):
            raise ValueError

    dispatcher = Dispatcher(Broken())
    for _ in range(150):
        dispatcher.on_start(run())
    dispatcher.close()
    assert dispatcher.failed == 150
    assert len(caplog.records) == 3  # at 1, 10 and 100


def test_what_a_slow_handler_misses_is_counted_and_told(caplog, held):
    dispatcher = Dispatcher(held, backlog=2)
    for _ in range(10):
        dispatcher.on_start(run())
    held.go.set()
    assert dispatcher.close()
    assert held.names.count("start") + dispatcher.missed == 10
    assert dispatcher.missed >= 7
    assert f"missed {dispatcher.missed} calls" in caplog.text
    assert dispatcher.report.missed == {"on_start": dispatcher.missed}


def test_single_events_are_missed_first_and_stops_never(held):
    dispatcher = Dispatcher(held, backlog=20)
    dispatcher.on_start(run())
    assert held.entered.wait(LIMIT_S)
    for _ in range(30):
        dispatcher.on_event(run(), event("EXIT"))
    for number in range(30):
        dispatcher.on_finish(run(number, outcome=outcome()))
    for number in range(30):
        dispatcher.on_stop(run(number), "cancelled")
    held.go.set()
    assert dispatcher.close()
    assert dispatcher.report.missed == {"on_event": 20, "on_finish": 20}
    assert [held.names.count(n) for n in ("event", "finish", "stop")] == [10, 10, 30]


def test_a_run_weighs_as_much_as_its_events(held):
    dispatcher = Dispatcher(held, backlog=100)
    dispatcher.on_start(run())
    assert held.entered.wait(LIMIT_S)
    heavy = outcome(events=tuple(event("EXIT") for _ in range(60)), activations=(activation(),))
    dispatcher.on_finish(run(1, outcome=heavy))
    dispatcher.on_finish(run(2, outcome=heavy))
    dispatcher.on_finish(run(3, outcome=outcome()))
    held.go.set()
    dispatcher.close()
    assert [call[1] for call in held.calls if call[0] == "finish"] == ["job-1-1", "job-3-1"]


def test_one_thing_too_heavy_for_the_room_still_goes_through():
    recorder = Recorder()
    dispatcher = Dispatcher(recorder, backlog=1)
    heavy = outcome(events=tuple(event("EXIT") for _ in range(60)))
    dispatcher.on_finish(run(outcome=heavy))
    dispatcher.close()
    assert recorder.names == ["finish", "close"]


def test_a_handler_without_hooks_is_no_burden():
    dispatcher = Dispatcher(EventHandler(), backlog=1)
    for _ in range(100):
        dispatcher.on_event(run(), event("EXIT"))
    dispatcher.close()
    assert dispatcher.missed == 0


def test_on_close_each_running_set_is_reported_before_it_returns():
    recorder = Recorder()
    dispatcher = Dispatcher(recorder)
    for number in range(4):
        dispatcher.on_start(run(number))
    dispatcher.on_finish(run(1, outcome=outcome()))
    dispatcher.on_stop(run(2), "cancelled")
    assert dispatcher.close()
    assert recorder.calls[-5:] == [
        ("finish", "job-1-1"),
        ("stop", "job-2-1", "cancelled"),
        ("stop", "job-0-1", "closed"),
        ("stop", "job-3-1", "closed"),
        ("close",),
    ]


def test_flush_waits_for_what_was_told_before():
    recorder = Recorder()
    dispatcher = Dispatcher(recorder)
    for number in range(100):
        dispatcher.on_start(run(number))
    dispatcher.stop_running("stopped")
    assert dispatcher.flush()
    assert recorder.names == ["start"] * 100 + ["stop"] * 100
    assert dispatcher.close()


def test_flush_gives_up_when_its_time_is_over(held):
    dispatcher = Dispatcher(held)
    dispatcher.on_start(run())
    assert not dispatcher.flush(timeout_s=0.02)
    held.go.set()
    assert dispatcher.flush()
    assert dispatcher.close()
    assert not dispatcher.flush()  # there is nobody any more


def test_a_hook_that_hangs_is_given_up_on_close_and_reported(caplog, held):
    dispatcher = Dispatcher(held, patience_s=0.05)
    dispatcher.on_start(run())
    dispatcher.on_finish(run(outcome=outcome()))
    began = time.monotonic()
    assert not dispatcher.close()
    assert time.monotonic() - began < LIMIT_S / 2
    assert dispatcher.report.abandoned
    assert dispatcher.report.missed == {"on_finish": 1}
    assert "handler Held was given up: on_start did not return in time" in caplog.text
    assert "was given up: on_start did not return" in dispatcher.report.lost
    dispatcher.on_finish(run(outcome=outcome()))  # counted, and harmless
    assert dispatcher.report.missed == {"on_finish": 2}
    held.go.set()
    thread = dispatcher._thread
    thread.join(LIMIT_S)
    assert not thread.is_alive()
    assert held.names == ["start"]  # it is told nothing any more, not even close


def test_a_handler_that_is_slow_but_gets_on_is_waited_for():
    class Slow(Recorder):
        def on_start(self, run):
            time.sleep(0.01)
            super().on_start(run)

    slow = Slow()
    dispatcher = Dispatcher(slow, patience_s=1.0)
    for number in range(120):
        dispatcher.on_start(run(number))
    assert dispatcher.close()  # 1.2 s in all, more than the patience
    assert slow.names.count("start") == 120


def test_a_hook_that_hangs_is_told_while_runs_go_on(caplog, held):
    dispatcher = Dispatcher(held, patience_s=0.01)
    dispatcher.on_start(run())
    assert held.entered.wait(LIMIT_S)
    deadline = time.monotonic() + LIMIT_S
    while "has not returned from on_start" not in caplog.text:
        assert time.monotonic() < deadline
        dispatcher.on_stop(run(), "again")
    assert dispatcher.report.busy_s > 0
    held.go.set()
    dispatcher.close(timeout_s=LIMIT_S)


def test_what_a_handler_has_is_acknowledged_and_what_failed_is_not():
    had = []

    class Picky(EventHandler):
        def on_finish(self, run):
            if run.variant.index == 1:
                raise ValueError

    dispatcher = Dispatcher(Picky(), delivered=lambda run: had.append(run.id))
    for number in range(3):
        dispatcher.on_finish(finished(number))
    dispatcher.close()
    assert had == ["job-0-1", "job-2-1"]


def test_calls_from_many_threads_all_arrive():
    recorder = Recorder()
    dispatcher = Dispatcher(recorder)

    def tell(number):
        for _ in range(500):
            dispatcher.on_event(run(number), event("EXIT"))

    threads = [threading.Thread(target=tell, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    dispatcher.close()
    assert recorder.names == ["event"] * 2000 + ["close"]
