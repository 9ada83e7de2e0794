"""What is exported is what the handlers would have written of the same runs."""

import asyncio
import csv
import io
import json
import sqlite3
import sys
import tracemalloc
from collections import Counter
from contextlib import closing

import pytest
from pages import blocks
from queue_tools import TARGET, FakeTarget, ended, path, sweep, with_queue, work_off
from values import CONDITIONS, FakeVariant, activation, event

from taskgen.errors import ConfigError, QueueError, UnknownJobError
from taskgen.events.csv import CsvHandler
from taskgen.events.jsonl import JsonlHandler
from taskgen.events.parquet import ParquetHandler
from taskgen.interfaces import FailureClass
from taskgen.queue import JobQueue, JobSpec
from taskgen.queue.sql import migrations
from taskgen.results.export import Format, export, export_file
from taskgen.results.rows import COLUMNS
from taskgen.results.selection import Selection
from taskgen.taskset import TaskSet

__all__ = ["path"]


class Own:
    """Variants of the user's own, which no document holds."""

    count = 3

    def __iter__(self):
        return (FakeVariant(index, {"own": index, "text": 'a "b",\nc'}) for index in range(3))


async def filled(queue, told=None):
    """Three jobs with results and failures; the runs as handlers were told them."""
    runs = []
    varied = TaskSet(
        [{"pkg": "hey", "period": [10, 20]}, {"pkg": "pi", "config": {"arg1": [1, 2, 3]}}]
    )
    specs = (
        JobSpec(varied, tries=2, labels={"who": "me"}, binaries={"hey": "ab" * 32}),
        JobSpec(Own(), tries=1, labels={"who": "me", "kind": "own"}),
        JobSpec(sweep(4), offset=1, repeat=2, profile="linux-x86_64"),
    )
    names = ["varied", "own", "plain"]
    targets = [FakeTarget("taskgen-1"), FakeTarget("board,7")]
    for name, spec in zip(names, specs, strict=True):
        await queue.add(spec, job_id=name)
    number = 0
    while run := await queue.claim(targets[number % 2]):
        number += 1
        failure = [None, None, FailureClass.TASK, None, FailureClass.GUEST][number % 5]
        runs.append(
            ended(
                run,
                failure,
                target=targets[(number - 1) % 2].name,
                activations=tuple(
                    activation(number=n + 1, cpu_us=None if n else 5, exit="EXIT" if n else "")
                    for n in range(number % 4)
                ),
                started_at=1_700_000_000.123456 + number,
                duration_s=0.1,
                reason="line\nbreak" if failure else "",
                events=(event("EXIT"),) if failure else (),
                console="öops" if failure else "",
                provenance=CONDITIONS,
            )
        )
        await queue.settle(runs[-1])
    return runs


def in_order(runs):
    """Job by job, by variant and attempt."""
    order = ["varied", "own", "plain"]
    return sorted(runs, key=lambda run: (order.index(run.job_id), run.variant.index, run.attempt))


def files(tmp_path, runs):
    """What handlers write of runs, by format."""
    handlers = {
        "csv": CsvHandler(tmp_path / "csv"),
        "jsonl": JsonlHandler(tmp_path / "jsonl"),
        "parquet": ParquetHandler(tmp_path / "parquet"),
    }
    for handler in handlers.values():
        for run in runs:
            handler.on_finish(run)
        handler.close()
    return {name: tmp_path / name for name in handlers}


async def exported(queue, form, **chosen):
    return b"".join([chunk async for chunk in await export(queue, form, Selection(**chosen))])


def known(run):
    """Of a run that no document holds, all but the hash of what was sent."""
    return run.job_id != "own"


def test_csv_is_what_the_handler_writes(path, tmp_path):
    async def work(queue):
        runs = in_order(await filled(queue))
        file = files(tmp_path, runs)["csv"]
        rows = list(csv.DictReader(io.StringIO((await exported(queue, Format.CSV)).decode())))
        wanted = list(csv.DictReader(io.StringIO(file.read_text())))
        assert len(rows) > 15
        assert list(rows[0]) == list(wanted[0])
        for row, other in zip(rows, wanted, strict=True):
            if row["job_id"] == "own":
                assert row.pop("description_sha256") == ""
                del other["description_sha256"]
            assert row == other
        one = [run for run in runs if run.job_id == "varied"]
        (tmp_path / "one").mkdir()
        same = files(tmp_path / "one", one)["csv"].read_bytes()
        assert await exported(queue, Format.CSV, job="varied") == same

    with_queue(path, work)


