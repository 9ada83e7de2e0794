"""The client's calls: what goes out, what is made of the answer, and which errors come of what."""

import asyncio
import inspect
import json
import socket
import threading

import httpx
import pytest

from taskgen import errors
from taskgen.client import AsyncClient, Client
from taskgen.client import calls as described
from taskgen.client.address import find
from taskgen.errors import (
    ConfigError,
    DaemonError,
    DaemonUnreachableError,
    StateError,
    TaskgenError,
    TaskSetError,
    UnknownJobError,
)
from taskgen.resources import NewJob
from taskgen.task import Task
from taskgen.taskset import TaskSet

FLEET = {
    "max_machines": 4,
    "in_effect": 4,
    "slots": 8,
    "memory_room": 99,
    "paused": False,
    "reasons": [],
    "profile": "linux-x86_64",
    "accelerator": "tcg",
    "namespace": "taskgen",
    "bridge": "br0",
    "subnet": "10.200.0.0/16",
    "invented later": 1,
}
MACHINE = {
    "slot": 1,
    "state": "ready",
    "profile": "linux-x86_64",
    "accelerator": "tcg",
    "mac": "0a:06:00:00:00:01",
    "tap": "tap1",
}
JOB = {
    "id": "abc",
    "number": 1,
    "name": "mine",
    "labels": {},
    "priority": 0,
    "profile": None,
    "tries": 3,
    "repeat": 1,
    "offset": 0,
    "session": {},
    "state": "queued",
    "error": "",
    "counts": {
        "total": 1,
        "queued": 1,
        "running": 0,
        "done": 0,
        "bad": 0,
        "failed_attempts": 0,
    },
    "resumable": True,
    "binaries": {},
    "provenance": {},
    "added_at": 1.0,
    "ended_at": None,
}


