"""Calls about task binaries."""

from __future__ import annotations

import os
from pathlib import Path

from taskgen.client.call import Call, nothing, reads
from taskgen.client.calls.common import PAGE, path_of
from taskgen.errors import ConfigError
from taskgen.resources import Binary, Page


def binaries(*, page: int = PAGE) -> Call[Page[Binary]]:
    """The task binaries that were uploaded, as long as they are kept."""
    query = {"limit": page}
    return Call(method="GET", path="binaries", read=reads(Page[Binary]), query=query)


def has_binary(sha256: str) -> Call[bool]:
    """Whether the daemon has the task binary with this content."""
    return Call(
        method="HEAD",
        path=path_of("binaries", sha256),
        read=lambda response: response.is_success,
        expected=frozenset({404}),
    )


def put_binary(sha256: str, content: bytes) -> Call[None]:
    """Give the daemon a task binary.

    :raises BinaryError: if it is no program that a target could run.
    """
    return Call(
        method="PUT",
        path=path_of("binaries", sha256),
        read=nothing,
        content=content,
        headers={"Content-Type": "application/octet-stream"},
    )


def read_binary(path: str | os.PathLike[str]) -> bytes:
    """The content of a task binary.

    :raises ConfigError: if it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
