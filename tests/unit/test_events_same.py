"""Every handler that keeps results keeps the same rows of the same runs, in the same words."""

import csv
import logging
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from values import CONDITIONS, FakeVariant, activation, event, outcome, run

from taskgen.events import adapt_all
from taskgen.events.csv import CsvHandler
from taskgen.events.dispatch import Dispatcher
from taskgen.events.jsonl import JsonlHandler, read
from taskgen.events.logging import LoggingHandler
from taskgen.events.parquet import ParquetHandler
from taskgen.events.sqlite import SqliteHandler
from taskgen.events.stdout import StdoutHandler
from taskgen.interfaces import FailureClass
from taskgen.results.rows import ACTIVATION_COLUMNS, COLUMNS, RUN_COLUMNS, rows

parquet = pytest.importorskip("pyarrow.parquet")

#: What all formats have; ``rows`` is no column of the database, which needs none to be whole.
SHARED = [name for name in COLUMNS if name != "rows"]

US = st.one_of(st.none(), st.integers(0, 10**12))
ACTIVATIONS = st.builds(
    activation,
    task_id=st.integers(0, 9),
    number=st.integers(1, 10**6),
    pkg=st.sampled_from(["hey", "pi", 'tüm,"x"']),
    release_us=st.integers(0, 10**12),
    start_us=US,
    end_us=US,
    deadline_us=US,
    cpu_us=US,
    exit=st.sampled_from(["EXIT", "EXIT_PERIOD", "EXIT_EXTERNAL", "NOT_SCHEDULED", ""]),
)
RUNS = st.lists(
    st.tuples(
        st.sampled_from([None, *FailureClass]),
        st.lists(ACTIVATIONS, max_size=4, unique_by=lambda a: (a.task_id, a.number)),
        st.dictionaries(st.sampled_from(["1.period", "2.config.arg1"]), st.integers(0, 99)),
        st.sampled_from([{}, CONDITIONS, {"accelerator": "kvm", "load": 0.5}]),
        st.sampled_from([{}, {"seed": 3, "taskset": "A"}, {"seed": "x", "taskset_sha256": "12"}]),
    ),
    max_size=4,
)

#: Columns in which SQLite has 0 and 1.
FLAGS = ("missed", "emulated", "icount", "cpus_overcommitted", "memory_overcommitted")


def text(value):
    """A cell as the CSV file has it; a database's flags are 0 and 1."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def cells(row, flags=()):
    return tuple(
        text(bool(row[name]) if name in flags and row[name] is not None else row[name])
        for name in SHARED
    )


def from_csv(path):
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [cells(row) for row in csv.DictReader(file)]


def from_jsonl(path):
    if not path.exists():
        return []
    found = []
    for data in read(path):
        conditions = dict(data["provenance"])
        conditions["binaries"] = " ".join(
            f"{n}={d}" for n, d in sorted(conditions["binaries"].items())
        )
        head = {name: data[name] for name in RUN_COLUMNS}
        for each in data["activations"]:
            assert set(each) == set(ACTIVATION_COLUMNS)
            found.append(cells({**conditions, **head, **each}))
    return found


def from_sqlite(path):
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return [cells(row, flags=FLAGS) for row in database.execute("SELECT * FROM activations")]


def from_parquet(path):
    return [cells(row) for row in parquet.read_table(path).to_pylist()] if path.exists() else []


@settings(max_examples=20, deadline=None)
@given(told=RUNS)
def test_every_handler_records_the_same_activations(tmp_path_factory, told):
    folder = tmp_path_factory.mktemp("same")
    names = ["a.csv", "a.jsonl", "a.db", "a.parquet"]
    kinds = [CsvHandler, JsonlHandler, SqliteHandler, ParquetHandler]
    readers = [from_csv, from_jsonl, from_sqlite, from_parquet]
    paths = [folder / name for name in names]
    handlers = [kind(path) for kind, path in zip(kinds, paths, strict=True)]
    dispatchers = [Dispatcher(handler) for handler in adapt_all(handlers)]
    wanted = []
    for number, (failure, activations, parameters, conditions, known) in enumerate(told):
        one = run(
            number,
            variant=FakeVariant(number, parameters),
            provenance=known,
            outcome=outcome(
                failure, activations=tuple(activations), started_at=1.5, provenance=conditions
            ),
        )
        wanted += [cells(dict(zip(COLUMNS, row, strict=True))) for row in rows(one)]
        for dispatcher in dispatchers:
            dispatcher.on_start(one)
            dispatcher.on_finish(one)
            dispatcher.on_finish(one)  # told again, as after a crash
    for dispatcher in dispatchers:
        assert dispatcher.close()
        assert dispatcher.report.lost == ""
    for reader, path in zip(readers, paths, strict=True):
        assert sorted(reader(path)) == sorted(wanted), path.name


def test_people_are_told_of_the_same_things(capsys, caplog):
    handlers = [StdoutHandler(), LoggingHandler()]
    one = run(3, variant=FakeVariant(3, {"1.period": 20}))
    good = run(3, outcome=outcome(activations=(activation(), activation(end_us=300_000))))
    bad = run(3, outcome=outcome(FailureClass.GUEST, reason="it hung"))
    with caplog.at_level(logging.DEBUG, "taskgen.runs"):
        for handler in handlers:
            handler.on_start(one)
            handler.on_event(one, event("EXIT", 1, 2500))
            handler.on_finish(good)
            handler.on_finish(bad)
            handler.on_stop(one, "cancelled")
            handler.on_bad(bad, [bad.outcome])
            handler.close()
    printed = capsys.readouterr().out.splitlines()
    assert printed == [
        "variant 3 attempt 1: start: 1.period=20",
        "variant 3 attempt 1: 2.500 ms  task 1  EXIT",
        "variant 3 attempt 1: done: 2 activations",
        "variant 3 attempt 1: failed (guest): it hung",
        "variant 3 attempt 1: stopped: cancelled",
        "variant 3 attempt 1: given up after 1 attempts: it hung",
    ]
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("DEBUG", "variant 3 attempt 1: start: 1.period=20"),
        ("DEBUG", "variant 3 attempt 1: 2.500 ms  task 1  EXIT"),
        ("INFO", "variant 3 attempt 1: done on taskgen-1: 2 activations, 1 deadlines missed"),
        ("WARNING", "variant 3 attempt 1: failed on taskgen-1 (guest): it hung"),
        ("INFO", "variant 3 attempt 1: stopped: cancelled"),
        ("ERROR", "variant 3 attempt 1: given up after 1 attempts: it hung"),
    ]
    assert caplog.records[0].run_id == "job-3-1"
