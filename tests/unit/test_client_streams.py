"""The client on a real socket: event stream, results, consoles, and connections that are lost."""

import asyncio
import io
import threading
from contextlib import aclosing, contextmanager, suppress

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from taskgen.bulletin import Bulletin
from taskgen.client import AsyncClient, Client
from taskgen.errors import (
    DaemonUnreachableError,
    QueueError,
    UnknownJobError,
    UnknownMachineError,
)
from taskgen.resources import ConsoleLine, EventKind

PATIENCE_S = 60


class Server:
    """Speaks as the daemon does, as far as these tests look.

    :ivar asked: headers and query of those who asked for events.
    :ivar refusals: why those who ask for events next get none for the time being.
    """

    def __init__(self):
        self.bulletin = Bulletin()
        self.asked = []
        self.heard = threading.Semaphore(0)
        self.loop = None
        self.refusals = []

    def publish(self, key):
        self.loop.call_soon_threadsafe(self.bulletin.publish, EventKind.PROBLEM, {"key": key})

    def break_off(self):
        """End all streams; who comes back finds the same events."""

        def close():
            for subscription in list(self.bulletin._subscribers):
                subscription.close()

        self.loop.call_soon_threadsafe(close)

    def app(self):
        return Starlette(
            routes=[
                Route("/v1/events", self.events),
                Route("/v1/results", self.results),
                Route("/v1/machines/{name}/log", self.log),
                WebSocketRoute("/v1/machines/{name}/console", self.console),
            ]
        )

    async def events(self, request):
        if request.query_params.get("job") == "none":
            return problem(404, "UnknownJobError", "job none: there is no such job")
        if self.refusals:
            return problem(503, "QueueError", self.refusals.pop())
        self.asked.append((dict(request.headers), request.query_params.multi_items()))
        kinds = [EventKind(kind) for kind in request.query_params.getlist("kind")] or None
        subscription = self.bulletin.subscribe(request.headers.get("last-event-id"), kinds)
        self.heard.release()

        async def told():
            async with subscription:
                yield b": hello\n\n"
                yield b"event: invented.later\ndata: {}\n\n"
                async for notice in subscription:
                    yield f"id: {notice.id}\nevent: {notice.kind}\ndata: {notice.json}\n\n".encode()

        return StreamingResponse(told(), media_type="text/event-stream")

    async def results(self, request):
        if request.query_params.get("target") == "full":
            return problem(503, "QueueError", "nothing can be kept: No space left on device")

        async def content():
            yield b"run,target\n"
            yield str(sorted(request.query_params.multi_items())).encode()
            if request.query_params.get("target") == "dying":
                raise RuntimeError("the daemon dies in the middle")

        return StreamingResponse(content(), media_type="text/csv")

    async def log(self, request):
        """Five lines of a boot; each connection is lost in another way."""
        self.asked.append(dict(request.query_params))
        if len(self.asked) == 2:
            return problem(503, "QueueError", "not now")
        after = int(self.asked[-1].get("after", "7:0").partition(":")[2])

        async def content():
            if "lines" in self.asked[-1] and len(self.asked) == 1 and after == 0:
                for at in (0, 10):
                    yield log_line(at)
                raise RuntimeError("the daemon is killed")
            for at in range(after, min(after + 20, 50), 10):
                yield log_line(at)
            if after + 20 > 50:
                await asyncio.Event().wait()

        return StreamingResponse(content(), media_type="application/x-ndjson")

    async def console(self, websocket):
        if websocket.path_params["name"] == "taskgen-9":
            answer = problem(404, "UnknownMachineError", "taskgen-9: there is no such machine")
            await websocket.send_denial_response(answer)
            return
        await websocket.accept()
        await websocket.send_bytes(b"login: ")
        with suppress(WebSocketDisconnect):
            await websocket.send_bytes((await websocket.receive_bytes()).upper())
            await websocket.close()


def log_line(at):
    line = ConsoleLine(boot=7, offset=at, end=at + 10, text=str(at), whole=True, at=1.0)
    return f"{line.model_dump_json()}\n\n".encode()


