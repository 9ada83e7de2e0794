"""Handlers are made of what users hand over; monitors of the prototypes see what they used to."""

import pickle
import subprocess
import sys

import pytest
from values import FakeVariant, event, outcome, run, task

import taskgen.events
from taskgen.errors import ConfigError
from taskgen.events import EventHandler, adapt, adapt_all
from taskgen.events.adapter import HandlerGroup
from taskgen.events.csv import CsvHandler
from taskgen.events.legacy import LegacyMonitor, LegacyTaskSet
from taskgen.events.logging import LoggingHandler, LoggingMonitor
from taskgen.interfaces import FailureClass

VARIANT = FakeVariant(
    5, {"1.period": 10}, (task(1, config={"arg1": 4}, deadline=None), task(2, pkg="pi"))
)


class Monitor:
    """As the users wrote them: the form with one argument."""

    def __init__(self):
        self.calls = []

    def __taskset_start__(self, taskset):
        self.calls.append(("start", taskset))

    def __taskset_event__(self, taskset):
        jobs = [(job.start_date, job.end_date) for t in taskset for job in t.jobs]
        self.calls.append(("event", jobs))

    def __taskset_finish__(self, taskset):
        self.calls.append(("finish", taskset))

    def __taskset_stop__(self, taskset):
        self.calls.append(("stop", taskset))
        for each in taskset:  # the last prototypes' monitors did that
            each["jobs"] = {}

    @property
    def names(self):
        return [name for name, _ in self.calls]


class EventMonitor:
    """The form whose event hook takes the event too, and whose answer meant to go on or not."""

    def __init__(self):
        self.types = {}

    def __taskset_event__(self, taskset, event):
        for each in event["profile"]["events"]["event"]:
            found = next(t for t in taskset if t.id == int(each["@task-id"]))
            found.events[each["@type"]] = int(each["@time-stamp"])
            self.types.setdefault(found.id, []).append(each["@type"])
        return False


EVENTS = (
    event("START", 1, 100_000),
    event("EXIT", 1, 103_000),
    event("NOT_SCHEDULED", 2, 104_000),
    event("EXIT_PERIOD", 1, 200_000),  # without a start
    event("JOBS_DONE", 1, 200_000),
)


def drive(handler, failure=None, events=EVENTS):
    one = run(5, variant=VARIANT)
    handler.on_start(one)
    for each in events:
        handler.on_event(one, each)
    ended = run(5, variant=VARIANT, outcome=outcome(failure, events=events))
    handler.on_finish(ended)
    return ended


def test_a_monitor_sees_its_task_set_fill_up():
    monitor = Monitor()
    drive(adapt(monitor))
    assert monitor.names == ["start", *["event"] * 5, "finish"]
    assert monitor.calls[1][1] == [(100, None)]
    assert monitor.calls[2][1] == [(100, 103)]
    taskset = monitor.calls[-1][1]
    assert taskset is monitor.calls[0][1]
    first, second = taskset
    assert (first.id, first["pkg"], first["config"]["arg1"], first["deadline"]) == (
        1,
        "hey",
        4,
        None,
    )
    assert [(j.start_date, j.end_date, j.exit_value) for j in first.jobs] == [
        (100, 103, "EXIT"),
        (None, 200, "EXIT_PERIOD"),
    ]
    assert second["jobs"] == {1: (104, 104, "NOT_SCHEDULED")}
    assert first.events == {"START": 100, "EXIT": 103, "EXIT_PERIOD": 200, "JOBS_DONE": 200}
    assert taskset.binaries() == {"hey", "pi"}
    assert [each["id"] for each in taskset.description()] == [1, 2]
    assert taskset.run.outcome is not None
    with pytest.raises(KeyError):
        first["nothing"]


def test_a_monitor_may_change_its_task_set_and_nothing_of_ours():
    monitor = Monitor()
    drive(adapt(monitor))
    monitor.calls[-1][1][0]["config"]["arg1"] = "changed"
    assert VARIANT.tasks[0]["config"]["arg1"] == 4


def test_events_come_as_the_dictionaries_that_they_used_to_be_and_the_answer_is_ignored():
    monitor = EventMonitor()
    drive(adapt(monitor))  # it has no other hooks
    assert monitor.types == {
        1: ["START", "EXIT", "EXIT_PERIOD", "JOBS_DONE"],
        2: ["NOT_SCHEDULED"],
    }


def test_the_number_of_arguments_decides_also_with_defaults_and_stars():
    seen = []

    class Stars:
        def __taskset_event__(self, *arguments):
            seen.append(len(arguments))

    class Default:
        def __taskset_event__(self, taskset, event=None):
            seen.append(event is not None)

    drive(adapt(Stars()), events=EVENTS[:1])
    drive(adapt(Default()), events=EVENTS[:1])
    assert seen == [2, True]


