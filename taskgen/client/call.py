"""One call of the API, without I/O: what is sent, and how the answer is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from taskgen import __version__, errors
from taskgen.errors import DaemonError, StateError, TaskgenError
from taskgen.resources import Problem

T = TypeVar("T")

#: Answers of a proxy or of a daemon that is just going or coming: worth to be asked again.
BUSY = frozenset({502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """A call of the API.

    :ivar path: below ``/v1``; one that begins with ``/`` is whole.
    :ivar query: ``None`` values are left out, sequences are repeated.
    :ivar body: goes out as JSON.
    :ivar read: makes the result from an answer that is no error.
    :ivar repeatable: whether asking twice does no more than asking once.
    :ivar expected: statuses that ``read`` takes besides those of success.
    """

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True
    expected: frozenset[int] = frozenset()

    def request(self, client: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        """What goes out."""
        return client.build_request(
            self.method,
            self.path if self.path.startswith("/") else f"/v1/{self.path}",
            params=httpx.QueryParams(_query(self.query)),
            json=self.body,
            content=self.content,
            headers=dict(self.headers),
        )

    def result(self, response: httpx.Response) -> T:
        """The result of an answer that was read to its end.

        :raises TaskgenError: what the daemon says is wrong.
        """
        if not response.is_success and response.status_code not in self.expected:
            raise error_of(response)
        try:
            return self.read(response)
        except ValidationError as error:
            raise DaemonError(
                f"{self.method} {self.path}: the daemon's answer makes no sense to taskgen"
                f" {__version__}: {error.errors()[0]['msg']}",
                hint="taskgen status says which version the daemon is; use the same",
                status=response.status_code,
            ) from error

    def behind(self, cursor: str) -> Call[T]:
        """The call for the next page of a list."""
        return replace(self, query={**self.query, "after": cursor})


def reads(kind: type[T]) -> Callable[[httpx.Response], T]:
    """Reads a resource."""
    adapter = TypeAdapter(kind)
    return lambda response: adapter.validate_json(response.content)


def text(response: httpx.Response) -> str:
    """Reads plain text."""
    return response.text


def nothing(response: httpx.Response) -> None:
    """For answers that say no more than that it is done."""


def error_of(response: httpx.Response) -> TaskgenError:
    """The error that an answer tells, as the daemon itself would have raised it."""
    status = response.status_code
    method, path = response.request.method, response.request.url.path
    asked = f"{method} {path}"
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        problem = Problem(title=f"the daemon answered {status}", status=status)
        problem = problem.model_copy(update={"detail": asked if status in (404, 405) else ""})
    if status in (404, 405) and problem.detail.startswith(asked):
        return DaemonError(
            f"the daemon does not know {method} {path}",
            hint=f"is it another version than {__version__}? taskgen status says so",
            status=status,
        )
    message = problem.detail or problem.title
    kind = getattr(errors, problem.type.rpartition("/")[2], None)
    if isinstance(kind, type) and issubclass(kind, StateError):
        return _state_error(kind, message, problem.hint)
    if isinstance(kind, type) and issubclass(kind, DaemonError):
        return kind(message, hint=problem.hint, status=status)
    if isinstance(kind, type) and issubclass(kind, TaskgenError):
        return kind(message, hint=problem.hint)
    return DaemonError(message, hint=problem.hint, status=status)


def _state_error(kind: type[StateError], message: str, hint: str | None) -> StateError:
    # The message was put together where it was raised first.
    error = kind.__new__(kind)
    TaskgenError.__init__(error, message, hint=hint)
    error.state = error.required = ""
    return error


def _query(query: Mapping[str, Any]) -> list[tuple[str, str | int | float | bool | None]]:
    pairs: list[tuple[str, str | int | float | bool | None]] = []
    for name, value in query.items():
        if isinstance(value, Sequence) and not isinstance(value, str):
            pairs += [(name, one) for one in value]
        elif value is not None:
            pairs.append((name, value))
    return pairs