def problem(status, kind, detail):
    body = {"type": f"/problems/{kind}", "title": kind, "status": status, "detail": detail}
    return JSONResponse(body, status, media_type="application/problem+json")


@contextmanager
def serving(server, **where):
    config = uvicorn.Config(server.app(), log_config=None, lifespan="off", **where)
    uvicorn_server = uvicorn.Server(config)
    up = threading.Event()

    async def serve():
        server.loop = asyncio.get_running_loop()
        startup = uvicorn_server.startup

        async def started(sockets=None):
            await startup(sockets)
            up.set()

        uvicorn_server.startup = started
        await uvicorn_server._serve()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert up.wait(PATIENCE_S)
    try:
        yield uvicorn_server
    finally:
        server.loop.call_soon_threadsafe(server.bulletin.close)
        uvicorn_server.should_exit = True
        thread.join()


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def socket(tmp_path, server):
    with serving(server, uds=str(tmp_path / "s")):
        yield tmp_path / "s"


def test_the_stream_goes_on_by_itself_where_it_was_broken_off(server, socket):
    with Client(socket) as client:
        events = client.events(kinds=[EventKind.PROBLEM])
        server_side = threading.Thread(target=lambda: told(server))
        server_side.start()
        keys = [next(events).data["key"] for _ in range(4)]
        events.close()
        server_side.join()
    assert keys == ["a", "b", "c", "d"]
    (_, first), (headers, again) = server.asked
    assert first == again == [("kind", "problem")]
    assert headers["last-event-id"].endswith(".2")


def told(server):
    assert server.heard.acquire(timeout=PATIENCE_S)
    server.publish("a")
    server.publish("b")
    server.break_off()
    assert server.heard.acquire(timeout=PATIENCE_S)
    server.publish("c")
    server.publish("d")


def test_the_stream_for_a_loop_goes_on_too(server, socket):
    async def main():
        keys = []
        async with AsyncClient(socket) as client, aclosing(client.events()) as events:
            side = asyncio.create_task(asyncio.to_thread(told, server))
            async for event in events:
                keys.append(event.data["key"])
                if len(keys) == 4:
                    break
            await side
        return keys

    assert asyncio.run(main()) == ["a", "b", "c", "d"]


WHOLE_LOG = ["0", "10", "20", "30", "40"]


def test_a_console_that_is_followed_goes_on_with_the_next_daemon(server, socket):
    lost = []
    with Client(socket) as client:
        choice = {"follow": True, "lines": 5, "lost": lambda: lost.append(len(server.asked))}
        lines = client.console_lines("taskgen-1", **choice)
        assert [next(lines).text for _ in WHOLE_LOG] == WHOLE_LOG
        lines.close()
    first, *others = [(each.get("lines"), each.get("after")) for each in server.asked]
    assert first == ("5", None)
    assert others == [(None, "7:20"), (None, "7:20"), (None, "7:40")]
    assert lost == [1, 3]  # and not when it was only refused


def test_the_client_for_a_loop_goes_on_too(server, socket):
    async def main():
        async with (
            AsyncClient(socket) as client,
            aclosing(client.console_lines("taskgen-1", follow=True, lines=5)) as lines,
        ):
            return [(await anext(lines)).text for _ in WHOLE_LOG]

    assert asyncio.run(main()) == WHOLE_LOG


def test_one_boot_that_is_followed_breaks_off_with_the_daemon(server, socket):
    with Client(socket) as client:
        lines = client.console_lines("taskgen-1", follow=True, boot=7, lines=5)
        assert [next(lines).text for _ in range(2)] == WHOLE_LOG[:2]
        with pytest.raises(DaemonUnreachableError):
            next(lines)


def test_a_stream_that_is_refused_says_why(socket):
    with Client(socket) as client, pytest.raises(UnknownJobError, match="job none"):
        next(client.events(job="none"))


def test_a_stream_that_is_refused_for_the_time_being_says_why(server, socket):
    async def main():
        async with AsyncClient(socket) as client, aclosing(client.events()) as events:
            await anext(events)

    server.refusals = ["the disk is full", "the disk is full"]
    with Client(socket) as client, pytest.raises(DaemonUnreachableError) as told:
        next(client.events())
    with pytest.raises(DaemonUnreachableError) as told_too:
        asyncio.run(main())
    assert str(told.value) == str(told_too.value) == "the disk is full (it may pass: try again)"


