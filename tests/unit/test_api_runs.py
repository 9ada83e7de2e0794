"""Runs and attempts over the API."""

import asyncio

from api_tools import ENDLESS, PATIENCE_S, served

from taskgen.testing import Faults


def test_runs_of_a_job_are_listed_in_pages(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch, fakes=2) as api:
            job = await api.ended(await api.add(5))
            seen, after = [], -1
            while after is not None:
                page = await api.get(f"jobs/{job['id']}/runs", after=after, limit=2)
                seen += page["items"]
                after = page["next"]
            assert [each["position"] for each in seen] == [0, 1, 2, 3, 4]
            assert {each["state"] for each in seen} == {"done"}
            assert [each["parameters"] for each in seen] == [{"1.period": n} for n in range(10, 15)]
            assert all(each["ended"]["activations"] == [] for each in seen)

    asyncio.run(main())


def test_results_of_a_job_are_told_by_position_with_their_activations(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch, fakes=2) as api:
            await api.ended(await api.add(2))
            job = await api.ended(await api.add(5))
            seen, after = [], -1
            while after is not None:
                page = await api.get(f"jobs/{job['id']}/results", after=after, limit=2)
                seen += page["items"]
                after = page["next"]
            assert [each["position"] for each in seen] == [0, 1, 2, 3, 4]
            assert {each["job"] for each in seen} == {job["id"]}
            assert all(each["activations"] for each in seen)
            await api.get("jobs/none/results", status=404)

    asyncio.run(main())


def test_a_run_tells_its_activations(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch) as api:
            job = await api.ended(await api.add(1, name="one"))
            run = await api.get(f"runs/{job['id']}-0-1")
            assert (run["state"], run["variant"], run["target"]) == ("done", 0, "127.0.0.2")
            [activation] = run["ended"]["activations"]
            assert (activation["pkg"], activation["number"], activation["exit"]) == (
                "hey",
                1,
                "EXIT",
            )
            assert [each["attempt"] for each in run["attempts"]] == [1]

    asyncio.run(main())


def test_a_run_that_is_carried_out_tells_where(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch, fake=ENDLESS) as api:
            async with api.events(kind="run.started") as events:
                job = await api.add(1)
                run = (await events.next())["data"]["run"]
            told = await _once_there(api, f"runs/{run}")
            assert (told["state"], told["ended"]) == ("running", None)
            [listed] = (await api.get(f"jobs/{job['id']}/runs"))["items"]
            assert listed["id"] == run

    asyncio.run(main())


async def _once_there(api, path):
    """What is at a path; a run that has begun is there a moment later."""
    async with asyncio.timeout(PATIENCE_S):
        while (response := await api.client.get(f"/v1/{path}")).status_code == 404:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return response.json()


def test_failed_attempts_keep_their_events_and_reason(tmp_path, monkeypatch):
    async def main():
        faults = {"faults": Faults(malformed_frame=True)}
        async with served(tmp_path, monkeypatch, fake=faults) as api:
            async with api.events(kind="run.finished") as events:
                job = await api.add(1)
                failed = (await events.next())["data"]
            assert failed["failure"]
            assert failed["reason"]
            runs = await api.get(f"jobs/{job['id']}/runs", failed=True)
            assert runs["items"][0]["attempts"][0]["failure"] == failed["failure"]
            assert (await api.get(f"jobs/{job['id']}/runs", failed=False))["items"] == []

    asyncio.run(main())


def test_attempts_are_followed_without_a_gap(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch, fakes=2) as api:
            first = await api.ended(await api.add(4))
            page = await api.get("attempts", limit=3)
            sequences = [each["sequence"] for each in page["items"]]
            assert page["sequence"] == sequences[-1]
            second = await api.ended(await api.add(3))
            after = page["sequence"]
            while (page := await api.get("attempts", after=after))["sequence"] != after:
                sequences += [each["sequence"] for each in page["items"]]
                after = page["sequence"]
            assert page["next"] is None
            assert sequences == sorted(set(sequences))
            assert len(sequences) == 7
            of_second = await api.get("attempts", job=second["id"])
            assert {each["job"] for each in of_second["items"]} == {second["id"]}
            assert len(of_second["items"]) == 3
            assert first["id"] != second["id"]
            assert all(each["activations"] for each in of_second["items"])

    asyncio.run(main())


def test_what_does_not_exist_is_not_found(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch, fakes=0) as api:
            job = await api.add(1)
            for run in (
                "x",
                "x-0-1",
                f"{job['id']}-0-1",
                f"{job['id']}-9-9",
                "--",
                f"{job['id']}-{2**70}-1",
            ):
                assert (await api.get(f"runs/{run}", 404))["type"] == "/problems/UnknownRunError"
            await api.get("jobs/nope/runs", 404)
            await api.get("attempts", 404, job="nope")

    asyncio.run(main())
