"""The database has each run once, in one transaction, with all that is known of it."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from values import FakeVariant, activation, finished, outcome, run

from taskgen.errors import ConfigError
from taskgen.events.sqlite import PRUNE_EVERY, SqliteHandler
from taskgen.interfaces import FailureClass
from taskgen.results.prune import Retention
from taskgen.results.rows import COLUMNS


def write(path, *runs, **options):
    handler = SqliteHandler(path, **options)
    for each in runs:
        handler.on_finish(each)
    handler.close()
    return handler


def ask(path, sql, *values):
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(sql, values)]


def count(path, table):
    return ask(path, f"SELECT count(*) AS n FROM {table}")[0]["n"]


def test_there_is_a_row_for_each_activation(tmp_path):
    path = tmp_path / "results.db"
    write(path, finished(3, 2, {"1.period": 20, "1.config.arg1": "x"}))
    first, second = ask(path, "SELECT * FROM activations ORDER BY activation")
    assert set(first) == set(COLUMNS) - {"rows"}
    told = {
        "run_id": "job-3-2",
        "variant": 3,
        "attempt": 2,
        "result": "ok",
        "pkg": "hey",
        "response_us": 1000,
        "missed": 0,
        "taskset_sha256": "ab" * 32,
        "seed": 7,
        "accelerator": "tcg",
        "emulated": 1,
        "icount": 0,
        "binaries": "hey=1234 pi=5678",
        "runs_since_boot": 4,
        "host_cores": 2.0,
        "fleet_vcpus": 3,
        "cpus_overcommitted": 1,
        "memory_overcommitted": 0,
        "pinned_cpus": "0-1",
        "vcpu_wait_ms": 12.5,
        "host_steal_share": 0.25,
        "schema": 2,
    }
    assert {name: first[name] for name in told} == told
    assert second["activation"] == 2
    assert ask(path, "SELECT name, value FROM parameter ORDER BY name") == [
        {"name": "1.config.arg1", "value": "x"},
        {"name": "1.period", "value": 20},
    ]
    assert ask(path, "SELECT more FROM conditions") == [{"more": '{"reset": "clear"}'}]


def test_conditions_are_stored_once(tmp_path):
    path = tmp_path / "results.db"
    write(path, *(finished(n) for n in range(5)))
    write(path, finished(7, provenance={"seed": 8}))
    assert (count(path, "run"), count(path, "conditions")) == (6, 2)


def test_a_run_that_is_told_again_is_not_written_again(tmp_path):
    path = tmp_path / "results.db"
    assert write(path, finished(0), finished(0)).repeats == 1
    assert write(path, finished(0), finished(1)).repeats == 1
    assert (count(path, "run"), count(path, "activation")) == (2, 4)


def test_failures_and_what_was_given_up_are_marked(tmp_path):
    path = tmp_path / "results.db"
    handler = SqliteHandler(path)
    bad = finished(0, 2, failure=FailureClass.TASK, activations=0)
    handler.on_finish(finished(0, 1, failure=FailureClass.GUEST))
    handler.on_finish(bad)
    handler.on_bad(bad, [])
    handler.on_bad(bad, [])
    handler.close()
    assert ask(path, "SELECT result, given_up FROM run ORDER BY attempt") == [
        {"result": "guest", "given_up": 0},
        {"result": "task", "given_up": 1},
    ]


def test_a_run_that_cannot_be_written_leaves_nothing(tmp_path):
    path = tmp_path / "results.db"
    handler = SqliteHandler(path)
    twice = outcome(activations=(activation(), activation()))  # one activation cannot be twice
    with pytest.raises(sqlite3.IntegrityError):
        handler.on_finish(run(0, outcome=twice, provenance={"seed": 99}))
    handler.on_finish(finished(1))
    handler.close()
    assert [count(path, t) for t in ("run", "activation", "conditions")] == [1, 2, 1]


def test_numbers_beyond_64_bits_are_kept(tmp_path):
    path = tmp_path / "results.db"
    large = 10**30
    write(
        path,
        run(
            variant=FakeVariant(
                large, {"1.config.arg1": large, "1.config.list": [1, 2], "b": True}
            ),
            provenance={"seed": large},
            outcome=outcome(activations=(activation(end_us=10**21),)),
        ),
    )
    assert ask(path, "SELECT variant, seed, end_us FROM activations") == [
        {"variant": str(large), "seed": str(large), "end_us": 1e21}
    ]
    assert [row["value"] for row in ask(path, "SELECT value FROM parameter ORDER BY name")] == [
        str(large),
        "[1, 2]",
        "true",
    ]


@pytest.mark.parametrize("content", [b"my thesis" * 200, b"x"])
def test_a_file_of_something_else_is_left_alone(tmp_path, content):
    path = tmp_path / "thesis.txt"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"thesis\.txt: exists, and is not a database"):
        SqliteHandler(path)
    assert path.read_bytes() == content


def test_somebody_elses_database_is_left_alone(tmp_path):
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE thesis (page)")
    with pytest.raises(ConfigError, match="is not a database of results"):
        SqliteHandler(path)


def test_a_directory_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="cannot be written: No such file"):
        SqliteHandler(tmp_path / "missing" / "results.db")


def test_nothing_is_made_before_there_is_a_result(tmp_path):
    SqliteHandler(tmp_path / "results.db").close()
    assert list(tmp_path.iterdir()) == []


def test_several_may_write_to_one_database(tmp_path):
    path = tmp_path / "results.db"
    errors = []

    def work(first):
        try:
            write(path, *(finished(n) for n in range(first, first + 40)))
        except Exception as error:  # noqa: BLE001 - asserted below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in (0, 20, 40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert (count(path, "run"), count(path, "activation")) == (80, 160)


def test_killed_at_any_moment_it_has_whole_runs_only(tmp_path):
    path = tmp_path / "results.db"
    code = f"""
