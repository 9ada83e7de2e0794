"""Tells the service manager how we are: systemd's protocol, sd_notify(3).

A datagram of ``KEY=value`` lines to a Unix socket is all there is to it; no library is needed.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import MutableMapping


class Notifier:
    """Says nothing where nobody asked for it.

    :param environment: read once, and cleared of what is only for us: children must not answer in
        our name.
    """

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        address = environment.pop("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        interval_us = environment.pop("WATCHDOG_USEC", "")
        for_us = environment.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        #: Seconds between two signs of life; 0: nobody waits for them. Half of what is allowed.
        self.interval_s = int(interval_us) / 2e6 if for_us and interval_us.isdigit() else 0.0

    def tell(self, *lines: str) -> None:
        """Send ``KEY=value`` lines. A manager that does not listen is no reason to fail."""
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as out:
            try:
                out.sendto("\n".join(lines).encode(), self._address)
            except OSError:
                return

    def ready(self, status: str) -> None:
        self.tell("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """Followed by :meth:`ready` when that is done."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str) -> None:
        self.tell("STOPPING=1", f"STATUS={status}")

    async def live(self) -> None:
        """Give signs of life from the event loop, as long as this is not cancelled."""
        while self.interval_s:
            self.tell("WATCHDOG=1")
            await asyncio.sleep(self.interval_s)
