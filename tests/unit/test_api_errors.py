"""Whatever is asked: a clear answer, never a 500, and nothing is changed by what is refused."""

import asyncio
import json

import pytest
from api_tools import document, served

from taskgen.api.context import Limits
from taskgen.api.problems import STATUSES, problem_of, status_of
from taskgen.errors import (
    BootError,
    HostError,
    QueueError,
    StateError,
    TaskgenError,
    TaskSetError,
    UnknownJobError,
)
from taskgen.resources import Problem


def ask(tmp_path, monkeypatch, *requests, **options):
    """The answers to requests, all of them problems."""

    async def main():
        async with served(tmp_path, monkeypatch, fakes=0, **options) as api:
            answers = []
            for method, path, keys in requests:
                response = await api.client.request(method, path, **keys)
                assert response.headers["content-type"] == "application/problem+json"
                problem = Problem.model_validate_json(response.content)
                assert problem.status == response.status_code
                answers.append(problem)
            assert await api.queue.jobs() == []
            return answers

    return asyncio.run(main())


def sent(body, **keys):
    """A POST of a job whose body is a text."""
    headers = {"Content-Type": "application/json", **keys}
    return "POST", "/v1/jobs", {"content": body, "headers": headers}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnknownJobError("x"), 404),
        (QueueError("x"), 503),
        (TaskSetError("x"), 422),
        (HostError("x"), 503),
        (StateError("x", state="a", required="b"), 409),
        (BootError("x"), 503),
        (TaskgenError("x"), 500),
    ],
)
def test_each_error_of_ours_has_its_status(error, status):
    assert status_of(error) == status
    assert problem_of(error).type == f"/problems/{type(error).__name__}"


def test_no_entry_of_the_table_is_hidden_by_one_before_it():
    for number, (kind, _) in enumerate(STATUSES):
        assert not [k for k, _ in STATUSES[:number] if issubclass(kind, k)]


def test_an_error_keeps_its_hint(tmp_path, monkeypatch):
    [problem] = ask(tmp_path, monkeypatch, sent("{}"))
    assert (problem.status, problem.type) == (422, "/problems/TaskSetError")
    assert "exactly one of" in problem.detail
    assert problem.hint
    assert problem.instance == "/v1/jobs"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1", 404),
        ("GET", "/v2/status", 404),
        ("GET", "/v1/jobs/", 404),
        ("GET", "/v1/%00", 404),
        ("POST", "/v1/status", 405),
        ("DELETE", "/v1/jobs", 405),
        ("PUT", "/v1/fleet", 405),
        ("GET", "/v1/machines/taskgen-1", 404),
        ("POST", "/v1/machines/taskgen-1/kill", 404),
        ("GET", "/v1/machines/taskgen-1/log", 404),
        ("GET", "/docs", 404),
    ],
)
def test_what_there_is_not_is_a_problem_too(tmp_path, monkeypatch, method, path, status):
    [problem] = ask(tmp_path, monkeypatch, (method, path, {}))
    assert problem.status == status
    assert problem.detail


