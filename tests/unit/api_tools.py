"""What the tests of the API share: a service that drives fakes, and its API on real sockets."""

from __future__ import annotations

import asyncio
import json
import struct
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx

from taskgen.addresses import parse_hosts
from taskgen.api import Context, Endpoint, connect_sources, make_app, serve, tcp_socket, unix_socket
from taskgen.binary_store import BinaryStore
from taskgen.bulletin import Bulletin
from taskgen.profiles import load_profile
from taskgen.service import Plan, service
from taskgen.settings import HostSettings, Settings
from taskgen.testing import FakeTaskloader, Faults

#: For what has to happen soon.
PATIENCE_S = 60

#: Runs that end only when they are stopped.
ENDLESS = {"time_scale": 1.0, "faults": Faults(hang_after_start=True)}

TOKEN = "an-unlikely-token"


def elf(filling=b"", machine=62):
    """A task binary for x86_64, as far as its header tells."""
    return struct.pack("<4sBB10xHH", b"\x7fELF", 2, 1, 2, machine) + bytes(44) + filling


def document(variants=3, **keys):
    """A task-set with so many variants."""
    periods = list(range(10, 10 + variants))
    return {"version": 1, "task": [{"pkg": "hey", "period": periods, **keys}]}


@dataclass
class Served:
    """A service and its API.

    :ivar client: talks to the Unix socket.
    :ivar tcp: base URL of the API on TCP.
    """

    context: Context
    client: httpx.AsyncClient
    fakes: list[FakeTaskloader]
    path: object
    tcp: str

    @property
    def queue(self):
        return self.context.service.queue

    async def get(self, path, status=200, **query):
        """What is at a path."""
        response = await self.client.get(f"/v1/{path}", params=query)
        assert response.status_code == status, response.text
        return response.json()

    async def post(self, path, body=None, status=(200, 201), **headers):
        response = await self.client.post(f"/v1/{path}", json=body, headers=headers)
        statuses = status if isinstance(status, tuple) else (status,)
        assert response.status_code in statuses, response.text
        return response.json()

    async def add(self, variants=3, **keys):
        """Add a job."""
        return await self.post("jobs", {"document": document(variants), **keys})

    async def ended(self, job):
        """A job once it has ended."""
        async with asyncio.timeout(PATIENCE_S):
            await self.context.service.wait_job(job["id"])
        return await self.get(f"jobs/{job['id']}")

    def events(self, last=None, **query):
        """The event stream: an asynchronous context manager."""
        return _events(self.client, last, query)


async def until(reached):
    """Wait for what nothing tells."""
    async with asyncio.timeout(PATIENCE_S):
        while not reached():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@asynccontextmanager
async def _events(client, last, query):
    headers = {} if last is None else {"Last-Event-ID": last}
    async with client.stream("GET", "/v1/events", params=query, headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Events(response)


class Events:
    """Reads an event stream as its specification says, no more than is needed of it."""

    def __init__(self, response):
        self._lines = response.aiter_lines()

    async def next(self):
        """The next event."""
        fields = {}
        async with asyncio.timeout(PATIENCE_S):
            async for line in self._lines:
                name, _, value = line.partition(": ")
                if name:
                    fields[name] = value
                elif not line and "data" in fields:
                    event = json.loads(fields["data"])
                    assert (fields["id"], fields["event"]) == (event["id"], event["kind"])
                    return event
        raise EOFError

    async def until(self, kind):
        """All events up to the first of a kind."""
        seen = [await self.next()]
        while seen[-1]["kind"] != kind:
            seen.append(await self.next())
        return seen


@asynccontextmanager
async def served(
    tmp_path, monkeypatch, fakes=1, *, fake=None, plan=None, limits=None, problems=None
):
    """The API of a service whose targets are fakes on loopback."""
    _profile(tmp_path, monkeypatch)
    async with AsyncExitStack() as stack:
        targets, port = [], 0
        for number in range(max(1, fakes)):
            one = FakeTaskloader(
                host=f"127.0.0.{number + 2}", port=port, **{"time_scale": 0.0, **(fake or {})}
            )
            targets.append(await stack.enter_async_context(one))
            port = one.port
        settings = Settings(hosts=HostSettings(port=port))
        # Where there are to be none, nobody listens.
        hosts = parse_hosts([each.host for each in targets[:fakes]] or "127.0.0.99")
        store = BinaryStore(tmp_path / "binaries")
        work = await stack.enter_async_context(
            service(
                Plan(
                    hosts=hosts,
                    host_profile=load_profile("board"),
                    queue=tmp_path / "queue.sqlite",
                    settings=settings,
                    store=store,
                    **(plan or {}),
                ),
                problems,
            )
        )
        context = Context(
            service=work,
            bulletin=Bulletin(sequence=lambda: work.queue.last_attempt),
            binaries=store,
            settings=lambda: settings,
            **({} if limits is None else {"limits": limits}),
        )
        connect_sources(context)
        path = tmp_path / "api.sock"
        tcp = tcp_socket("127.0.0.1", 0)
        url = f"http://127.0.0.1:{tcp.getsockname()[1]}"
        endpoints = [Endpoint(unix_socket(path, group=""), path=path), Endpoint(tcp, token=TOKEN)]
        await stack.enter_async_context(serve(make_app(context), endpoints))
        client = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(path)),
            base_url="http://taskgen",
            timeout=PATIENCE_S,
        )
        await stack.enter_async_context(client)
        yield Served(context, client, targets, path, url)


def _profile(tmp_path, monkeypatch):
    """A profile whose binaries need no guest image to have been built."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "hey").write_bytes(elf())
    profiles = tmp_path / "profiles"
    profiles.mkdir()
    (profiles / "board.toml").write_text(
        'description = "a board"\narchitecture = "x86_64"\nemulator = "qemu-system-x86_64"\n'
        f'machine = "q35"\nmemory_mb = 96\nbinaries = "{folder}"\n[nic]\nmodel = "e1000"\n'
    )
    monkeypatch.setenv("TASKGEN_PROFILES", str(profiles))
