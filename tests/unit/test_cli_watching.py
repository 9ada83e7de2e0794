"""What whoever watches a job sees of all that it depends on."""

import asyncio

from api_tools import PATIENCE_S, served

from taskgen.cli.watching import JobWatch
from taskgen.client import AsyncClient


def test_who_watches_a_job_hears_of_problems_that_come_meanwhile(tmp_path, monkeypatch, caplog):
    async def main():
        async with (
            served(tmp_path, monkeypatch, fakes=0) as api,
            AsyncClient(api.path) as client,
        ):
            job = await api.add()
            watch = JobWatch(client, await client.job(job["id"]))
            watching = asyncio.create_task(watch.until_ended())
            async with asyncio.timeout(PATIENCE_S):
                await api.post(f"jobs/{job['id']}/pause")
                while watch.job.state != "paused":  # noqa: ASYNC110 - it has looked around by then
                    await asyncio.sleep(0.01)
                api.context.problems.report("disk", "the disk is full", hint="make room")
                # The daemon says it, and whoever watches.
                while caplog.text.count("the disk is full (make room)") < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                await api.post(f"jobs/{job['id']}/cancel")
                await watching
            assert watch.job.state == "cancelled"

    asyncio.run(main())
