"""Results of all jobs, as a file."""

from __future__ import annotations

from contextlib import aclosing
from typing import Annotated, Literal

from fastapi import Query
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from taskgen.api.body import StrictRouter
from taskgen.api.context import Here
from taskgen.api.paging import Labels, labels_of
from taskgen.api.problems import described
from taskgen.results.export import Export, Format, export
from taskgen.results.selection import Selection

router = StrictRouter(tags=["runs"])

_TEXT = {"schema": {"type": "string"}}
_BYTES = {"schema": {"type": "string", "format": "binary"}}
_FILES = {
    form.media_type.partition(";")[0]: _BYTES if form is Format.PARQUET else _TEXT
    for form in Format
}

_Time = Annotated[float | None, Query(ge=0, le=1e12, description="Seconds since the epoch.")]
_Failure = Literal["ok", "any", "task", "guest", "machine", "infrastructure"]
_Text = Annotated[str | None, Query(max_length=256)]


@router.get(
    "/results",
    response_class=StreamingResponse,
    responses=described(404, 422, 503, also={200: {"content": _FILES}}),
)
async def export_results(
    here: Here,
    *,
    format: Annotated[Format, Query(description="How the file is written.")] = Format.JSONL,
    job: _Text = None,
    label: Labels = None,
    target: _Text = None,
    failure: Annotated[
        _Failure | None,
        Query(description="ok: only results; any: only failed attempts; or a class of failures."),
    ] = None,
    since: _Time = None,
    until: _Time = None,
) -> StreamingResponse:
    """What came of runs, written as the handlers write it. It comes as it is read: a file that is
    cut off has no proper end."""
    chosen = Selection(
        job=job,
        labels=labels_of(label),
        target=target,
        failure=failure,
        since=since,
        until=until,
    )
    chunks = await export(here.service.queue, format, chosen)
    name = (
        f"taskgen-{job}.{format}"
        if job and job.isalnum() and job.isascii()
        else f"taskgen.{format}"
    )
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return _File(chunks, media_type=format.media_type, headers=headers)


class _File(StreamingResponse):
    """Gives back what the reading holds, whether or not it is read to its end."""

    def __init__(self, chunks: Export, **keys: object) -> None:
        self._chunks = chunks
        super().__init__(chunks, **keys)  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._chunks):
            await super().__call__(scope, receive, send)
