"""What can go wrong with a target, for tests to choose from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What a server does wrong. What should not be there comes just before a run's first event.

    :ivar never_available: ``AVAILABLE`` is not echoed.
    :ivar no_go_send: binaries are never asked for.
    :ivar no_profile: ``GET_PROFILE`` and ``GET_LIVE`` are not answered.
    :ivar hang_after_start: ``START`` is taken, and nothing happens.
    :ivar drop_after_events: the connection ends in each run after so many events; 0: at ``START``.
    :ivar die_mid_frame: the connection ends in the middle of a run's first frame.
    :ivar malformed_frame: a frame that is not XML.
    :ivar overlong_frame: the length of a frame that no server can send.
    :ivar unknown_event: an event of a type that does not exist.
    :ivar exit_without_start: an ``EXIT`` of an activation that never began.
    :ivar early_jobs_done: a ``JOBS_DONE`` before the first activation.
    :ivar frame_before_go_send: an event is pushed between ``SEND_BINARIES`` and ``GO_SEND``.
    :ivar frame_bytes: frames are filled up with NULs to so many bytes; 144 looks like ``GO_SEND``.
    :ivar trailing_rubbish: what stands behind the closing tag of every frame.
    :ivar write_bytes: all is written in pieces of so many bytes, each in its own turn of the event
        loop; 4 separates a frame's length from the frame.
    :ivar upload_bytes_per_s: how slowly a binary is taken.
    :ivar late_exits_s: what ``STOP`` and ``CLEAR`` killed is told so many seconds later.
    :ivar refused: ids of tasks that admission control refuses.
    """

    never_available: bool = False
    no_go_send: bool = False
    no_profile: bool = False
    hang_after_start: bool = False
    drop_after_events: int | None = None
    die_mid_frame: bool = False
    malformed_frame: bool = False
    overlong_frame: bool = False
    unknown_event: bool = False
    exit_without_start: bool = False
    early_jobs_done: bool = False
    frame_before_go_send: bool = False
    frame_bytes: int = 0
    trailing_rubbish: bytes = b""
    write_bytes: int | None = None
    upload_bytes_per_s: float | None = None
    late_exits_s: float = 0.0
    refused: frozenset[int] = frozenset()
