"""The ASGI application: routes, limits, errors, description."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware

from taskgen import __version__
from taskgen.api import problems
from taskgen.api.body import BodyLimit, StrictRouter
from taskgen.api.context import Context
from taskgen.api.meter import Meter
from taskgen.api.routes import (
    binaries,
    console,
    daemon,
    events,
    fleet,
    hosts,
    jobs,
    machine_log,
    machines,
    results,
    runs,
)

PREFIX = "/v1"

_ABOUT = """\
Talks to `taskgend`. On its Unix socket everybody may who may open it; over TCP a bearer token is
needed. All errors are problems as of RFC 9457. Times are seconds since the epoch, durations
seconds, unless a name says otherwise.
"""


def make_app(context: Context) -> FastAPI:
    """The API of a service."""
    app = FastAPI(
        title="Taskgen",
        version=__version__,
        description=_ABOUT,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,  # they load scripts from other people's servers
        redoc_url=None,
        redirect_slashes=False,
        responses=problems.described(401),
        generate_unique_id_function=lambda route: route.name,
        middleware=[
            Middleware(Meter, metrics=context.metrics),
            Middleware(BodyLimit, at_most=context.limits.body_bytes),
        ],
    )
    app.state.context = context
    problems.install(app)
    app.include_router(_v1())
    app.include_router(daemon.metrics_router)
    describe = app.openapi
    app.openapi = lambda: _finished(describe())  # type: ignore[method-assign]
    return app


def _v1() -> StrictRouter:
    v1 = StrictRouter(prefix=PREFIX)
    for part in (
        daemon,
        fleet,
        machines,
        machine_log,
        console,
        hosts,
        jobs,
        runs,
        events,
        results,
        binaries,
    ):
        v1.include_router(part.router)
    return v1


def _finished(description: dict[str, Any]) -> dict[str, Any]:
    """The description with problems under their own media type, whatever else a route answers."""
    told = {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path in description["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if status >= "400" and response["description"] == problems.MEANINGS[int(status)]:
                    response["content"] = told
    return description
