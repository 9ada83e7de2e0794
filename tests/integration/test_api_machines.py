"""Real machines over the API."""

import asyncio
import json
from contextlib import asynccontextmanager

import httpx
import pytest
from websockets.asyncio.client import unix_connect
from websockets.exceptions import InvalidStatus

from taskgen.api import Context, Endpoint, connect_sources, make_app, serve, unix_socket
from taskgen.binary_store import BinaryStore
from taskgen.bulletin import Bulletin
from taskgen.local_plan import FleetPlan
from taskgen.run_settings import Reset, RunSettings, SnapshotSettings
from taskgen.service import Plan, service
from taskgen.settings import QemuSettings, Settings

PATIENCE_S = 120

ENDLESS = {"version": 1, "task": [{"pkg": "hey", "period": 50, "numberofjobs": 0}]}


@asynccontextmanager
async def served(profile, tmp_path, reset=Reset.CLEAR):
    """The API of a service that launches machines: context and client.

    They boot unless they go back to a saved state: a boot is what there is to be watched.
    """
    settings = Settings(
        qemu=QemuSettings(accelerator="tcg"),
        run=RunSettings(reset=reset),
        snapshots=SnapshotSettings(templates=reset is Reset.SNAPSHOT),
    )
    machines = FleetPlan(profile=profile, settings=settings)
    plan = Plan(machines=machines, max_machines=1, queue=tmp_path / "queue", settings=settings)
    path = tmp_path / "api.sock"
    async with asyncio.timeout(PATIENCE_S), service(plan) as work:
        context = Context(
            service=work, bulletin=Bulletin(), binaries=BinaryStore(tmp_path / "binaries")
        )
        connect_sources(context)
        transport = httpx.AsyncHTTPTransport(uds=str(path))
        async with (
            serve(make_app(context), [Endpoint(unix_socket(path, group=""), path=path)]),
            httpx.AsyncClient(
                transport=transport, base_url="http://x/v1/", timeout=PATIENCE_S
            ) as client,
        ):
            yield context, client


async def machines_told(response):
    """What the event stream tells of machines: state, or ``gone``, and the data."""
    async for line in response.aiter_lines():
        if line.startswith("data: "):
            event = json.loads(line.removeprefix("data: "))
            if event["kind"] in ("machine", "machine.gone"):
                yield event["data"].get("state", "gone"), event["data"]


async def until(told, state):
    seen = []
    async for found, data in told:
        seen.append(found)
        if found == state:
            return seen, data
    raise AssertionError(seen)


def test_a_machine_is_told_of_looked_at_killed_drained_and_restarted(profile, tmp_path):
    async def main():
        async with (
            served(profile, tmp_path) as (_, client),
            client.stream("GET", "events") as response,
        ):
            told = machines_told(response)
            job = await client.post("jobs", json={"document": ENDLESS, "duration_s": 100})
            assert job.status_code == 201, job.text
            seen, machine = await until(told, "running")
            assert list(dict.fromkeys(seen)) == ["launching", "booting", "ready", "running"]
            assert machine["name"] == "taskgen-1"
            assert machine["run"] == f"{job.json()['id']}-0-1"

            [listed] = (await client.get("machines")).json()["items"]
            assert listed["pid"] == machine["pid"]
            assert listed["address"] == "10.200.45.1"
            [lease] = (await client.get("leases")).json()["items"]
            assert (lease["machine"], lease["address"]) == ("taskgen-1", "10.200.45.1")
            assert (await client.get("machines/taskgen-1/log")).text
            assert len((await client.get("machines/taskgen-1/log?lines=1")).text.splitlines()) == 1
            fleet = (await client.get("fleet")).json()
            assert (fleet["max_machines"], fleet["in_effect"]) == (1, 1)
            assert fleet["profile"] == profile.name

            assert (await client.post("machines/taskgen-1/kill")).status_code == 200
            await until(told, "gone")
            _, again = await until(told, "running")
            assert again["pid"] != machine["pid"]

            name = again["name"]
            await client.post(f"machines/{name}/drain")
            await client.post(f"jobs/{job.json()['id']}/cancel")
            await until(told, "held")
            assert (await client.get(f"machines/{name}")).json()["state"] == "held"
            assert (await client.post(f"machines/{name}/kill")).status_code == 409
            # What it said is there still.
            boots = (await client.get(f"machines/{name}/boots")).json()["items"]
            listed = [(each["number"], each["why"], each["running"]) for each in boots]
            # A guest whose kernel has measured its clock wrongly boots once more by itself.
            assert listed[0][1] == "launch"
            assert {why for _, why, _ in listed[1:]} <= {"reset"}
            assert not any(running for _, _, running in listed)
            number = listed[-1][0]
            assert (await client.get(f"machines/{name}/log")).text
            assert (await client.get("machines/taskgen-9/log")).status_code == 404
            assert (await client.get(f"machines/{name}/log?boot={number + 1}")).status_code == 422
            assert (await client.post(f"machines/{name}/restart")).status_code == 200
            await until(told, "ready")

            metrics = (await client.get("http://x/metrics")).text
            assert 'taskgen_boots_total{outcome="ready"} 3.0' in metrics
            assert "taskgen_boot_seconds_count 3.0" in metrics
            assert "taskgen_lease_wait_seconds_count" in metrics

    asyncio.run(main())