def test_a_failed_attempt_is_a_stop_and_what_is_given_up_is_bad():
    bad = []

    class WithBad(Monitor):
        def __taskset_bad__(self, taskset, n):
            bad.append((n, [task["jobs"] for task in taskset]))

    monitor = WithBad()
    handler = adapt(monitor)
    ended = drive(handler, FailureClass.TASK)
    assert monitor.names[-1] == "stop"
    handler.on_bad(ended, [ended.outcome, ended.outcome])
    # Although the monitor has emptied its task-set in the meantime.
    assert bad[0][0] == 2
    assert bad[0][1][0] == {1: (100, 103, "EXIT"), 2: (None, 200, "EXIT_PERIOD")}


def test_a_run_that_is_stopped_shows_what_was_seen_of_it():
    monitor = Monitor()
    handler = adapt(monitor)
    one = run(variant=VARIANT)
    handler.on_start(one)
    handler.on_event(one, EVENTS[0])
    handler.on_stop(one, "cancelled")
    assert monitor.names == ["start", "event", "stop"]
    assert monitor.calls[1][1] == [(100, None)]


def test_nothing_is_kept_of_runs_that_are_over():
    handler = LegacyMonitor(Monitor())
    for failure in (None, FailureClass.TASK):
        handler.on_bad(drive(handler, failure), [])
    handler.on_stop(run(variant=VARIANT), "x")
    assert handler._open == {}


def test_events_that_a_slow_monitor_missed_are_there_at_the_end():
    monitor = Monitor()
    handler = adapt(monitor)
    handler.on_finish(run(variant=VARIANT, outcome=outcome(events=EVENTS)))
    assert [len(task.jobs) for task in monitor.calls[0][1]] == [2, 1]


def test_a_legacy_task_set_is_a_list_and_can_be_stored():
    taskset = LegacyTaskSet(run(variant=VARIANT))
    taskset.note(EVENTS[0])
    assert isinstance(taskset, list)
    again = pickle.loads(pickle.dumps(list(taskset)))
    assert again[0].jobs[0].start_date == 100
    assert "pkg" in str(again[0])


def test_handlers_lists_and_monitors_are_adapted(tmp_path):
    handler, monitor = CsvHandler(tmp_path / "a.csv"), Monitor()
    assert adapt(handler) is handler
    assert adapt([handler]) is handler
    group = adapt([handler, [monitor, handler]])
    assert isinstance(group, HandlerGroup)
    assert [type(each) for each in group.handlers] == [CsvHandler, LegacyMonitor]
    assert group.name == f"CsvHandler({tmp_path}/a.csv), Monitor"
    assert adapt_all(group, monitor, handler)[0] is handler
    assert len(adapt_all(group, monitor, handler)) == 2
    assert adapt_all() == ()
    assert LoggingMonitor is LoggingHandler


def test_a_group_tells_all_also_when_one_fails():
    class Broken(EventHandler):
        def on_finish(self, run):
            raise ValueError("ouch")

    monitor = Monitor()
    group = HandlerGroup([Broken(), LegacyMonitor(monitor)])
    assert group.wants_events
    with pytest.raises(ExceptionGroup, match="1 of 2 handlers failed"):
        drive(group)
    assert monitor.names[-1] == "finish"


@pytest.mark.parametrize(
    ("thing", "said"),
    [
        ("events.csv", r"'events\.csv': not an event handler \(for a file"),
        ({"optimize": {}}, "a dictionary is session parameters"),
        (print, "put it into a class derived from"),
        (lambda run: None, "put it into a class"),
        (None, "None: not an event handler"),
        (42, "derive its class"),
        (CsvHandler, r"CsvHandler: a class is not a handler \(make one: CsvHandler"),
        (Monitor, "Monitor: a class is not a handler"),
        ([Monitor(), 3], "3: not an event handler"),
        ("x" * 200, "…: not an event"),
    ],
)
def test_anything_else_is_refused_with_what_to_give_instead(thing, said):
    with pytest.raises(ConfigError, match=said):
        adapt(thing)


def test_the_package_has_what_its_page_says():
    assert taskgen.events.EventHandler is EventHandler
    with pytest.raises(AttributeError, match="nothing"):
        _ = taskgen.events.nothing
    # A module of ours with a name of the standard library is no reason for confusion.
    code = (
        "import logging, csv, taskgen.events.logging as a, taskgen.events.csv as b;"
        "print(logging.INFO, csv.QUOTE_ALL, a.LoggingHandler.__name__, b.CsvHandler.__name__)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["20", "1", "LoggingHandler", "CsvHandler"]
