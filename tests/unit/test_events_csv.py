"""The CSV file has one whole row for each activation, whatever happened before."""

import csv
import logging
import os
import resource
import signal
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from values import FakeVariant, activation, finished, outcome, run

from taskgen.errors import ConfigError, HostError
from taskgen.events.csv import COLUMNS, CsvHandler
from taskgen.interfaces import FailureClass


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
    assert list(first) == [*COLUMNS, "1.period"]
    told = {
        "run_id": "job-3-2",
        "job_id": "job",
        "variant": "3",
        "attempt": "2",
        "target": "taskgen-1",
        "result": "ok",
        "started_at": "1700000000.25",
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
        "rows": "2",
        "schema": "2",
        "taskset": "Fake",
        "taskset_sha256": "ab" * 32,
        "seed": "7",
        "profile": "linux-x86_64",
        "accelerator": "tcg",
        "emulated": "true",
        "icount": "false",
        "binaries": "hey=1234 pi=5678",
        "runs_since_boot": "4",
        "host_cores": "2.0",
        "fleet_vcpus": "3",
        "cpus_overcommitted": "true",
        "memory_overcommitted": "false",
        "pinned_cpus": "0-1",
        "vcpu_wait_ms": "12.5",
        "host_steal_share": "0.25",
        "1.period": "20",
    }
    assert {name: first[name] for name in told} == told
    assert len(first["description_sha256"]) == 64
    assert second["activation"] == "2"


def test_what_a_guest_does_not_tell_is_empty(tmp_path):
    path = tmp_path / "events.csv"
    open_one = activation(start_us=None, end_us=None, cpu_us=None, deadline_us=None, exit="")
    write(path, run(outcome=outcome(activations=(open_one,))))
    (row,) = rows(path)
    names = ("start_us", "end_us", "cpu_us", "missed", "response_us", "emulated", "seed", "qemu")
    assert {row[key] for key in names} == {""}


def test_activations_of_a_failed_attempt_are_marked(tmp_path):
    path = tmp_path / "events.csv"
    write(path, finished(failure=FailureClass.GUEST))
    assert {row["result"] for row in rows(path)} == {"guest"}


def test_a_file_that_exists_is_appended_to(tmp_path):
    path = tmp_path / "events.csv"
    write(path, finished(0))
    write(path, finished(1))
    assert [row["variant"] for row in rows(path)] == ["0", "0", "1", "1"]


def test_a_handler_can_be_used_again_after_it_was_closed(tmp_path):
    path = tmp_path / "events.csv"
    handler = write(path, finished(0))
    handler.on_finish(finished(0))
    handler.on_finish(finished(1))
    handler.close()
    assert [row["variant"] for row in rows(path)] == ["0", "0", "1", "1"]
    assert handler.repeats == 1


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


@pytest.mark.parametrize("same_handler", [True, False])
def test_a_run_that_is_told_again_is_not_written_again(tmp_path, same_handler):
    path = tmp_path / "events.csv"
    runs = [finished(n, parameters={"1.config.arg1": 'a "b", c'}) for n in range(3)]
    if same_handler:
        assert write(path, *runs, *runs).repeats == 3
    else:
        write(path, *runs)
        assert write(path, *runs).repeats == 3
    assert [row["run_id"] for row in rows(path)] == [each.id for each in runs for _ in range(2)]


def test_a_run_id_with_any_character_is_recognised(tmp_path):
    path = tmp_path / "events.csv"
    odd = finished(0, id='a,"b"\nü')
    write(path, odd)
    assert write(path, odd, finished(1)).repeats == 0  # a line break is kept as \n
    plain = finished(2, id='a,"b" ü')
    write(path, plain)
    assert write(path, plain).repeats == 1


def test_cut_at_any_byte_of_the_last_run_it_is_there_once_and_whole_in_the_end(tmp_path, caplog):
    path = tmp_path / "events.csv"
    first, last = finished(0), finished(1, parameters={"1.period": 5}, activations=3)
    write(path, first, finished(9, parameters={"1.period": 4}))
    before = path.stat().st_size
    write(path, last)
    whole = path.read_bytes()
    wanted = rows(path)
    for size in range(before, len(whole) + 1):
        path.write_bytes(whole[:size])
        caplog.clear()
        handler = write(path, last)
        assert rows(path) == wanted, size
        assert handler.repeats == (size == len(whole))
        lines = whole[before:size].count(b"\n")
        assert (f"{lines} of its 3 rows are cut off" in caplog.text) == (0 < lines < 3)


@pytest.mark.parametrize("size", range(0, len(",".join(COLUMNS)) + 1, 7))
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
    write(path, finished(0), finished(1, parameters={"1.config.arg1": "x" * 9000}))
    path.write_bytes(path.read_bytes()[:-5])
    write(path, finished(2))
    assert [(row["variant"], len(row["1.config.arg1"])) for row in rows(path)] == [
        ("0", 0),
        ("0", 0),
        ("2", 0),
        ("2", 0),
    ]


def test_nobody_else_can_write_to_the_file_meanwhile(tmp_path):
    path = tmp_path / "events.csv"
    one, other = CsvHandler(path), CsvHandler(path)
    one.on_finish(finished(0))
    with pytest.raises(HostError, match="somebody else writes to it"):
        other.on_finish(finished(1))
    one.on_finish(finished(2, parameters={"1.period": 3}))  # puts another file into its place
    with pytest.raises(HostError, match="somebody else writes to it"):
        other.on_finish(finished(1))
    one.close()
    other.on_finish(finished(1))
    other.close()
    assert [row["variant"] for row in rows(path)] == ["0", "0", "2", "2", "1", "1"]


def test_a_full_disk_leaves_whole_runs_only(tmp_path):
    """In a process of its own, as its limit on the size of files cannot be raised again."""
    path = tmp_path / "events.csv"
    write(path, finished(0))
    limit = path.stat().st_size + 100
    code = f"""
import resource, signal, sys
sys.path.insert(0, {os.path.dirname(os.path.dirname(__file__))!r})
from taskgen.events.csv import CsvHandler
from values import finished
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
handler = CsvHandler({str(path)!r})
try:
    handler.on_finish(finished(1))
except OSError:
    handler.close()
    sys.exit(7)
"""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    assert signal.getsignal(signal.SIGXFSZ) is not None
    ended = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert ended.returncode == 7
    assert [row["variant"] for row in rows(path)] == ["0", "0"]
    assert path.read_bytes().endswith(b"\n")


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=3),
    cuts=st.lists(st.integers(0, 400), max_size=3),
)
def test_whatever_values_hold_rows_are_read_back(tmp_path_factory, texts, cuts):
    path = tmp_path_factory.mktemp("csv") / "events.csv"
    runs = [
        run(
            number,
            variant=FakeVariant(number, {"1.config.text": text}),
            outcome=outcome(activations=(activation(pkg=text), activation(number=2, pkg="x"))),
        )
        for number, text in enumerate(texts)
    ]
    write(path, *runs)
    for cut in cuts:
        whole = path.read_bytes()
        path.write_bytes(whole[: max(0, len(whole) - cut)])
        logging.disable()
        try:
            write(path, *runs)
        finally:
            logging.disable(logging.NOTSET)
    found = {(row["variant"], row["activation"]): row for row in rows(path)}
    assert len(found) == len(rows(path)) == 2 * len(texts)
    for number, text in enumerate(texts):
        shown = text.replace("\n", "\\n").replace("\r", "\\r")
        assert found[str(number), "1"]["pkg"] == shown
        assert found[str(number), "2"]["1.config.text"] == shown
