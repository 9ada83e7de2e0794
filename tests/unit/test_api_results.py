"""Results as files."""

import asyncio
import csv
import io
import json

import pytest
from api_tools import served

pyarrow = pytest.importorskip("pyarrow.parquet")


async def fetched(api, status=200, **query):
    response = await api.client.get("/v1/results", params=query)
    assert response.status_code == status, response.text
    return response


def test_results_come_in_each_format(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch) as api:
            job = await api.ended(await api.add(3))
            lines = await fetched(api, format="jsonl")
            assert [json.loads(line)["variant"] for line in lines.text.splitlines()] == [0, 1, 2]
            table = await fetched(api, format="csv")
            assert table.headers["content-type"] == "text/csv; charset=utf-8"
            assert "attachment" in table.headers["content-disposition"]
            rows = list(csv.DictReader(io.StringIO(table.text)))
            assert [row["1.period"] for row in rows] == ["10", "11", "12"]
            columns = pyarrow.read_table(io.BytesIO((await fetched(api, format="parquet")).content))
            assert columns.num_rows == 3
            assert {row["run_id"] for row in rows} == {f"{job['id']}-{n}-1" for n in range(3)}

    asyncio.run(main())


def test_results_are_chosen(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch) as api:
            mine = await api.ended(await api.add(2, labels={"who": "me"}))
            await api.ended(await api.add(3))
            for query, number in (
                ({}, 5),
                ({"job": mine["id"]}, 2),
                ({"label": "who=me"}, 2),
                ({"label": "who=you"}, 0),
                ({"target": "127.0.0.2"}, 5),
                ({"target": "taskgen-1"}, 0),
                ({"failure": "ok"}, 5),
                ({"failure": "any"}, 0),
                ({"failure": "task"}, 0),
                ({"since": 4e9}, 0),
                ({"until": 4e9}, 5),
            ):
                assert len((await fetched(api, **query)).text.splitlines()) == number, query

    asyncio.run(main())


def test_what_cannot_be_is_refused_before_the_file_begins(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch, fakes=0) as api:
            assert (await fetched(api, 404, job="nope")).json()["type"] == (
                "/problems/UnknownJobError"
            )
            assert "failure" in (await fetched(api, 422, failure="odd")).json()["detail"]
            assert "format" in (await fetched(api, 422, format="xlsx")).json()["detail"]
            for wrong in ("nan", "inf", "-1", "x"):
                assert "since" in (await fetched(api, 422, since=wrong)).json()["detail"]

    asyncio.run(main())


def test_a_file_that_nobody_reads_to_its_end_leaves_nothing(tmp_path, monkeypatch):
    closed = []

    async def endless(queue, form, selection):
        async def chunks():
            try:
                while True:
                    await asyncio.sleep(0)
                    yield b"x" * 65536
            finally:
                closed.append(True)

        return chunks()

    monkeypatch.setattr("taskgen.api.routes.results.export", endless)

    async def main():
        async with (
            served(tmp_path, monkeypatch, fakes=0) as api,
            api.client.stream("GET", "/v1/results") as response,
        ):
            async for _ in response.aiter_raw():
                break
        assert closed

    asyncio.run(main())
