"""The event stream: complete, resumable, and held up by nobody."""

import asyncio
import socket

import pytest
from api_tools import PATIENCE_S, served, until

from taskgen.resources import EventKind


def test_a_job_is_told_from_its_beginning_to_its_end(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch) as api, api.events() as events:
            job = await api.add(2)
            seen = []
            while len([e for e in seen if e["kind"] == "run.finished"]) < 2:
                seen.append(await events.next())
            while not (seen[-1]["kind"] == "job" and seen[-1]["data"]["state"] == "done"):
                seen.append(await events.next())
            started = [each["data"] for each in seen if each["kind"] == "run.started"]
            assert [each["position"] for each in started] == [0, 1]
            assert {each["target"] for each in started} == {"127.0.0.2"}
            finished = [each["data"] for each in seen if each["kind"] == "run.finished"]
            assert [(e["run"], e["failure"]) for e in finished] == [
                (f"{job['id']}-{n}-1", None) for n in range(2)
            ]
            assert seen[-1]["data"]["counts"]["done"] == 2
            assert "run.event" not in {each["kind"] for each in seen}
            assert (await api.client.delete(f"/v1/jobs/{job['id']}")).status_code == 204
            assert (await events.until("job.gone"))[-1]["data"] == {"id": job["id"]}

    asyncio.run(main())


def test_a_host_that_answers_is_told(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch) as api, api.events(kind="host") as events:
            await api.add(1)
            assert (await events.next())["data"]["state"] == "serving"

    asyncio.run(main())


def test_problems_and_the_fleet_are_told(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch, fakes=0) as api, api.events() as events:
            api.context.problems.report("disk", "the disk is full", hint="make room")
            told = (await events.next())["data"]
            assert (told["key"], told["text"], told["hint"]) == (
                "disk", "the disk is full", "make room",
            )  # fmt: skip
            api.context.problems.clear("disk")
            assert (await events.next())["data"] == {"key": "disk"}
            await api.client.patch("/v1/fleet", json={"paused": True})
            assert (await events.until("fleet"))[-1]["data"]["paused"] is True

    asyncio.run(main())


def test_single_events_of_runs_come_to_those_who_ask(tmp_path, monkeypatch):
    async def main():
        async with (
            served(tmp_path, monkeypatch) as api,
            api.events(run_events=True, kind=["run.event", "run.finished"]) as events,
        ):
            job = await api.add(1)
            seen = await events.until("run.finished")
            assert [each["data"]["event"]["type"] for each in seen[:-1]] == [
                "START", "EXIT", "JOBS_DONE",
            ]  # fmt: skip
            assert {each["data"]["run"] for each in seen} == {f"{job['id']}-0-1"}

    asyncio.run(main())


def test_a_client_goes_on_where_it_was(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch) as api:
            async with api.events(kind="run.finished") as events:
                job = await api.add(3)
                last = (await events.next())["id"]
            await api.ended(job)
            async with api.events(last, kind="run.finished") as events:
                runs = [(await events.next())["data"]["position"] for _ in range(2)]
            assert runs == [1, 2]

    asyncio.run(main())


@pytest.mark.parametrize("last", ["7.0badcafe.1", "rubbish", "1.2.3", ""])
def test_a_client_of_an_earlier_daemon_is_told_to_ask_again(tmp_path, monkeypatch, last):
    async def main():
        async with served(tmp_path, monkeypatch) as api, api.events(last) as events:
            assert (await events.next())["kind"] == "resync"
            await api.add(1)
            assert (await events.next())["kind"] != "resync"

    asyncio.run(main())


def test_a_client_that_does_not_read_holds_nobody_up(tmp_path, monkeypatch):
    monkeypatch.setattr("taskgen.bulletin.WAITING_EVENTS", 100)

    async def main():
        async with served(tmp_path, monkeypatch) as api:
            sluggard = socket.socket(socket.AF_UNIX)
            sluggard.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            sluggard.connect(str(api.path))
            sluggard.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
            sluggard.setblocking(False)
            async with api.events(kind="problem") as events:
                await until(lambda: api.context.bulletin.subscribers == 2)
                for number in range(2000):
                    api.context.bulletin.publish(
                        EventKind.PROBLEM, {"key": str(number), "text": "x" * 500}
                    )
                    assert (await events.next())["data"]["key"] == str(number)
            waiting = [each._waiting for each in api.context.bulletin._subscribers]
            assert max(map(len, waiting)) <= 100
            assert (await api.get("status"))["version"]
            data = await _read_until(sluggard, b'"key":"1999"')
            assert b"event: resync" in data
            sluggard.close()

    asyncio.run(main())


async def _read_until(sock, mark):
    data = b""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE_S):
        while mark not in data:
            data += await loop.sock_recv(sock, 65536)
    return data


def test_a_client_that_goes_is_noticed_at_once(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch, fakes=0) as api:
            async with api.events():
                assert api.context.bulletin.subscribers == 1
            await until(lambda: not api.context.bulletin.subscribers)

    asyncio.run(main())


def test_a_silent_stream_says_that_it_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr("taskgen.api.routes.events.KEEP_ALIVE_S", 0.05)

    async def main():
        async with (
            served(tmp_path, monkeypatch, fakes=0) as api,
            api.client.stream("GET", "/v1/events") as response,
        ):
            comments = []
            async with asyncio.timeout(PATIENCE_S):
                async for line in response.aiter_lines():
                    comments += [line] if line else []
                    if len(comments) == 3:
                        break
            assert comments[1:] == [": still there"] * 2

    asyncio.run(main())


def test_a_stream_of_no_kind_that_there_is_is_refused(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch, fakes=0) as api:
            assert "kind" in (await api.get("events", 422, kind="nonsense"))["detail"]

    asyncio.run(main())


def test_the_end_of_the_server_ends_the_stream(tmp_path, monkeypatch):
    async def main():
        async with asyncio.timeout(PATIENCE_S):
            async with served(tmp_path, monkeypatch, fakes=0) as api:
                loop = asyncio.get_running_loop()
                begun = asyncio.Event()

                async def listen():
                    async with api.events() as events:
                        begun.set()
                        with pytest.raises(EOFError):
                            await events.next()

                listening = asyncio.create_task(listen())
                await begun.wait()
                before = loop.time()
                api.context.close()
                await listening
            assert loop.time() - before < 3

    asyncio.run(main())
