"""How the daemon is, and its fleet, over the API."""

import asyncio
import re
from pathlib import Path
from types import SimpleNamespace

from api_tools import TOKEN, served
from prometheus_client.parser import text_string_to_metric_families

from taskgen import __version__, assets
from taskgen.host.dnsmasq_leases import DnsmasqLeases
from taskgen.host.leases import Lease, Leases
from taskgen.slots import load_network


def test_status_tells_everything_at_a_glance(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch) as api:
            status = await api.get("status")
            assert (status["version"], status["state"], status["fleet"]) == (
                __version__, "idle", None,
            )  # fmt: skip
            job = await api.add(2, paused=True)
            await api.ended(await api.add(2))
            status = await api.get("status")
            assert (status["jobs"], status["counts"]["queued"]) == ({"paused": 1}, 2)
            assert sum(status["hosts"].values()) == 1
            await api.post(f"jobs/{job['id']}/cancel")
            assert (await api.get("status"))["jobs"] == {}

    asyncio.run(main())


def test_health_is_503_only_while_no_work_can_be_done(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch, fakes=0) as api:
            assert (await api.get("health")) == {"healthy": True, "problems": []}
            api.context.problems.report("dhcp", "dnsmasq was killed")
            assert (await api.get("health"))["healthy"] is True
            api.context.problems.report("disk", "full", hint="make room", fatal=True)
            health = await api.get("health", 503)
            assert health["healthy"] is False
            assert [each["key"] for each in health["problems"]] == ["dhcp", "disk"]
            assert (await api.get("status"))["state"] == "stopped"
            api.context.problems.clear("disk")
            assert (await api.get("health"))["healthy"] is True

    asyncio.run(main())


def test_a_paused_daemon_begins_nothing_until_it_is_resumed(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch) as api:
            assert (await api.client.patch("/v1/fleet", json={"paused": True})).json()["paused"]
            job = await api.add(1)
            assert (await api.get("status"))["state"] == "paused"
            assert (await api.get(f"jobs/{job['id']}"))["state"] == "queued"
            fleet = await api.client.patch("/v1/fleet", json={"paused": False})
            assert fleet.json()["paused"] is False
            await api.ended(job)

    asyncio.run(main())


def test_leases_are_listed_by_address(tmp_path, monkeypatch):
    leases = Leases(tmp_path / "leases", DnsmasqLeases())
    network = load_network(assets.root() / "network" / "network.toml")
    for number in (10, 9, 1):
        slot = network.slot(number)
        leases.told(Lease(slot.mac, slot.address, None))

    async def main():
        async with served(tmp_path, monkeypatch, fakes=0) as api:
            fleet = SimpleNamespace(network=SimpleNamespace(leases=leases))
            monkeypatch.setattr(api.context.service, "fleet", fleet)
            found = [each["address"] for each in (await api.get("leases"))["items"]]
            assert found == [f"10.200.45.{number}" for number in (1, 9, 10)]
            after = (await api.client.get("/v1/leases", params={"after": found[1]})).json()
            assert [each["address"] for each in after["items"]] == found[2:]

    asyncio.run(main())


def test_machines_cannot_be_wished_where_none_are_launched(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch, fakes=0) as api:
            assert (await api.get("fleet"))["reasons"] == ["no machines are launched here"]
            assert (await api.get("machines")) == {"items": [], "next": None}
            assert (await api.get("leases")) == {"items": [], "next": None}
            refused = await api.client.patch("/v1/fleet", json={"max_machines": 3})
            assert refused.status_code == 409
            for wrong in ({"max_machines": 0}, {"max_machines": 10**7}, {"paused": 0.0}, {"x": 1}):
                assert (await api.client.patch("/v1/fleet", json=wrong)).status_code == 422

    asyncio.run(main())


def test_hosts_are_listed_once_they_have_answered(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch, fakes=3) as api:
            assert (await api.get("hosts"))["items"] == []
            assert (await api.get("hosts/summary"))["states"] == {"untried": 3}
            await api.ended(await api.add(30))
            page = await api.get("hosts", limit=1)
            rest = await api.get("hosts", after=page["next"])
            found = [each["address"] for each in page["items"] + rest["items"]]
            assert found == ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
            assert rest["next"] is None

    asyncio.run(main())


def test_settings_are_told_without_secrets(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch, fakes=0) as api:
            settings = await api.get("config")
            assert settings["run"]["reset"] == "clear"
            assert TOKEN not in str(settings)

    asyncio.run(main())


def numbers(text):
    """Values of metrics, by name and labels."""
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_count_what_happens(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch) as api, api.events():
            await api.ended(await api.add(3))
            await api.add(4, paused=True)
            await api.get("jobs/nope", 404)
            response = await api.client.get("/metrics")
            assert response.headers["content-type"].startswith("text/plain")
            told = numbers(response.text)
            assert told["taskgen_runs_total", "", "result"] == 3
            assert told["taskgen_run_seconds_count",] == 3
            assert told["taskgen_jobs", "paused"] == 1
            assert told["taskgen_event_subscribers",] == 1
            assert told["taskgen_api_requests_total", "201", "add_job"] == 2
            assert told["taskgen_api_requests_total", "404", "show_job"] == 1
            assert told["taskgen_info", __version__] == 1
            assert told["taskgen_process_resident_memory_bytes",] > 0

    asyncio.run(main())


def test_paths_that_do_not_exist_do_not_make_metrics_grow(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch, fakes=0) as api:
            for number in range(5):
                await api.client.get(f"/nope/{number}")
            told = numbers((await api.client.get("/metrics")).text)
            assert told["taskgen_api_requests_total", "404", "none"] == 5

    asyncio.run(main())


def test_every_metric_is_documented(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch) as api:
            await api.ended(await api.add(1))
            return (await api.client.get("/metrics")).text

    page = Path("docs/api.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`(taskgen_[a-z_]+)`", page))
    told = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in text_string_to_metric_families(asyncio.run(main()))
    }
    assert {name for name in told if not name.startswith("taskgen_process_")} == {
        name for name in documented if not name.startswith("taskgen_process_")
    }
