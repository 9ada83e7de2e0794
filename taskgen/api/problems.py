"""Every error as the API tells it: RFC 9457, ``application/problem+json``."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import compile_path

from taskgen.errors import (
    HostError,
    LocalProtocolError,
    MachineError,
    NoMachinesError,
    QueueError,
    SessionError,
    SetupError,
    StateError,
    TaskgenError,
    UnknownJobError,
    UnknownMachineError,
    UnknownRunError,
)
from taskgen.resources import Problem

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

#: The status of an error; the first class that fits counts.
STATUSES: Sequence[tuple[type[TaskgenError], int]] = (
    (UnknownJobError, 404),
    (UnknownRunError, 404),
    (UnknownMachineError, 404),
    (StateError, 409),
    (NoMachinesError, 409),
    (HostError, 503),  # not the request is to blame
    (SetupError, 422),
    (LocalProtocolError, 422),  # a value that cannot go on the wire
    (QueueError, 503),
    (MachineError, 503),
    (SessionError, 503),
    (TaskgenError, 500),
)

#: What each error is called in the description.
MEANINGS = {
    400: "The request cannot be read.",
    401: "The token is missing or wrong; only over TCP.",
    404: "There is no such thing.",
    409: "The state does not allow it.",
    413: "The body is too large.",
    422: "A value is not valid.",
    503: "It cannot be done now.",
}


def described(
    *statuses: int, also: Mapping[int, dict[str, Any]] | None = None
) -> dict[int | str, dict[str, Any]]:
    """The answers of a route, for its description.

    :param statuses: of the errors that it may tell.
    :param also: what is to be said of others.
    """
    answers: dict[int | str, dict[str, Any]] = {}
    for status, said in (also or {}).items():
        answers[status] = said
    for status in statuses:
        answers[status] = {"model": Problem, "description": MEANINGS[status]}
    return answers


def status_of(error: TaskgenError) -> int:
    """The HTTP status of an error of ours."""
    return next(status for kind, status in STATUSES if isinstance(error, kind))


def answer(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The response that tells a problem."""
    return Response(
        problem.model_dump_json(exclude_none=True).encode(),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=None if headers is None else dict(headers),
    )


def problem_of(error: TaskgenError, instance: str | None = None) -> Problem:
    """An error of ours as a problem."""
    return Problem(
        type=f"/problems/{type(error).__name__}",
        title=_title(type(error)),
        status=status_of(error),
        detail=_printable(error.message),
        hint=None if error.hint is None else _printable(error.hint),
        instance=instance,
    )


def plain(status: int, detail: str, *, hint: str | None = None, instance: str | None) -> Problem:
    """A problem that only has a status."""
    title = HTTPStatus(status).phrase
    return Problem(
        title=title, status=status, detail=_printable(detail), hint=hint, instance=instance
    )


def install(app: FastAPI) -> None:
    """Have the app tell all errors as problems."""
    app.add_exception_handler(TaskgenError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_bug)


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, TaskgenError)
    problem = problem_of(error, _place(request))
    if problem.status >= 500:
        log.warning("%s: %s", _place(request), error)
    return answer(problem)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [_fault(one) for one in error.errors()]
    more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
    detail = "; ".join(faults[:5]) + more
    return answer(plain(422, detail, instance=_place(request)))


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = str(error.detail)
    if detail == HTTPStatus(error.status_code).phrase:
        detail = f"{request.scope.get('method', '')} {_place(request)}: {detail.lower()}"
    headers = {"Allow": _allowed(request)} if error.status_code == 405 else error.headers
    return answer(plain(error.status_code, detail, instance=_place(request)), headers)


def _allowed(request: Request) -> str:
    """The methods that a path has; each has a route of its own."""
    for template, methods in request.app.openapi()["paths"].items():
        if compile_path(template)[0].fullmatch(request.scope["path"]):
            return ", ".join(sorted(method.upper() for method in methods))
    return ""


async def _on_bug(request: Request, error: Exception) -> Response:
    """The server logs it with its traceback."""
    return answer(
        plain(
            500,
            f"{type(error).__name__}: this is a bug in Taskgen",
            hint="the daemon's log has the traceback: please report it",
            instance=_place(request),
        )
    )


def _fault(error: Mapping[str, Any]) -> str:
    """One fault of a request, naming the field."""
    place, *rest = error["loc"]
    field = ".".join(str(part)[:100] for part in rest)
    return f"{place} {field}: {error['msg']}" if field else f"{place}: {error['msg']}"


def _title(kind: type[TaskgenError]) -> str:
    return (kind.__doc__ or kind.__name__).partition("\n")[0].rstrip(".")


def _place(request: Request) -> str:
    return _printable(request.url.path)


def _printable(text: str) -> str:
    """Text that JSON can hold: without halves of pairs."""
    return text.encode("utf-8", "replace").decode("utf-8")
