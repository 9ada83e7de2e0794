"""``taskgen results``, as a user types it."""

import pytest
from command import taskgen
from values import activation, outcome, run

from taskgen.events.sqlite import SqliteHandler


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "results.sqlite"
    handler = SqliteHandler(path)
    for index in range(10):
        handler.on_finish(run(index, outcome=outcome(activations=(activation(),))))
    handler.close()
    return path


def test_pruning_keeps_the_newest_runs(database):
    dry = taskgen("results", "prune", str(database), "--runs", "4", "--dry-run")
    assert dry.out.startswith("would delete 6 runs with 6 activations; 4 runs kept")
    done = taskgen("results", "prune", str(database), "--runs", "4")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("deleted 6 runs with 6 activations; 4 runs kept")
    again = taskgen("results", "prune", str(database), TASKGEN_RESULTS__RUNS="4")
    assert again.out.startswith("deleted 0 runs")


def test_nothing_is_deleted_unless_something_says_what_to_keep(database):
    done = taskgen("results", "prune", str(database))
    assert done.status == 2
    assert "--days, --runs or --megabytes" in done.err


def test_a_file_that_is_no_database_of_results_is_left_alone(tmp_path):
    other = tmp_path / "thesis.txt"
    other.write_text("my thesis, which is not a database of anything at all" * 50)
    done = taskgen("results", "prune", str(other), "--runs", "1")
    assert done.status == 2
    assert other.read_text().startswith("my thesis")
    assert taskgen("results", "prune", str(tmp_path / "no"), "--runs", "1").status == 2
