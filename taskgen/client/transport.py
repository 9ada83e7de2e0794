"""What becomes of a connection that fails, and when a call is worth to be sent again."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpcore
import httpx

from taskgen.client.address import Address
from taskgen.client.call import BUSY, Call
from taskgen.errors import DaemonUnreachableError

#: Seconds until a lost call is sent again, one after the other: a daemon restarts in that time.
REPEATS_S = (0.1, 0.4, 1.5, 3.0)


def is_lost(error: httpx.TransportError) -> bool:
    """Whether the connection was there and then went: the daemon may have done what was asked."""
    return isinstance(error, httpx.ReadError | httpx.WriteError | httpx.RemoteProtocolError)


def over_socket(path: Path) -> httpx.HTTPTransport:
    """Carries requests over a Unix socket."""
    transport = httpx.HTTPTransport(uds=str(path))
    transport._pool = httpcore.ConnectionPool(uds=str(path), network_backend=_Connecting())
    return transport


class _Connecting(httpcore.SyncBackend):
    """Leaves nothing open where nobody answers, which httpcore does: whoever runs Python with
    ``-W error`` would see that, and not our error."""

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(timeout)
            try:
                probe.connect(path)
            except OSError as error:
                raise httpcore.ConnectError(str(error)) from error
        return super().connect_unix_socket(path, timeout, socket_options)


class Repeats:
    """Decides for one call whether to send it again, and after how many seconds."""

    def __init__(self, call: Call[Any]) -> None:
        self._delays = iter(REPEATS_S if call.repeatable else ())
        self._expected = call.expected
        self._begun = False

    def after(self, failure: httpx.TransportError | httpx.Response) -> float | None:
        """Seconds to wait before the call is sent again; ``None``: it is not.

        A daemon that is not there at first is told at once; one that went in mid-call may be back.
        """
        if isinstance(failure, httpx.Response):
            status = failure.status_code
            again = status in BUSY - self._expected and "retry-after" in failure.headers
        else:
            again = is_lost(failure) or (self._begun and isinstance(failure, httpx.ConnectError))
        self._begun = self._begun or again
        return next(self._delays, None) if again else None


def unreachable(address: Address, error: Exception) -> DaemonUnreachableError:
    """The error for people, from what the operating system said."""
    number = next((e.errno for e in _causes(error) if isinstance(e, OSError) and e.errno), 0)
    if isinstance(error, httpx.TimeoutException):
        return DaemonUnreachableError(
            f"the daemon at {address} gave no answer in time", hint="taskgen doctor looks why"
        )
    if number in (errno.EACCES, errno.EPERM):
        return DaemonUnreachableError(
            f"the daemon's socket {address} is not yours to use",
            hint="become a member of the group taskgen (adduser NAME taskgen), and log in again",
        )
    if isinstance(error, httpx.ConnectError | FileNotFoundError | ConnectionRefusedError):
        return DaemonUnreachableError(
            f"no daemon answers at {address}",
            hint="start it: systemctl start taskgend, or taskgen daemon",
        )
    return DaemonUnreachableError(
        f"the connection to the daemon at {address} was lost: {error or type(error).__name__}",
        hint="it may be restarting: try again",
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
