"""Conditions of a run, the columns of results, and the database that keeps them in bounds."""

import json
import random
import sqlite3
import threading
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from values import CONDITIONS, FakeVariant, activation, finished, run

from taskgen.errors import ConfigError
from taskgen.events.sqlite import SqliteHandler
from taskgen.provenance import (
    NAMES,
    Provenance,
    document_sha256,
    files_sha256,
    of_taskset,
)
from taskgen.results.database import APPLICATION_ID, connect, version
from taskgen.results.prune import Pruned, Retention, prune
from taskgen.results.rows import PROVENANCE_COLUMNS, rows
from taskgen.results.statements import migrations, queries, statements
from taskgen.task import Task
from taskgen.taskset import TaskSet

DATA = Path(__file__).parent / "data"
DAY_S = 86_400


class TestProvenance:
    def test_it_is_what_job_variant_and_target_know(self):
        one = finished(3)
        told = Provenance.of(one)
        assert (told.taskset, told.seed, told.variant) == ("Fake", 7, 3)
        assert (told.accelerator, told.emulated, told.qemu) == ("tcg", True, "7.2.22")
        assert told.binaries == {"hey": "1234", "pi": "5678"}
        assert told.more == {"reset": "clear"}
        assert len(told.description_sha256) == 64
        with pytest.raises(AttributeError):
            told.seed = 8

    def test_hardware_is_not_emulated_and_what_nobody_told_stays_open(self):
        kvm = finished(0).outcome
        object.__setattr__(kvm, "provenance", {"accelerator": "kvm"})
        assert Provenance.of(run(outcome=kvm)).emulated is False
        assert Provenance.of(run()).emulated is None

    def test_a_changed_description_changes_its_hash(self):
        class Other(FakeVariant):
            def description(self):
                return b"<taskset><periodictask/></taskset>"

        assert (
            Provenance.of(run()).description_sha256
            != Provenance.of(run(variant=Other())).description_sha256
        )

    @given(
        seed=st.one_of(st.none(), st.integers(), st.text()),
        more=st.dictionaries(st.text().filter(lambda name: name not in NAMES), st.floats(0, 1)),
    )
    def test_it_goes_through_json_and_back(self, seed, more):
        told = Provenance.from_data({**CONDITIONS, **more, "seed": seed})
        assert Provenance.from_data(json.loads(json.dumps(told.to_data()))) == told

    def test_the_columns_are_its_fields(self):
        assert set(NAMES) - set(PROVENANCE_COLUMNS) == {"variant", "more"}
        assert set(PROVENANCE_COLUMNS) <= set(NAMES)

    def test_a_task_set_is_known_by_its_document(self):
        taskset = TaskSet([Task({"pkg": "hey", "period": [10, 20]})])
        taskset.metadata["seed"] = 5
        told = of_taskset(taskset)
        assert told["seed"] == 5
        assert told["taskset_sha256"] == document_sha256(taskset.to_document())
        again = TaskSet.from_document(taskset.to_document())
        assert of_taskset(again) == told
        again[0]["period"] = 30
        assert of_taskset(again)["taskset_sha256"] != told["taskset_sha256"]

    def test_a_task_set_without_a_document_has_no_hash(self):
        endless = TaskSet([Task({"pkg": "hey", "period": (n for n in count(1))})])
        assert of_taskset(endless)["taskset_sha256"] == ""

    def test_order_in_a_document_is_of_no_consequence(self):
        assert document_sha256({"a": 1, "b": [1, 2]}) == document_sha256({"b": (1, 2), "a": 1})
        assert document_sha256({"b": [2, 1]}) != document_sha256({"b": [1, 2]})

    def test_an_image_is_known_by_its_content(self, tmp_path):
        kernel, initrd = tmp_path / "kernel", tmp_path / "initrd"
        kernel.write_bytes(b"")
        initrd.write_bytes(b"x" * 3_000_000)
        empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        assert files_sha256([kernel]) == empty
        assert files_sha256([]) == ""
        both = files_sha256([kernel, initrd])
        initrd.write_bytes(b"x" * 2_999_999 + b"y")
        assert len(both) == 64
        assert files_sha256([kernel, initrd]) not in (both, empty)


def test_each_row_says_how_many_its_run_has():
    names = [row[0] for row in rows(finished(activations=3))]
    assert names == ["job-0-1"] * 3
    assert list(rows(finished(activations=0))) == []


def ask(path, sql):
    with closing(sqlite3.connect(path)) as database:
        return database.execute(sql).fetchall()