def test_a_console_is_watched_by_several_and_ends_with_its_machine(profile, tmp_path):
    async def main():
        path = str(tmp_path / "api.sock")
        url = "ws://x/v1/machines/taskgen-1/console"
        async with (
            served(profile, tmp_path) as (_, client),
            client.stream("GET", "events") as response,
        ):
            with pytest.raises(InvalidStatus) as refused:
                async with unix_connect(path, url):
                    pass
            assert refused.value.response.status_code == 404
            told = machines_told(response)
            await client.post("jobs", json={"document": ENDLESS, "duration_s": 100})
            await until(told, "booting")
            async with unix_connect(path, url) as one, unix_connect(path, url) as two:
                seen = b""
                while b"\n" not in seen:
                    seen += await one.recv()
                assert await two.recv()
                await until(told, "running")
                await one.send(b"\r")
                await client.post("machines/taskgen-1/kill")
                async for _ in one:
                    pass  # until it ends
                assert one.close_code == 1000

    asyncio.run(main())


def test_a_console_goes_on_where_each_run_has_another_qemu(profile, tmp_path):
    tasks = [{"pkg": "hey", "period": 500, "numberofjobs": 2, "priority": [1, 2, 3]}]

    async def main():
        url = "ws://x/v1/machines/taskgen-1/console?recent=true"
        async with (
            served(profile, tmp_path, Reset.SNAPSHOT) as (_, client),
            client.stream("GET", "events") as response,
        ):
            told = machines_told(response)
            await client.post("jobs", json={"document": {"version": 1, "task": tasks}})
            _, first = await until(told, "booting")
            async with unix_connect(str(tmp_path / "api.sock"), url) as console:
                seen = b""
                async with asyncio.timeout(PATIENCE_S):
                    while seen.count(b"binary hey") < 3:  # sent to each guest
                        seen += await console.recv()
                last = (await client.get("machines/taskgen-1")).json()
            assert first["pid"] != last["pid"]

    asyncio.run(main())


def test_a_console_ends_with_the_server(profile, tmp_path):
    async def main():
        url = "ws://x/v1/machines/taskgen-1/console"
        async with (
            served(profile, tmp_path) as (context, client),
            client.stream("GET", "events") as response,
        ):
            told = machines_told(response)
            await client.post("jobs", json={"document": ENDLESS, "duration_s": 100})
            await until(told, "booting")
            async with unix_connect(str(tmp_path / "api.sock"), url) as console:
                context.close()
                async for _ in console:
                    pass
                assert console.close_code == 1000
                assert console.close_reason == "the daemon ends"

    asyncio.run(main())