import sys
sys.path.insert(0, {os.path.dirname(os.path.dirname(__file__))!r})
from values import finished
from taskgen.events.sqlite import SqliteHandler
handler = SqliteHandler({str(path)!r})
number = int(sys.argv[1])
while True:
    handler.on_finish(finished(number, activations=50))
    number += 1
    print(number, flush=True)
"""
    told = 0
    for after in (1, 7, 30):
        with subprocess.Popen(
            [sys.executable, "-c", code, str(told)], stdout=subprocess.PIPE, text=True
        ) as process:
            for _ in range(after):
                told = int(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
            told = max([told, *(int(line) for line in process.stdout.read().split())])
    runs = ask(path, "SELECT run, count(*) AS n FROM activation GROUP BY run")
    assert {row["n"] for row in runs} == {50}
    assert told <= len(runs) == count(path, "run")  # what was told as written is there


def test_what_need_not_be_kept_goes_by_itself(tmp_path):
    path = tmp_path / "results.db"
    handler = SqliteHandler(path, retention=Retention(runs=10))
    for number in range(PRUNE_EVERY + 1):
        handler.on_finish(finished(number, activations=1))
    handler.close()
    assert count(path, "run") == count(path, "activation") == 10
    assert count(path, "conditions") == 1


@settings(max_examples=30, deadline=None)
@given(
    text=st.text(st.characters(exclude_categories=["Cs"])),
    numbers=st.lists(
        st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), min_size=4, max_size=4
    ),
)
def test_whatever_values_hold_rows_are_read_back(tmp_path_factory, text, numbers):
    path = tmp_path_factory.mktemp("sqlite") / "results.db"
    start, end, deadline, cpu = numbers
    one = activation(
        pkg=text, release_us=0, start_us=start, end_us=end, deadline_us=deadline, cpu_us=cpu
    )
    write(path, run(variant=FakeVariant(0, {"p": text}), outcome=outcome(activations=(one,))))
    (row,) = ask(path, "SELECT * FROM activations")
    assert [row[n] for n in ("start_us", "end_us", "deadline_us", "cpu_us")] == numbers
    assert row["pkg"] == text
    assert row["missed"] == (None if one.missed is None else int(one.missed))
    assert ask(path, "SELECT value FROM parameter") == [{"value": text}]