class TestMigrations:
    def test_a_new_database_has_the_present_version(self, tmp_path):
        path = tmp_path / "new.db"
        with closing(connect(path)) as database:
            assert version(database) == len(migrations())
        assert ask(path, "PRAGMA application_id") == [(APPLICATION_ID,)]
        assert ask(path, "PRAGMA journal_mode") == [("wal",)]
        assert ask(path, "PRAGMA auto_vacuum") == [(2,)]

    def test_version_1_as_it_was_released_is_brought_to_the_present_version(self, tmp_path):
        """The dump is never made anew: it is what users have."""
        path = tmp_path / "old.db"
        with closing(sqlite3.connect(path)) as database:
            database.executescript((DATA / "results-v1.sql").read_text(encoding="utf-8"))
            assert version(database) == 1
        handler = SqliteHandler(path)
        handler.on_finish(finished(0))  # it has that
        handler.on_finish(finished(100))
        handler.close()
        assert handler.repeats == 1
        assert ask(path, "PRAGMA user_version") == [(len(migrations()),)]
        found = ask(path, "SELECT run_id, response_us, taskset, seed, accelerator FROM activations")
        assert sorted(found) == sorted(
            [(f"job-{n}-1", 1000, "Fake", 7, "tcg") for n in (0, 1, 100) for _ in range(2)]
        )
        assert ask(path, "PRAGMA foreign_key_check") == []
        assert ask(path, "PRAGMA integrity_check") == [("ok",)]

    def test_the_first_migration_is_what_was_released(self, tmp_path):
        old, new = tmp_path / "old.db", tmp_path / "new.db"
        with closing(sqlite3.connect(old)) as database:
            database.executescript((DATA / "results-v1.sql").read_text(encoding="utf-8"))
        connect(new, migrations()[:1]).close()
        schema = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
        assert sorted(ask(old, schema)) == sorted(ask(new, schema))

    def test_a_migration_is_done_once_and_whole_or_not_at_all(self, tmp_path):
        path = tmp_path / "results.db"
        first = "CREATE TABLE t (a); -- semicolon; inside\nINSERT INTO t VALUES ('x;y');"
        connect(path, [first]).close()
        connect(path, [first]).close()
        with pytest.raises(ConfigError, match="no such table"):
            connect(
                path, [first, "INSERT INTO t VALUES (2);", "INSERT INTO missing_table VALUES (1);"]
            )
        assert ask(path, "SELECT a FROM t") == [("x;y",)]
        assert ask(path, "PRAGMA user_version") == [(1,)]
        connect(path, [first, "INSERT INTO t VALUES (2);"]).close()
        assert ask(path, "SELECT a FROM t") == [("x;y",), (2,)]

    def test_a_newer_version_is_refused(self, tmp_path):
        path = tmp_path / "results.db"
        connect(path, [*migrations(), "CREATE TABLE more (a);"]).close()
        with pytest.raises(ConfigError, match="this Taskgen knows"):
            SqliteHandler(path)

    def test_many_may_make_it_at_once(self, tmp_path):
        path, errors = tmp_path / "results.db", []

        def work():
            try:
                connect(path).close()
            except Exception as error:  # noqa: BLE001 - asserted below
                errors.append(error)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert ask(path, "PRAGMA integrity_check") == [("ok",)]

    def test_the_statements_are_found(self):
        assert "insert_run" in queries()
        assert all(sqlite3.complete_statement(sql) for sql in queries().values())
        assert len(list(statements(migrations()[0]))) >= 10

    @pytest.mark.parametrize(
        "sql",
        [
            "SELECT * FROM activation WHERE pkg = 'hey' AND response_us > 5",
            "SELECT * FROM run WHERE job_id = 'a' AND variant = 3",
            "SELECT * FROM run WHERE started_at > 5",
            "SELECT run FROM parameter WHERE name = '1.period' AND value = 20",
            "SELECT count(*) FROM activation WHERE missed",
            queries()["delete_oldest"].replace(":", ""),
        ],
    )
    def test_analysis_has_an_index(self, tmp_path, sql):
        path = tmp_path / "results.db"
        connect(path).close()
        for name in ("before", "number", "batch"):
            sql = sql.replace(f" {name}", " 1")
        plan = " ".join(row[3] for row in ask(path, f"EXPLAIN QUERY PLAN {sql}"))
        assert "USING" in plan
        assert "INDEX" in plan


class Clock:
    def __init__(self):
        self.now = 1_000.0 * DAY_S

    def __call__(self):
        return self.now


