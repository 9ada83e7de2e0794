"""What a request may hold: its size, and JSON that means the same to everybody."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from taskgen.api.problems import answer, plain

#: How deep JSON may be nested.
MAX_DEPTH = 64

#: Larger bodies are read in a thread, so that they keep nobody waiting.
_LARGE_BYTES = 64 * 2**10

#: Where a route reads its body itself, with a limit of its own.
_OWN_LIMIT = "/v1/binaries/"


class BodyLimit:
    """An app that refuses bodies which are too large, before they are in memory.

    :param at_most: bytes.
    """

    def __init__(self, app: ASGIApp, at_most: int) -> None:
        self._app = app
        self._at_most = at_most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_OWN_LIMIT):
            await self._app(scope, receive, send)
            return
        if (told := told_size(scope)) is not None and told > self._at_most:
            await answer(plain(413, self._why, instance=scope["path"]))(scope, receive, send)
            return
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._at_most:
                raise HTTPException(413, self._why)
            return message

        await self._app(scope, limited, send)

    @property
    def _why(self) -> str:
        return f"the body is larger than {self._at_most} bytes"


def told_size(scope: Scope) -> int | None:
    """The size of the body as its sender tells it."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return None


class StrictRoute(APIRoute):
    """A route whose JSON is taken strictly: no NaN, no halves of characters, not too deep."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(_StrictRequest(request.scope, request.receive))

        return strict


class StrictRouter(APIRouter):
    """A router of such routes."""

    def __init__(self, **keys: Any) -> None:
        super().__init__(route_class=StrictRoute, **keys)


class _StrictRequest(Request):
    async def json(self) -> Any:
        body = await self.body()
        try:
            if len(body) > _LARGE_BYTES:
                return await asyncio.to_thread(read_json, body)
            return read_json(body)
        except ValueError as error:
            raise HTTPException(400, f"the body {error}") from error


def read_json(body: bytes) -> Any:
    """The value of a JSON text.

    :raises ValueError: for what is no JSON, or what not every reader would take alike.
    """
    try:
        value = json.loads(body.decode(), parse_constant=_refuse, parse_float=_finite)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise ValueError(f"is no JSON: {error.msg}, {where}") from error
    except UnicodeDecodeError as error:
        raise ValueError("is not UTF-8") from error
    except RecursionError as error:
        raise ValueError(f"is nested deeper than {MAX_DEPTH} levels") from error
    _check(value)
    return value


def _refuse(name: str) -> float:
    raise ValueError(f"has {name}, which is no number in JSON")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"has a number that is too large: {text[:20]}")
    return value


def _check(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError(f"is nested deeper than {MAX_DEPTH} levels")
        inner: list[Any] = []
        for node in level:
            if isinstance(node, str):
                _check_text(node)
            elif isinstance(node, dict):
                for key in node:
                    _check_text(key)
                inner += node.values()
            elif isinstance(node, list):
                inner += node
        level = inner


def _check_text(text: str) -> None:
    if "\0" in text:
        raise ValueError("has a text with a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("has a text with half of a surrogate pair") from error
