"""A directory of Parquet files can be read at any time, and a crash loses nothing that was told."""

import builtins
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from values import FakeVariant, activation, finished, outcome, run

from taskgen.errors import ConfigError, HostError
from taskgen.events.parquet import JOURNAL, ParquetHandler
from taskgen.results.rows import COLUMNS

parquet = pytest.importorskip("pyarrow.parquet")


def write(path, *runs, **options):
    handler = ParquetHandler(path, **options)
    for each in runs:
        handler.on_finish(each)
    handler.close()
    return handler


def rows(path):
    found = parquet.read_table(path).to_pylist()
    return sorted(found, key=lambda row: (row["run_id"], row["activation"]))


def parts(path):
    return sorted(path.glob("*.parquet"))


def crash(handler):
    """Let go of its files as the kernel does at the end of a process, and do nothing else."""
    handler._journal.close()
    handler._journal = None


def test_a_directory_is_one_data_set(tmp_path):
    path = tmp_path / "results"
    write(path, finished(3, 2, {"1.period": 20}))
    first, second = rows(path)
    assert set(first) == {*COLUMNS, "parameters"}
    assert (first["run_id"], first["variant"], first["missed"]) == ("job-3-2", 3, False)
    assert (first["seed"], first["emulated"], first["rows"]) == ("7", True, 2)
    assert first["parameters"] == [("1.period", "20")]
    assert second["activation"] == 2
    assert (path / JOURNAL).stat().st_size == 0


def test_parts_are_written_as_rows_come(tmp_path):
    path = tmp_path / "results"
    handler = ParquetHandler(path, rows_per_part=4)
    for number in range(5):
        handler.on_finish(finished(number))
    assert [len(parquet.read_table(part)) for part in parts(path)] == [4, 4]
    assert len(rows(path)) == 8  # and can be read while it is being written
    handler.close()
    assert len(rows(path)) == 10


def test_a_run_that_is_told_again_is_not_written_again(tmp_path):
    path = tmp_path / "results"
    assert write(path, finished(0), finished(0)).repeats == 1
    assert write(path, finished(0), finished(1)).repeats == 1
    assert [row["run_id"] for row in rows(path)] == ["job-0-1"] * 2 + ["job-1-1"] * 2


def test_after_a_crash_what_waited_is_taken_from_the_journal(tmp_path):
    path = tmp_path / "results"
    handler = ParquetHandler(path, rows_per_part=4)
    for number in range(3):
        handler.on_finish(finished(number))
    crash(handler)
    assert len(rows(path)) == 4  # readable as it is
    again = write(path, finished(2), finished(3))
    assert (again.recovered, again.repeats) == (1, 1)
    assert [row["variant"] for row in rows(path)] == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_crash_between_part_and_journal_makes_nothing_double(tmp_path):
    path = tmp_path / "results"
    handler = ParquetHandler(path)
    handler.on_finish(finished(0))
    journal = (path / JOURNAL).read_bytes()
    handler.close()
    (path / JOURNAL).write_bytes(journal)
    (path / "_part-0123.parquet.new").write_bytes(b"half of a par")
    assert write(path, finished(1)).recovered == 0
    assert [row["variant"] for row in rows(path)] == [0, 0, 1, 1]
    assert not list(path.glob("*.new"))


def test_the_journal_cut_at_any_byte_gives_whole_runs(tmp_path):
    path = tmp_path / "results"
    handler = ParquetHandler(path)
    handler.on_finish(finished(0, parameters={"1.period": 5}))
    before = (path / JOURNAL).stat().st_size
    handler.on_finish(finished(1))
    crash(handler)
    whole = (path / JOURNAL).read_bytes()
    for size in [*range(before, len(whole), 97), len(whole) - 1, len(whole)]:
        copy = tmp_path / "copy"
        shutil.copytree(path, copy)
        (copy / JOURNAL).write_bytes(whole[:size])
        assert write(copy, finished(1)).recovered == 1 + (size == len(whole))
        assert [row["variant"] for row in rows(copy)] == [0, 0, 1, 1]
        shutil.rmtree(copy)


def test_a_part_that_cannot_be_written_is_tried_again_with_the_next_run(tmp_path, monkeypatch):
    path = tmp_path / "results"
    handler = ParquetHandler(path, rows_per_part=1)
    with monkeypatch.context() as patched:

        def full(*_arguments, **_options):
            raise OSError(28, "No space left on device")

        patched.setattr(parquet, "write_table", full)
        with pytest.raises(OSError, match="No space"):
            handler.on_finish(finished(0))
        assert not parts(path)
        assert not list(path.glob("*.new"))
    handler.on_finish(finished(1))
    handler.close()
    assert [row["variant"] for row in rows(path)] == [0, 0, 1, 1]


def test_a_number_beyond_64_bits_costs_its_run_only(tmp_path):
    path = tmp_path / "results"
    handler = ParquetHandler(path)
    handler.on_finish(finished(0))
    with pytest.raises(ValueError, match="variant = 9223372036854775808: Parquet has only 64"):
        handler.on_finish(run(2**63, outcome=outcome(activations=(activation(),))))
    handler.close()
    assert len(rows(path)) == 2


def test_nobody_else_can_write_to_it_meanwhile(tmp_path):
    path = tmp_path / "results"
    one, other = ParquetHandler(path), ParquetHandler(path)
    one.on_finish(finished(0))
    with pytest.raises(HostError, match="somebody else writes to it"):
        other.on_finish(finished(1))
    one.close()


def test_a_directory_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(ConfigError, match="exists, and is not a data set"):
        ParquetHandler(tmp_path)
    with pytest.raises(ConfigError, match="not a directory"):
        ParquetHandler(tmp_path / "thesis.txt")
    with pytest.raises(ConfigError, match="No such file"):
        ParquetHandler(tmp_path / "missing" / "results")


def test_nothing_is_made_before_there_is_a_result(tmp_path):
    ParquetHandler(tmp_path / "results").close()
    assert list(tmp_path.iterdir()) == []


def test_without_pyarrow_it_says_what_to_install(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"pip install 'taskgen\[parquet\]'"):
        ParquetHandler(tmp_path / "results")


@settings(max_examples=15, deadline=None)
@given(
    text=st.text(st.characters(exclude_categories=["Cs"])),
    numbers=st.lists(st.one_of(st.none(), st.integers(-(2**62), 2**62)), min_size=4, max_size=4),
    rows_per_part=st.integers(1, 3),
)
def test_whatever_values_hold_rows_are_read_back(tmp_path_factory, text, numbers, rows_per_part):
    path = tmp_path_factory.mktemp("parquet") / "results"
    start, end, deadline, cpu = numbers
    one = activation(
        pkg=text, release_us=0, start_us=start, end_us=end, deadline_us=deadline, cpu_us=cpu
    )
    runs = [
        run(n, variant=FakeVariant(n, {"p": text}), outcome=outcome(activations=(one,)))
        for n in range(3)
    ]
    write(path, *runs, rows_per_part=rows_per_part)
    assert len(rows(path)) == 3
    for row in rows(path):
        assert [row[n] for n in ("start_us", "end_us", "deadline_us", "cpu_us")] == numbers
        assert (row["pkg"], row["missed"], row["parameters"]) == (text, one.missed, [("p", text)])