class TestPrune:
    @pytest.fixture
    def path(self, tmp_path):
        """Ten runs, one each day, the last now."""
        path = tmp_path / "results.db"
        clock = Clock()
        handler = SqliteHandler(path, now=clock)
        for number in range(10):
            clock.now = (991 + number) * DAY_S
            handler.on_finish(finished(number, provenance={"seed": number}))
        handler.close()
        return path

    def left(self, path):
        assert ask(path, "PRAGMA foreign_key_check") == []
        used = [row[0] for row in ask(path, "SELECT DISTINCT run FROM activation ORDER BY run")]
        runs = ask(path, "SELECT number, variant FROM run ORDER BY number")
        assert used == [number for number, _ in runs]
        assert len(ask(path, "SELECT * FROM conditions")) == len(runs)
        return [variant for _, variant in runs]

    @pytest.mark.parametrize(
        ("retention", "left"),
        [
            (Retention(), range(10)),
            (Retention(days=3.5), range(6, 10)),
            (Retention(days=0.001), [9]),
            (Retention(days=5000), range(10)),
            (Retention(runs=4), range(6, 10)),
            (Retention(runs=10), range(10)),
            (Retention(runs=4, days=2.5), range(7, 10)),
            (Retention(megabytes=0.000001), []),
            (Retention(megabytes=100), range(10)),
        ],
    )
    def test_the_oldest_go_first(self, path, retention, left):
        left = list(left)
        pruned = prune(path, retention, now=Clock())
        assert self.left(path) == left
        assert (pruned.runs, pruned.activations) == (10 - len(left), 2 * (10 - len(left)))
        assert pruned.kept == len(left)
        assert pruned.bytes_after <= pruned.bytes_before

    def test_of_one_instant_exactly_so_many_are_kept(self, tmp_path):
        path = tmp_path / "results.db"
        handler = SqliteHandler(path, now=Clock())
        for number in range(10):
            handler.on_finish(finished(number, provenance={"seed": number}))
        handler.close()
        prune(path, Retention(runs=3), now=Clock())
        assert self.left(path) == [7, 8, 9]

    def test_a_dry_run_says_what_would_go_and_leaves_it(self, path):
        before = path.read_bytes()
        pruned = prune(path, Retention(runs=4), now=Clock(), dry_run=True)
        assert (pruned.runs, pruned.activations, pruned.kept) == (6, 12, 4)
        assert self.left(path) == list(range(10))
        assert len(before) == path.stat().st_size
        assert prune(path, Retention(runs=4), now=Clock()).runs == 6

    def test_the_room_is_given_back(self, tmp_path):
        path = tmp_path / "results.db"
        handler = SqliteHandler(path, now=Clock())
        many = tuple(activation(number=n, pkg="x" * 200) for n in range(500))
        for number in range(40):
            one = finished(number)
            object.__setattr__(one.outcome, "activations", many)
            handler.on_finish(one)
        handler.close()
        before = path.stat().st_size
        pruned = prune(path, Retention(megabytes=before / 4 / 10**6), now=Clock())
        assert 0 < pruned.kept < 40
        assert pruned.bytes_after <= before / 4
        assert path.stat().st_size <= before / 3

    def test_one_who_writes_meanwhile_is_not_disturbed(self, path):
        handler = SqliteHandler(path, now=Clock())
        handler.on_finish(finished(50, provenance={"seed": 50}))
        assert prune(path, Retention(runs=2), now=Clock()).kept == 2
        handler.on_finish(finished(51, provenance={"seed": 3}))  # conditions that were pruned away
        handler.close()
        assert self.left(path) == [9, 50, 51] or self.left(path) == [50, 51]

    def test_what_was_pruned_may_come_again(self, path):
        prune(path, Retention(runs=2), now=Clock())
        handler = SqliteHandler(path, now=Clock())
        handler.on_finish(finished(0, provenance={"seed": 0}))
        handler.close()
        assert sorted(self.left(path)) == [0, 8, 9]

    @pytest.mark.parametrize("bad", [{"days": 0}, {"runs": -1}, {"megabytes": float("nan")}])
    def test_bounds_are_above_nothing(self, bad):
        with pytest.raises(ConfigError, match="must be above 0"):
            Retention(**bad)

    def test_there_must_be_a_database(self, tmp_path):
        with pytest.raises(ConfigError, match="no such database"):
            prune(tmp_path / "none.db", Retention(runs=1))
        assert list(tmp_path.iterdir()) == []

    def test_whatever_the_ages_the_newest_are_kept(self, tmp_path):
        path, clock, dice = tmp_path / "results.db", Clock(), random.Random(4)
        handler = SqliteHandler(path, now=clock)
        ages = [dice.uniform(0, 20) for _ in range(60)]
        for number, age in enumerate(ages):
            clock.now = (1000 - age) * DAY_S
            handler.on_finish(finished(number, provenance={"seed": number}))
        handler.close()
        newest = sorted(range(60), key=lambda n: ages[n])
        assert isinstance(prune(path, Retention(runs=25), now=Clock()), Pruned)
        assert sorted(self.left(path)) == sorted(newest[:25])
        prune(path, Retention(days=5), now=Clock())
        assert sorted(self.left(path)) == sorted(n for n in newest[:25] if ages[n] <= 5)
