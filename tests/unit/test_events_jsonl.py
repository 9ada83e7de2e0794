"""A file of JSON lines has each run once, whole, with all that is known of it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from values import FakeVariant, activation, event, finished, outcome, run

from taskgen.errors import ConfigError, HostError
from taskgen.events.jsonl import JsonlHandler, read
from taskgen.interfaces import FailureClass
from taskgen.provenance import Provenance


def write(path, *runs, **options):
    handler = JsonlHandler(path, **options)
    for each in runs:
        handler.on_finish(each)
    handler.close()
    return handler


def test_a_line_holds_a_run(tmp_path):
    path = tmp_path / "runs.jsonl"
    one = finished(3, 2, {"1.period": 20}, FailureClass.GUEST)
    write(path, one)
    (line,) = path.read_text().splitlines()
    data = json.loads(line)
    assert (data["run_id"], data["variant"], data["attempt"]) == ("job-3-2", 3, 2)
    assert (data["result"], data["parameters"], data["duration_s"]) == (
        "guest",
        {"1.period": 20},
        0.5,
    )
    assert data["activations"][1]["activation"] == 2
    assert data["activations"][0]["response_us"] == 1000
    assert data["activations"][0]["missed"] is False
    assert Provenance.from_data(data["provenance"]) == Provenance.of(one)
    assert "events" not in data


def test_events_are_kept_where_they_are_wanted(tmp_path):
    path = tmp_path / "runs.jsonl"
    write(path, run(outcome=outcome(events=(event("START", 1, 5000),))), events=True)
    (data,) = read(path)
    assert data["events"] == [
        {
            "type": "START",
            "task_id": 1,
            "time_stamp_ms": 5,
            "time_us": 5000,
            "release_us": None,
            "cpu_us": None,
        }
    ]


def test_a_run_without_activations_is_told_too(tmp_path):
    path = tmp_path / "runs.jsonl"
    write(path, finished(activations=0))
    assert [data["activations"] for data in read(path)] == [[]]


def test_cut_at_any_byte_of_the_last_run_it_is_there_once_and_whole_in_the_end(tmp_path):
    path = tmp_path / "runs.jsonl"
    write(path, finished(0))
    before = path.stat().st_size
    write(path, finished(1))
    whole = path.read_bytes()
    for size in range(before, len(whole) + 1):
        path.write_bytes(whole[:size])
        assert len(list(read(path))) == 1 + (size == len(whole))
        handler = write(path, finished(0), finished(1))
        assert path.read_bytes() == whole, size
        assert handler.repeats == 1 + (size == len(whole))


@pytest.mark.parametrize("size", range(0, 40, 3))
def test_cut_in_the_first_line_it_starts_anew(tmp_path, size):
    path = tmp_path / "runs.jsonl"
    write(path, finished(0))
    whole = path.read_bytes()
    path.write_bytes(whole[:size])
    write(path, finished(0))
    assert path.read_bytes() == whole


@pytest.mark.parametrize("content", ['{"a": 1}\n', "my thesis", "[1]\n", '{"run_id":\n'])
def test_a_file_of_something_else_is_left_alone(tmp_path, content):
    path = tmp_path / "thesis.txt"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"thesis\.txt: exists, and is not a file of runs"):
        JsonlHandler(path)
    assert path.read_text() == content


def test_nobody_else_can_write_to_the_file_meanwhile(tmp_path):
    path = tmp_path / "runs.jsonl"
    one, other = JsonlHandler(path), JsonlHandler(path)
    one.on_finish(finished(0))
    with pytest.raises(HostError, match="somebody else writes to it"):
        other.on_finish(finished(1))
    one.close()
    other.on_finish(finished(1))
    other.close()
    assert [data["variant"] for data in read(path)] == [0, 1]


@settings(max_examples=100, deadline=None)
@given(
    run_id=st.text(min_size=1),
    text=st.text(),
    numbers=st.lists(st.one_of(st.none(), st.integers(-(10**20), 10**20)), min_size=4, max_size=4),
)
def test_whatever_values_hold_runs_are_read_back(tmp_path_factory, run_id, text, numbers):
    path = tmp_path_factory.mktemp("jsonl") / "runs.jsonl"
    start, end, deadline, cpu = numbers
    one = run(
        variant=FakeVariant(0, {"1.config.text": text}),
        outcome=outcome(
            reason=text,
            activations=(activation(start_us=start, end_us=end, deadline_us=deadline, cpu_us=cpu),),
        ),
    )
    object.__setattr__(one, "id", run_id)
    write(path, one)
    assert write(path, one).repeats == 1
    (data,) = read(path)
    assert (data["run_id"], data["reason"], data["parameters"]) == (
        run_id,
        text,
        {"1.config.text": text},
    )
    (back,) = data["activations"]
    assert [back[name] for name in ("start_us", "end_us", "deadline_us", "cpu_us")] == numbers
