"""Jobs over the API: added, looked at, changed, forgotten."""

import asyncio
import hashlib

import pytest
from api_tools import ENDLESS, PATIENCE_S, document, elf, served

from taskgen.testing import Faults


def test_a_job_is_run_and_tells_what_came_of_it(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch) as api:
            response = await api.client.post(
                "/v1/jobs", json={"document": document(3), "name": "three", "labels": {"who": "me"}}
            )
            assert response.status_code == 201
            job = response.json()
            assert response.headers["location"] == f"/v1/jobs/{job['id']}"
            assert (job["name"], job["labels"], job["counts"]["total"]) == (
                "three", {"who": "me"}, 3,
            )  # fmt: skip
            job = await api.ended(job)
            assert job["state"] == "done"
            assert job["counts"]["done"] == 3
            assert await api.get(f"jobs/{job['id']}/document") == (
                await api.queue.document(job["id"])
            )

    asyncio.run(main())


def test_settings_say_what_a_request_leaves_open(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch) as api:
            job = await api.add()
            assert (job["tries"], job["session"]["margin"], job["session"]["slack_s"]) == (
                3,
                1.5,
                10,
            )
            job = await api.add(tries=7.0, duration_s=2.5, admission_control={"a": {"b": 1}})
            assert (job["tries"], job["session"]["duration_s"]) == (7, 2.5)
            assert job["session"]["admission_control"] == {"a": {"b": 1}}

    asyncio.run(main())


def test_a_task_set_can_be_named_that_is_installed(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch) as api:
            job = await api.post("jobs", {"taskset": "hey.Hey1TaskSet", "paused": True})
            assert job["state"] == "paused"

    asyncio.run(main())


@pytest.mark.parametrize(
    "name",
    ["os.system", "/etc/passwd", "../secret.toml", "tests.unit.api_tools.document",
     "subprocess.run", "hey", "", "hey.Hey1TaskSet\n", "taskgen.tasksets.hey.os"],
)  # fmt: skip
def test_a_request_names_neither_a_path_nor_code(tmp_path, monkeypatch, name):
    (tmp_path / "secret.toml").write_text("version = 1\n")
    monkeypatch.chdir(tmp_path)

    async def main():
        async with served(tmp_path, monkeypatch) as api:
            problem = await api.post("jobs", {"taskset": name}, status=422)
            assert problem["type"] == "/problems/TaskSetError"
            assert await api.queue.jobs() == []

    asyncio.run(main())


def test_the_same_key_makes_one_job_and_another_request_with_it_is_refused(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch) as api:
            key = {"Idempotency-Key": "k-1"}
            first, *others = await asyncio.gather(
                *(
                    api.client.post("/v1/jobs", json={"document": document()}, headers=key)
                    for _ in range(5)
                )
            )
            ids = {each.json()["id"] for each in (first, *others)}
            assert ids == {info.id for info in await api.queue.jobs()}
            assert len(ids) == 1
            again = await api.client.post("/v1/jobs", json={"document": document()}, headers=key)
            assert again.status_code == 200
            problem = await api.post("jobs", {"document": document(4)}, status=409, **key)
            assert problem["type"] == "/problems/KeyReusedError"
            assert problem["hint"]

    asyncio.run(main())


def test_jobs_are_listed_in_pages_and_by_state_and_label(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch, fakes=0) as api:
            ids = [
                (await api.add(labels={"odd": str(n % 2)}, paused=n < 2))["id"] for n in range(5)
            ]
            seen, after = [], 0
            while after is not None:
                page = await api.get("jobs", after=after, limit=2)
                assert len(page["items"]) <= 2
                seen += [each["id"] for each in page["items"]]
                after = page["next"]
            assert seen == ids
            assert [j["id"] for j in (await api.get("jobs", state="paused"))["items"]] == ids[:2]
            odd = await api.get("jobs", label="odd=1")
            assert [each["id"] for each in odd["items"]] == ids[1::2]
            assert (await api.get("jobs", label=["odd=1", "odd=0"]))["items"] != odd
            assert (await api.get("jobs", label="x=1"))["items"] == []
            problem = await api.get("jobs", 422, label="odd")
            assert "label" in problem["detail"]

    asyncio.run(main())


def test_a_job_is_paused_resumed_changed_and_cancelled(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch, fake=ENDLESS) as api:
            job = await api.add(paused=True)
            path = f"jobs/{job['id']}"
            response = await api.client.patch(f"/v1/{path}", json={"priority": 5, "name": "new"})
            assert (response.json()["priority"], response.json()["name"]) == (5, "new")
            async with api.events(kind="run.started") as events:
                assert (await api.post(f"{path}/resume"))["state"] in ("queued", "running")
                started = await events.next()
            assert started["data"]["job"] == job["id"]
            assert started["data"]["target"] == "127.0.0.2"
            problem = await api.client.delete(f"/v1/{path}")
            assert problem.status_code == 409
            async with asyncio.timeout(PATIENCE_S):
                job = await api.post(f"{path}/cancel")
            assert (job["state"], job["counts"]["running"]) == ("cancelled", 0)
            for action in ("pause", "resume", "retry-bad"):
                problem = await api.post(f"{path}/{action}", status=409)
                assert problem["type"] == "/problems/StateError"
            assert (await api.client.patch(f"/v1/{path}", json={"priority": 1})).status_code == 409
            assert (await api.client.delete(f"/v1/{path}")).status_code == 204
            await api.get(path, 404)

    asyncio.run(main())


def test_bad_variants_are_tried_again(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch) as api:
            api.fakes[0].faults = Faults(malformed_frame=True)
            job = await api.ended(await api.add(1))
            assert job["counts"]["bad"] == 1
            api.fakes[0].faults = Faults()
            assert (await api.post(f"jobs/{job['id']}/retry-bad"))["counts"]["bad"] == 0
            assert (await api.ended(job))["counts"]["done"] == 1

    asyncio.run(main())


def test_a_job_brings_its_own_binaries(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch) as api:
            content = elf(b"mine")
            sha256 = hashlib.sha256(content).hexdigest()
            own = {"document": document(1), "binaries": {"hey": sha256}}
            problem = await api.post("jobs", own, status=422)
            assert sha256 in problem["detail"]
            put = await api.client.put(f"/v1/binaries/{sha256}", content=content)
            assert put.status_code == 201
            job = await api.ended(await api.post("jobs", own))
            assert (job["state"], job["binaries"]) == ("done", {"hey": sha256})
            assert api.fakes[0].binaries["hey"] == content

    asyncio.run(main())


@pytest.mark.parametrize("path", ["jobs/nope", "jobs/%00", "jobs/%ff"])
def test_an_unknown_job_is_not_found(tmp_path, monkeypatch, path):
    async def main():
        async with served(tmp_path, monkeypatch, fakes=0) as api:
            problem = await api.get(path, 404)
            assert problem["type"] == "/problems/UnknownJobError"
            for action in ("cancel", "pause", "resume", "retry-bad"):
                await api.post(f"{path}/{action}", status=404)

    asyncio.run(main())
