"""Task binaries that were uploaded, by the hash of their content."""

from __future__ import annotations

from typing import Annotated

from fastapi import HTTPException, Path, Request, Response
from fastapi.responses import FileResponse

from taskgen.api.body import StrictRouter, told_size
from taskgen.api.context import Context, Here
from taskgen.api.paging import AfterName, Limit, page_by_name
from taskgen.api.problems import described
from taskgen.host.waiting import in_thread
from taskgen.resources import Binary, Page

router = StrictRouter(prefix="/binaries", tags=["binaries"])

Hash = Annotated[
    str, Path(pattern="^[0-9a-f]{64}$", description="SHA-256 of the content, in hexadecimal.")
]

_OCTETS = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


@router.get("", responses=described(422))
async def list_binaries(here: Here, after: AfterName = "", limit: Limit = 100) -> Page[Binary]:
    """The binaries that are there. Those that no job names go after a while."""
    found = await in_thread(None, here.binaries.entries)
    every = (
        Binary(sha256=each.sha256, size=each.size, architecture=each.architecture) for each in found
    )
    return page_by_name(every, after, limit, lambda each: each.sha256)


@router.put(
    "/{sha256}",
    status_code=204,
    responses=described(
        400,
        413,
        422,
        503,
        also={201: {"description": "It was not there."}, 204: {"description": "It was there."}},
    ),
    openapi_extra={"requestBody": {"content": _OCTETS, "required": True}},
)
async def put_binary(here: Here, sha256: Hash, request: Request) -> Response:
    """Upload a task binary: an ELF file for an architecture of the daemon's profiles."""
    content = await _content(here, request)
    new = await in_thread(None, here.binaries.put, sha256, content)
    return Response(status_code=201 if new else 204)


@router.head("/{sha256}", responses=described(404, 422))
async def has_binary(here: Here, sha256: Hash) -> Response:
    """Whether it is there. It is then kept for a while, so that a job can name it."""
    if not await in_thread(None, here.binaries.has, sha256):
        raise _missing(sha256)
    return Response(media_type="application/octet-stream")


@router.get(
    "/{sha256}",
    response_class=FileResponse,
    responses=described(404, 422, also={200: {"content": _OCTETS}}),
)
async def get_binary(here: Here, sha256: Hash) -> Response:
    """Its content."""
    if not await in_thread(None, here.binaries.has, sha256):
        raise _missing(sha256)
    return FileResponse(here.binaries.path(sha256), media_type="application/octet-stream")


def _missing(sha256: str) -> HTTPException:
    return HTTPException(404, f"task binary {sha256}: was not uploaded, or is not kept any more")


async def _content(context: Context, request: Request) -> bytes:
    at_most = context.limits.binary_bytes
    told = told_size(request.scope)
    content = bytearray()
    if told is None or told <= at_most:
        async for chunk in request.stream():
            content += chunk
            if len(content) > at_most:
                break
        else:
            return bytes(content)
    raise HTTPException(413, f"the binary is larger than {at_most} bytes")