def test_json_lines_are_what_the_handler_writes(path, tmp_path):
    async def work(queue):
        runs = in_order(await filled(queue))
        lines = (await exported(queue, Format.JSONL)).splitlines(keepends=True)
        wanted = files(tmp_path, runs)["jsonl"].read_bytes().splitlines(keepends=True)
        assert len(lines) == len(runs)
        for line, other, run in zip(lines, wanted, runs, strict=True):
            if known(run):
                assert line == other
            else:
                one, two = json.loads(line), json.loads(other)
                assert one["provenance"].pop("description_sha256") == ""
                del two["provenance"]["description_sha256"]
                assert one == two

    with_queue(path, work)


def test_parquet_is_what_the_handler_writes(path, tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("taskgen.results.export.ROWS_PER_GROUP", 7)

    async def work(queue):
        runs = [run for run in in_order(await filled(queue)) if run.job_id == "varied"]
        whole = await exported(queue, Format.PARQUET, job="varied")
        file = parquet.ParquetFile(io.BytesIO(whole))
        assert file.metadata.num_row_groups > 1
        table = file.read()
        wanted = parquet.read_table(files(tmp_path, runs)["parquet"])
        assert table.schema == wanted.schema
        assert table.to_pylist() == wanted.to_pylist()
        empty = parquet.read_table(io.BytesIO(await exported(queue, Format.PARQUET, target="no")))
        assert (empty.num_rows, empty.schema) == (0, wanted.schema)

    with_queue(path, work)


@pytest.mark.parametrize(
    ("chosen", "fits"),
    [
        ({}, lambda run: True),
        ({"job": "own"}, lambda run: run.job_id == "own"),
        ({"labels": {"who": "me"}}, lambda run: run.job_id != "plain"),
        ({"labels": {"who": "me", "kind": "own"}}, lambda run: run.job_id == "own"),
        ({"labels": {"who": "you"}}, lambda run: False),
        ({"target": "board,7"}, lambda run: run.outcome.target == "board,7"),
        ({"failure": "ok"}, lambda run: run.outcome.failure is None),
        ({"failure": "any"}, lambda run: run.outcome.failure is not None),
        ({"failure": "guest"}, lambda run: run.outcome.failure is FailureClass.GUEST),
        ({"since": 1_700_000_005.0}, lambda run: run.outcome.started_at >= 1_700_000_005),
        ({"until": 1_700_000_005.0}, lambda run: run.outcome.started_at < 1_700_000_005),
        ({"first": 2}, lambda run: run.variant.index >= 2),
        ({"last": 2}, lambda run: run.variant.index <= 2),
        (
            {"first": 1, "last": 3, "failure": "ok", "labels": {"who": "me"}},
            lambda run: (
                1 <= run.variant.index <= 3
                and run.outcome.failure is None
                and run.job_id != "plain"
            ),
        ),
    ],
)
def test_only_what_is_selected_is_exported(path, chosen, fits, monkeypatch):
    monkeypatch.setattr("taskgen.results.selection.PAGE", 2)

    async def work(queue):
        runs = in_order(await filled(queue))
        lines = (await exported(queue, Format.JSONL, **chosen)).splitlines()
        wanted = [run.id for run in runs if fits(run)]
        assert [json.loads(line)["run_id"] for line in lines] == wanted
        counted = Counter(
            row["run_id"]
            for row in csv.DictReader(
                io.StringIO((await exported(queue, Format.CSV, **chosen)).decode())
            )
        )
        assert counted == Counter(
            {run.id: len(run.outcome.activations) for run in runs if fits(run)}
        )

    with_queue(path, work)


def test_columns_are_there_only_for_what_varies_in_the_selection(path):
    async def work(queue):
        await filled(queue)
        for job, names in (
            ("varied", ["1.period", "2.config.arg1"]),
            ("own", ["own", "text"]),
            ("plain", ["1.period"]),
        ):
            whole = await exported(queue, Format.CSV, job=job)
            header = whole.decode().partition("\n")[0].split(",")
            assert header[len(COLUMNS) :] == names
        nothing = await exported(queue, Format.CSV, target="nobody")
        assert nothing.decode().rstrip().split(",") == list(COLUMNS)

    with_queue(path, work)


def test_what_cannot_be_exported_is_said_before_anything_is_sent(path, monkeypatch):
    async def work(queue):
        with pytest.raises(UnknownJobError):
            await export(queue, Format.CSV, Selection(job="no"))
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(ConfigError, match="need pyarrow"):
            await export(queue, Format.PARQUET)

    with_queue(path, work)
    with pytest.raises(ConfigError, match=r"no such class \(one of ok, any, task, guest"):
        Selection(failure="mine")


def test_a_file_can_be_exported_while_nobody_has_it_open(tmp_path):
    path = tmp_path / "queue"

    async def work(queue):
        await filled(queue)
        return await exported(queue, Format.CSV), b"".join(export_file(path, Format.CSV))

    beside, same = with_queue(path, work)
    assert beside == same == b"".join(export_file(path, Format.CSV))
    with pytest.raises(UnknownJobError):
        export_file(path, Format.CSV, Selection(job="no"))
    with pytest.raises(QueueError, match="nowhere: cannot be read"):
        export_file(tmp_path / "nowhere", Format.CSV)
    (tmp_path / "text").write_text("no database" * 1000)
    with pytest.raises(QueueError, match="text: cannot be read: file is not a database"):
        export_file(tmp_path / "text", Format.CSV)
    with closing(sqlite3.connect(tmp_path / "old")) as old:
        old.executescript(f"{migrations()[0]}; PRAGMA user_version = 1;")
    with pytest.raises(QueueError, match=r"has version 1, .* brought up to date when an engine"):
        export_file(tmp_path / "old", Format.CSV)


def test_the_queue_works_on_while_results_are_exported(path, monkeypatch):
    """What is deleted meanwhile just ends; what is added may be there."""
    monkeypatch.setattr("taskgen.results.export.CHUNK_BYTES", 1)
    monkeypatch.setattr("taskgen.results.selection.PAGE", 2)

    async def work(queue):
        await filled(queue)
        chunks = await export(queue, Format.JSONL)
        first = json.loads(await anext(chunks))
        assert first["job_id"] == "varied"
        await queue.delete("own")
        await queue.add(JobSpec(sweep(3)), job_id="new")
        assert await work_off(queue, FakeTarget("late")) == [0, 1, 2]
        rest = [json.loads(chunk)["job_id"] async for chunk in chunks]
        assert {"varied", "plain", "new"} <= set(rest)
        assert "own" not in rest

    with_queue(path, work)


def test_who_goes_away_in_the_middle_leaves_nothing_open(tmp_path, monkeypatch):
    monkeypatch.setattr("taskgen.results.export.CHUNK_BYTES", 1)
    path = tmp_path / "queue"

    async def main():
        async with JobQueue.open(path) as queue:
            await filled(queue)
            for _ in range(3):
                chunks = await export(queue, Format.CSV)
                await anext(chunks)
                await chunks.aclose()
            await (await export(queue, Format.CSV)).aclose()  # before anything was read
            task = asyncio.ensure_future(exported(queue, Format.CSV))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    assert not path.with_name("queue-wal").exists()  # the last connection has merged it


def test_memory_is_bounded_however_much_is_exported(tmp_path, monkeypatch):
    monkeypatch.setattr("taskgen.results.export.ROWS_PER_GROUP", 1000)
    monkeypatch.setattr("taskgen.results.selection.PAGE_BYTES", 50_000)
    path = tmp_path / "queue"
    many = (activation(),) * 200

    async def fill():
        async with JobQueue.open(path) as queue:
            await queue.add(JobSpec(sweep(120)))
            while run := await queue.claim(TARGET):
                queue.settle(ended(run, activations=many, provenance=CONDITIONS))

    asyncio.run(fill())
    for form in (Format.JSONL, Format.CSV, Format.PARQUET):
        sum(map(len, export_file(path, form, Selection(last=10))))  # what is needed once
        tracemalloc.start()
        try:
            size = sum(map(len, export_file(path, form)))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert size > 4e6 or form is Format.PARQUET
        assert peak < 2.5e6


def test_the_example_on_the_page_of_results_runs(tmp_path, monkeypatch):
    (example,) = blocks("docs/results.md", "python")
    monkeypatch.chdir(tmp_path)

    async def work(queue):
        await filled(queue)
        return await exported(queue, Format.CSV, labels={"who": "me"})

    wanted = with_queue(tmp_path / "queue.db", work)
    exec(example.text, {})
    assert (tmp_path / "results.csv").read_bytes() == wanted