def test_a_wrong_method_is_told_the_right_ones(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch, fakes=0) as api:
            response = await api.client.put("/v1/fleet")
            assert set(response.headers["allow"].split(", ")) == {"GET", "PATCH"}

    asyncio.run(main())


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("", "body"),
        ("nonsense", "JSON"),
        ('{"document": {"version": NaN}}', "NaN"),
        ('{"document": {"version": Infinity}}', "Infinity"),
        ('{"document": {"version": 1e999}}', "too large"),
        ('{"name": "\\ud800"}', "surrogate"),
        ('{"document": {"\\udfff": 1}}', "surrogate"),
        ('{"name": "a\\u0000b"}', "NUL"),
        ('{"labels": {"\\u0000": "b"}}', "NUL"),
        ('{"document": ' + "[" * 100 + "]" * 100 + "}", "nested"),
        ("[" * 100_000, "nested"),
        ('{"document": ' + '{"a":' * 100_000, "nested"),
        (b'{"name": "\xff"}', "UTF-8"),
        ('{"priority": ' + "9" * 5000 + "}", ""),
        ('{"priority": 10000000000000000000000}', "priority"),
        ('{"offset": -1}', "offset"),
        ('{"limit": 9223372036854775808}', "limit"),
        ('{"repeat": 0}', "repeat"),
        ('{"tries": 1.5}', "tries"),
        ('{"name": 5}', "name"),
        ('{"tries": "5"}', "tries"),
        ('{"priority": true}', "priority"),
        ('{"paused": 1}', "paused"),
        ('{"nmae": "x"}', "nmae"),
        ('{"labels": {"a": 1}}', "labels.a"),
        (json.dumps({"labels": {"a": "x" * 257}}), "labels.a"),
        (json.dumps({"labels": {"a" * 257: "x"}}), "labels"),
        (json.dumps({"labels": {str(n): "" for n in range(65)}}), "labels"),
        ('{"binaries": {"hey": "../../etc/passwd"}}', "binaries.hey"),
        ('{"duration_s": 0}', "duration_s"),
        ('{"duration_s": 1e300}', "duration_s"),
        ('{"document": 5}', "document"),
        ('{"document": {}}', "version"),
        ('{"document": {"version": 1}, "taskset": "hey.Hey1TaskSet"}', "exactly one"),
        ('{"document": {"version": 1, "task": [{"pkg": 5}]}}', "pkg"),
        ('{"document": {"version": 1, "task": [{"pkg": "nope", "period": 1}]}}', "nope"),
        (json.dumps({"document": document(1, numberofjobs=0)}), "never ends"),
        (json.dumps({"document": document(), "profile": "nope"}), "nope"),
        (json.dumps({"document": document(), "admission_control": {"a b": 1}}), "admission"),
        (json.dumps({"document": document(), "admission_control": {"a": [[[{}]]]}}), ""),
        ("[]", "body"),
        ("null", "body"),
        ('"text"', "body"),
    ],
)
def test_a_bad_job_names_what_is_wrong(tmp_path, monkeypatch, body, what):
    [problem] = ask(tmp_path, monkeypatch, sent(body))
    assert problem.status in (400, 422)
    assert what in problem.detail


def test_so_many_variants_that_no_number_can_count_them_are_refused_or_queued(
    tmp_path, monkeypatch
):
    async def main():
        async with served(tmp_path, monkeypatch, fakes=0) as api:
            values = list(range(1, 400))
            task = {
                "pkg": "hey",
                **dict.fromkeys(("period", "offset", "priority", "deadline"), values),
            }
            many = {"version": 1, "task": [dict(task) for _ in range(4)]}
            response = await api.client.post("/v1/jobs", json={"document": many})
            assert response.status_code in (201, 422), response.text

    asyncio.run(main())


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=501", "limit=x", "after=-1", f"after={2**63}", "after=%00", "state=odd",
     "label=x", "label=%00", "after=" + "9" * 5000],
)  # fmt: skip
def test_a_bad_query_names_what_is_wrong(tmp_path, monkeypatch, query):
    [problem] = ask(tmp_path, monkeypatch, ("GET", f"/v1/jobs?{query}", {}))
    assert problem.status == 422
    assert query.partition("=")[0] in problem.detail


@pytest.mark.parametrize("key", ["", "x" * 257])
def test_a_key_has_a_length(tmp_path, monkeypatch, key):
    body = json.dumps({"document": document()})
    [problem] = ask(tmp_path, monkeypatch, sent(body, **{"Idempotency-Key": key}))
    assert "idempotency-key" in problem.detail


def test_a_body_that_says_no_type_or_another_is_refused(tmp_path, monkeypatch):
    body = json.dumps({"document": document()})
    one, other = ask(
        tmp_path,
        monkeypatch,
        ("POST", "/v1/jobs", {"content": body, "headers": {"Content-Type": "text/plain"}}),
        ("POST", "/v1/jobs", {"content": body}),
    )
    assert (one.status, other.status) == (422, 422)


def test_a_body_that_is_too_large_is_refused_whether_or_not_it_says_so(tmp_path, monkeypatch):
    body = json.dumps({"document": document(), "name": "x" * 2000}).encode()

    async def pieces():
        for start in range(0, len(body), 100):
            yield body[start : start + 100]

    headers = {"Content-Type": "application/json"}
    told, untold = ask(
        tmp_path,
        monkeypatch,
        ("POST", "/v1/jobs", {"content": body, "headers": headers}),
        ("POST", "/v1/jobs", {"content": pieces(), "headers": headers}),
        limits=Limits(body_bytes=1000),
    )
    assert (told.status, untold.status) == (413, 413)
    assert "1000 bytes" in untold.detail


def test_a_bug_is_a_problem_too_and_does_not_tell_secrets(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch, fakes=0) as api:

            def broken(*args, **keys):
                raise KeyError("secret")

            monkeypatch.setattr("taskgen.api.look.status", broken)
            problem = await api.get("status", 500)
            assert problem["detail"].startswith("KeyError")
            assert "secret" not in json.dumps(problem)

    asyncio.run(main())
