"""Whatever the description allows, and whatever it does not: no 500, and no undocumented answer."""

import asyncio
import threading

import pytest
import schemathesis
from api_tools import TOKEN, document, served
from hypothesis import HealthCheck, settings
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    positive_data_acceptance,
    response_schema_conformance,
    status_code_conformance,
)

from taskgen.api import Context, make_app
from taskgen.bulletin import Bulletin

AUTHORIZATION = {"Authorization": f"Bearer {TOKEN}"}

#: What an answer must be like whatever was asked.
ALWAYS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]

SCHEMA = schemathesis.openapi.from_dict(
    make_app(Context(service=None, bulletin=Bulletin(), binaries=None)).openapi()
)

#: What these take has rules that no description tells: of task-sets, of the hash of a content.
DEEPER = {"POST /v1/jobs", "PUT /v1/binaries/{sha256}"}

few = settings(
    max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    """The API, served from a thread: its address, a job and a run."""
    up, found = threading.Event(), {}
    with pytest.MonkeyPatch.context() as monkeypatch:
        path = tmp_path_factory.mktemp("api")
        thread = threading.Thread(
            target=lambda: asyncio.run(_serve(path, monkeypatch, up, found)), daemon=True
        )
        thread.start()
        assert up.wait(60)
        yield found
        found["loop"].call_soon_threadsafe(found["end"].set)
        thread.join(60)
        assert not thread.is_alive()


async def _serve(path, monkeypatch, up, found):
    async with served(path, monkeypatch) as api:
        job = await api.ended(await api.add(2))
        found.update(url=api.tcp, job=job["id"], run=f"{job['id']}-0-1")
        found.update(loop=asyncio.get_running_loop(), end=asyncio.Event())
        await api.post("jobs", {"document": document(), "paused": True})
        api.context.bulletin.close()  # else event streams would have no end
        up.set()
        await found["end"].wait()


@SCHEMA.parametrize()
@few
def test_whatever_is_asked_is_answered_as_described(case, api):
    excluded = [positive_data_acceptance] if case.operation.label in DEEPER else []
    case.call_and_validate(base_url=api["url"], headers=AUTHORIZATION, excluded_checks=excluded)


@SCHEMA.include(path_regex=r"\{id\}").parametrize()
@few
def test_what_there_is_is_answered_as_described(case, api):
    case.path_parameters["id"] = api["run" if "/runs/{id}" in case.path else "job"]
    case.call_and_validate(base_url=api["url"], headers=AUTHORIZATION, checks=ALWAYS)