def test_a_stream_that_has_been_there_is_asked_for_until_it_is_there_again(server, socket):
    def side():
        assert server.heard.acquire(timeout=PATIENCE_S)
        server.refusals = ["the disk is full", "the disk is full"]
        server.publish("a")
        server.break_off()
        assert server.heard.acquire(timeout=PATIENCE_S)
        assert server.refusals == []
        server.publish("b")

    thread = threading.Thread(target=side)
    thread.start()
    with Client(socket) as client:
        events = client.events()
        assert [next(events).data["key"] for _ in range(2)] == ["a", "b"]
        events.close()
    thread.join()


def test_results_that_are_refused_for_the_time_being_say_why(socket):
    async def main():
        async with AsyncClient(socket) as client:
            await client.save_results(io.BytesIO(), target="full")

    with Client(socket) as client, pytest.raises(QueueError, match="No space left"):
        client.save_results(io.BytesIO(), target="full")
    with pytest.raises(QueueError, match="No space left"):
        asyncio.run(main())


def test_a_stream_of_a_daemon_that_is_not_there_is_told_at_once(tmp_path):
    with Client(tmp_path / "none") as client, pytest.raises(DaemonUnreachableError):
        next(client.events())


def test_results_are_written_piece_by_piece(socket):
    file = io.BytesIO()
    with Client(socket) as client:
        size = client.save_results(file, format="csv", labels={"a": "b"}, since=1.5)
    assert file.getvalue() == (
        b"run,target\n[('format', 'csv'), ('label', 'a=b'), ('since', '1.5')]"
    )
    assert size == len(file.getvalue())


def test_results_that_break_off_are_no_results(socket):
    async def main():
        async with AsyncClient(socket) as client:
            await client.save_results(io.BytesIO(), target="dying")

    with Client(socket) as client, pytest.raises(DaemonUnreachableError, match="lost"):
        client.save_results(io.BytesIO(), target="dying")
    with pytest.raises(DaemonUnreachableError, match="lost"):
        asyncio.run(main())


def test_a_console_is_read_and_written(socket):
    async def main():
        async with AsyncClient(socket) as client, await client.console("taskgen-1") as console:
            output = aiter(console)
            assert await anext(output) == b"login: "
            await console.write(b"root\n")
            return [each async for each in output]

    with Client(socket) as client, client.console("taskgen-1") as console:
        assert console.read(PATIENCE_S) == b"login: "
        console.write(b"root\n")
        assert list(console) == [b"ROOT\n"]
        assert console.read() == b""
    assert asyncio.run(main()) == [b"ROOT\n"]


def test_a_console_that_there_is_not_says_why(socket):
    async def main():
        async with AsyncClient(socket) as client:
            await client.console("taskgen-9")

    with Client(socket) as client, pytest.raises(UnknownMachineError, match="taskgen-9: there is"):
        client.console("taskgen-9")
    with pytest.raises(UnknownMachineError, match="taskgen-9: there is"):
        asyncio.run(main())


def test_a_console_of_a_daemon_that_is_not_there_is_told(tmp_path):
    with Client(tmp_path / "none") as client, pytest.raises(DaemonUnreachableError, match="start"):
        client.console("taskgen-1")


def test_the_token_is_shown_on_tcp(server):
    with serving(server, host="127.0.0.1", port=0) as running:
        port = running.servers[0].sockets[0].getsockname()[1]
        with Client(url=f"http://127.0.0.1:{port}", token="secret") as client:
            events = client.events()
            side = threading.Thread(target=lambda: server.heard.acquire() and server.publish("a"))
            side.start()
            assert next(events).data == {"key": "a"}
            events.close()
            side.join()
            with client.console("taskgen-1") as console:
                assert console.read(PATIENCE_S) == b"login: "
    assert server.asked[0][0]["authorization"] == "Bearer secret"
