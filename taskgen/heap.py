"""The C library's heap of this process: kept in one piece, and given back where it is free.

For a process of our own; a program that embeds us decides for itself. Without the GNU C library
nothing of this happens.
"""

from __future__ import annotations

import ctypes

_M_ARENA_MAX = -8  # malloc.h

_libc = ctypes.CDLL(None)


def share() -> None:
    """Have all threads use the same heap; to be called before there are any.

    Else each has its own, and keeps what it needed once. They take turns in Python anyway.
    """
    if mallopt := getattr(_libc, "mallopt", None):
        mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Give what is free back to the system, also between pieces that are in use. Takes about a
    millisecond for each ten megabytes."""
    if malloc_trim := getattr(_libc, "malloc_trim", None):
        malloc_trim(0)
