"""The CSV file has one whole row for each activation, whatever happened before."""

import csv

import pytest
from values import FakeVariant, activation, outcome, run

from taskgen.errors import ConfigError
from taskgen.events.csv import COLUMNS, CsvHandler
from taskgen.interfaces import FailureClass


def finished(index=0, attempt=1, parameters=None, failure=None, activations=2):
    rows = tuple(activation(number=n + 1) for n in range(activations))
    return run(
        index,
        attempt,
        variant=FakeVariant(index, parameters or {}),
        outcome=outcome(failure, activations=rows),
    )


def write(path, *runs):
    handler = CsvHandler(path)
    for each in runs:
        handler.on_finish(each)
    handler.close()
    return handler


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_each_activation_is_a_row_with_times_relative_to_start(tmp_path):
    path = tmp_path / "events.csv"
    assert write(path, finished(3, 2, {"1.period": 20})).rows == 2
    first, second = rows(path)
    assert first == {
        "run_id": "job-3-2",
        "variant": "3",
        "attempt": "2",
        "target": "taskgen-1",
        "result": "ok",
        "task_id": "1",
        "pkg": "hey",
        "activation": "1",
        "release_us": "100000",
        "start_us": "100050",
        "end_us": "101000",
        "deadline_us": "200000",
        "cpu_us": "900",
        "response_us": "1000",
        "missed": "false",
        "exit": "EXIT",
        "1.period": "20",
    }
    assert second["activation"] == "2"


def test_what_a_guest_does_not_tell_is_empty(tmp_path):
    path = tmp_path / "events.csv"
    open_one = activation(start_us=None, end_us=None, cpu_us=None, deadline_us=None, exit="")
    write(path, run(outcome=outcome(activations=(open_one,))))
    (row,) = rows(path)
    assert {row[key] for key in ("start_us", "end_us", "cpu_us", "missed", "response_us")} == {""}


def test_activations_of_a_failed_attempt_are_marked(tmp_path):
    path = tmp_path / "events.csv"
    write(path, finished(failure=FailureClass.GUEST))
    assert {row["result"] for row in rows(path)} == {"guest"}


def test_a_file_that_exists_is_appended_to(tmp_path):
    path = tmp_path / "events.csv"
    write(path, finished(0))
    write(path, finished(1))
    assert [row["variant"] for row in rows(path)] == ["0", "0", "1", "1"]


def test_new_parameters_widen_the_file_and_keep_what_is_there(tmp_path):
    path = tmp_path / "events.csv"
    path.touch(mode=0o640)
    write(path, finished(0), finished(1, parameters={"1.period": 5}))
    write(path, finished(2, parameters={"2.config.arg1": "a,b\nc"}))
    assert [(row["1.period"], row["2.config.arg1"]) for row in rows(path)] == [
        *[("", "")] * 2,
        *[("5", "")] * 2,
        *[("", "a,b\\nc")] * 2,
    ]
    assert path.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["events.csv"]


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_row_is_cut_off_at_the_next_start(tmp_path, cut):
    path = tmp_path / "events.csv"
    write(path, finished(0))
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    write(path, finished(1))
    found = rows(path)
    assert [row["variant"] for row in found] == ["0", "1", "1"]
    assert all(row["exit"] == "EXIT" for row in found)


@pytest.mark.parametrize("size", [0, 1, 10])
def test_a_torn_header_is_written_anew(tmp_path, size):
    path = tmp_path / "events.csv"
    path.write_text(",".join(COLUMNS)[:size])
    write(path, finished())
    assert len(rows(path)) == 2


@pytest.mark.parametrize("content", ["a,b,c\n1,2,3\n", "my thesis", "\n"])
def test_a_file_of_something_else_is_left_alone(tmp_path, content):
    path = tmp_path / "thesis.txt"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"thesis\.txt: exists, and is not"):
        CsvHandler(path)
    assert path.read_text() == content


def test_a_directory_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="cannot be written: No such file"):
        CsvHandler(tmp_path / "missing" / "events.csv")


def test_a_row_longer_than_a_read_step_is_found_again(tmp_path):
    path = tmp_path / "events.csv"
    write(path, finished(parameters={"1.config.arg1": "x" * 9000}))
    path.write_bytes(path.read_bytes()[:-5])
    write(path, finished(1))
    assert [len(row["1.config.arg1"]) for row in rows(path)] == [9000, 0, 0]
