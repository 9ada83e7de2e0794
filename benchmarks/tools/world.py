"""A network and a ``/run`` of the process's own: what runs in it cannot meet the host's."""

from __future__ import annotations

import ctypes
import os

from pyroute2 import IPRoute

_CLONE_NEWNS, _CLONE_NEWNET = 0x00020000, 0x40000000
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000

_libc = ctypes.CDLL(None, use_errno=True)


def enter_world() -> None:
    """Move this process, and all that it starts, there. There is no way back.

    To be called before any thread is made.

    :raises OSError: if we are not root, or the kernel refuses.
    """
    _check(_libc.unshare(_CLONE_NEWNS | _CLONE_NEWNET))
    _check(_libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None))
    _check(_libc.mount(b"tmpfs", b"/run", b"tmpfs", 0, b"mode=755"))
    with IPRoute() as ipr:
        ipr.link("set", index=1, state="up")  # the loopback device


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