class Daemon:
    """Answers in turn, and keeps what it was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def __call__(self, request):
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    async def later(self, request):
        return self(request)


def client(*answers):
    daemon = Daemon(*answers)
    return Client(transport=httpx.MockTransport(daemon)), daemon


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr("taskgen.client.transport.REPEATS_S", (0.0, 0.0))


def problem(status, kind, detail, hint=None):
    body = {"type": f"/problems/{kind}", "title": kind, "status": status, "detail": detail}
    return httpx.Response(
        status, json=body | {"hint": hint}, headers={"Content-Type": "application/problem+json"}
    )


def test_both_clients_ask_the_same_and_read_the_same():
    blocking, one = client(FLEET)
    other = Daemon(FLEET)

    async def awaiting():
        async with AsyncClient(transport=httpx.MockTransport(other.later)) as client:
            return await client.set_max_machines(4)

    with blocking:
        assert blocking.set_max_machines(4) == asyncio.run(awaiting())
    for daemon in (one, other):
        (request,) = daemon.asked
        assert (request.method, request.url.path) == ("PATCH", "/v1/fleet")
        assert json.loads(request.content) == {"max_machines": 4}


def test_every_described_call_is_a_method_of_both():
    for name in set(described.__all__) - {"results", "new_job", "read_binary"}:
        assert inspect.getdoc(getattr(Client, name)), name


def test_a_list_fetches_its_pages_as_they_are_needed():
    blocking, daemon = client(
        {"items": [{"name": "taskgen-1"} | MACHINE], "next": "taskgen-1"},
        {"items": [], "next": "taskgen-7"},
        {"items": [{"name": "taskgen-8"} | MACHINE], "next": None},
    )
    machines = blocking.machines(page=1)
    assert next(machines).name == "taskgen-1"
    assert len(daemon.asked) == 1
    assert [each.name for each in machines] == ["taskgen-8"]
    assert [r.url.params.get("after") for r in daemon.asked] == [None, "taskgen-1", "taskgen-7"]


def test_a_name_cannot_reach_another_path():
    blocking, daemon = client({"name": "x"} | MACHINE)
    blocking.machine("../jobs?x=/y")
    assert daemon.asked[0].url.raw_path == b"/v1/machines/..%2Fjobs%3Fx%3D%2Fy"


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (problem(404, "UnknownJobError", "job x: there is no such job"), UnknownJobError, "job x"),
        (problem(409, "StateError", "job x: state is done"), StateError, "job x: state is done"),
        (problem(422, "TaskSetError", "1.period: no", "a hint"), TaskSetError, r"no \(a hint\)"),
        (problem(422, "Whatever", "seen never before"), DaemonError, "seen never before"),
        (problem(500, "TaskgenError", "broken"), TaskgenError, "broken"),
        (httpx.Response(404, text="Not Found"), DaemonError, "does not know GET /v1/jobs/x"),
        (httpx.Response(500, text="<html>"), DaemonError, "answered 500"),
        ({"id": "x"}, DaemonError, "makes no sense"),
    ],
)
def test_what_the_daemon_says_is_raised_as_if_it_were_here(answer, error, message):
    blocking, _ = client(answer)
    with pytest.raises(error, match=message):
        blocking.job("x")


def test_each_error_of_ours_can_be_told_by_its_name():
    kinds = [e for _, e in inspect.getmembers(errors, inspect.isclass)]
    for kind in kinds:
        if issubclass(kind, TaskgenError):
            blocking, _ = client(problem(400, kind.__name__, "so it is", "do that"))
            with pytest.raises(kind, match="so it is") as caught:
                blocking.job("x")
            assert type(caught.value) is kind
            assert caught.value.hint == "do that"


def test_a_job_is_asked_for_again_with_the_same_key_when_the_connection_is_lost():
    blocking, daemon = client(httpx.ReadError("reset"), httpx.ConnectError("refused"), JOB)
    assert blocking.add_job(TaskSet([Task(pkg="hey")]), name="mine", labels={"a": "b"}).id == "abc"
    keys = {request.headers["Idempotency-Key"] for request in daemon.asked}
    assert len(keys) == 1
    assert len(daemon.asked) == 3
    body = json.loads(daemon.asked[0].content)
    assert body["name"] == "mine"
    assert body["document"]["task"][0]["pkg"] == "hey"
    assert "tries" not in body  # the daemon's settings say


def test_each_job_has_a_key_of_its_own_unless_one_is_given():
    blocking, daemon = client(JOB, JOB, JOB)
    for key in (None, None, "mine"):
        blocking.add_job("hey.Hey1TaskSet", key=key)
    first, second, third = (request.headers["Idempotency-Key"] for request in daemon.asked)
    assert first != second
    assert third == "mine"


def test_what_must_not_happen_twice_is_not_asked_for_again():
    blocking, daemon = client(httpx.ReadError("reset"))
    with pytest.raises(DaemonUnreachableError, match="lost"):
        blocking.kill_machine("taskgen-1")
    assert len(daemon.asked) == 1


def test_a_daemon_that_asks_for_patience_is_asked_again():
    busy = httpx.Response(503, headers={"Retry-After": "1"})
    blocking, daemon = client(busy, FLEET)
    assert blocking.fleet().slots == 8
    assert len(daemon.asked) == 2


def test_a_daemon_that_is_not_well_is_heard_out():
    ill = {"healthy": False, "problems": [{"key": "disk", "text": "full", "since": 1.0}]}
    blocking, _ = client(httpx.Response(503, json=ill, headers={"Retry-After": "1"}))
    assert not blocking.health().healthy


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tries": 0}, "tries = 0"),
        ({"colour": "red"}, "colour: there is no such option"),
        ({"labels": {"a": "x" * 1000}}, "labels"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_before_anything_is_asked(options, message):
    blocking, daemon = client()
    for job in (TaskSet([Task(pkg="hey")]), "hey.Hey1TaskSet", NewJob(taskset="hey.Hey1TaskSet")):
        with pytest.raises(ConfigError, match=message):
            blocking.add_job(job, **options)
    assert daemon.asked == []


def test_a_daemon_that_is_not_there_is_told_at_once_and_what_to_do(tmp_path):
    with (
        Client(tmp_path / "none.sock") as blocking,
        pytest.raises(DaemonUnreachableError, match=r"no daemon answers at .*none\.sock.*start it"),
    ):
        blocking.status()


def test_an_address_that_refuses_is_told(tmp_path):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    with (
        Client(url=f"http://127.0.0.1:{port}") as blocking,
        pytest.raises(
            DaemonUnreachableError, match=f"no daemon answers at http://127.0.0.1:{port}"
        ),
    ):
        blocking.status()


def test_a_daemon_that_hangs_is_told(tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        with (
            Client(path, timeout_s=0.05) as blocking,
            pytest.raises(DaemonUnreachableError, match="no answer in time"),
        ):
            blocking.status()


def test_a_socket_that_is_not_ours_to_use_names_the_group(monkeypatch):
    error = httpx.ConnectError("denied")
    error.__cause__ = PermissionError(13, "Permission denied")
    blocking, _ = client(error)
    with pytest.raises(DaemonUnreachableError, match="group taskgen"):
        blocking.status()


def test_a_token_is_shown_on_tcp_only(monkeypatch, tmp_path):
    token = tmp_path / "token"
    token.write_text("secret\n")
    monkeypatch.setenv("TASKGEN_TOKEN_FILE", str(token))
    assert find(url="http://127.0.0.1:7323").headers == {"Authorization": "Bearer secret"}
    assert find(url="http://127.0.0.1:7323", token="mine").token == "mine"
    assert find("/some/socket").headers == {}


def test_the_token_of_this_host_is_told_to_no_other(monkeypatch, tmp_path):
    for name in ("TASKGEN_TOKEN", "TASKGEN_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TASKGEN_STATE", str(tmp_path))
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "api-token").write_text("this host's\n")
    for here in ("http://127.0.0.1:7323", "http://localhost:7323", "http://[::1]:7323"):
        assert find(url=here).token == "this host's"
    for elsewhere in ("http://192.0.2.1:7323", "http://localhost.example:7323"):
        assert find(url=elsewhere).token is None


def test_variants_that_a_class_makes_by_itself_are_not_lost_on_the_way():
    class Own(TaskSet):
        def variants(self, **options):
            return super().variants(**options)[:1]

    blocking, daemon = client()
    with pytest.raises(errors.TaskSetError, match="code of its own"):
        blocking.add_job(Own([Task(pkg="hey", period=[10, 20])]))
    assert not daemon.asked


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({}, "/run/taskgen/taskgen.sock"),
        ({"TASKGEN_RUN": "/tmp/r"}, "/tmp/r/taskgen.sock"),
        ({"TASKGEN_RUN": "/tmp/r", "TASKGEN_SOCKET": "/tmp/s"}, "/tmp/s"),
        ({"TASKGEN_SOCKET": "/tmp/s", "TASKGEN_URL": "http://h:1/"}, "http://h:1"),
    ],
)
def test_the_environment_says_where_the_daemon_is(monkeypatch, environment, address):
    for name in ("TASKGEN_RUN", "TASKGEN_SOCKET", "TASKGEN_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert str(find()) == address


@pytest.mark.parametrize("url", ["127.0.0.1:7323", "ftp://x", "http://", ""])
def test_a_url_that_is_none_is_refused(url):
    with pytest.raises(ConfigError, match="not the URL"):
        find(url=url)


def test_only_what_the_daemon_lacks_is_uploaded(tmp_path):
    for name in ("hey", "other"):
        (tmp_path / name).write_text(name)
    blocking, daemon = client(httpx.Response(200), httpx.Response(404), httpx.Response(201))
    sent = blocking.ensure_binaries({"hey", "other", "theirs"}, [tmp_path])
    assert sorted(sent) == ["hey", "other"]
    assert [request.method for request in daemon.asked] == ["HEAD", "HEAD", "PUT"]
    assert daemon.asked[2].content == b"other"
    assert daemon.asked[2].url.path == f"/v1/binaries/{sent['other']}"


def test_a_blocking_client_may_be_used_from_many_threads():
    blocking, daemon = client(*[FLEET] * 50)
    threads = [threading.Thread(target=blocking.fleet) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(daemon.asked) == 50
