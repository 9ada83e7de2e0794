"""How the daemon is: status, health, configuration, metrics."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from fastapi import Response

from taskgen.api import look
from taskgen.api.body import StrictRouter
from taskgen.api.context import Here
from taskgen.api.metrics import CONTENT_TYPE
from taskgen.resources import Health, Status

router = StrictRouter(tags=["daemon"])
metrics_router = StrictRouter(tags=["daemon"])


@router.get("/status")
async def status(here: Here) -> Status:
    """The daemon at a glance."""
    return await look.status(here)


@router.get(
    "/health",
    responses={503: {"model": Health, "description": "It cannot do its work: see the problems."}},
)
async def health(here: Here, response: Response) -> Health:
    """Whether the daemon can do its work."""
    found = look.health(here)
    if not found.healthy:
        response.status_code = 503
    return found


@router.get("/config")
async def config(here: Here) -> dict[str, Any]:
    """The settings that the daemon works with, by section."""
    found = _plain(here.settings())
    assert isinstance(found, dict)
    return found


@metrics_router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(here: Here) -> Response:
    """The daemon's numbers, as Prometheus reads them."""
    return Response(here.metrics.text(), headers={"Content-Type": CONTENT_TYPE})


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(each) for each in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value).encode("utf-8", "replace").decode("utf-8")
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
