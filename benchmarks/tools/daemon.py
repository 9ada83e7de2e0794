"""A daemon with a state directory of its own, to be started, killed, and started again."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from taskgen.client import Client

TASKGEND = Path(sys.executable).parent / "taskgend"

#: Seconds after which something that should have happened counts as failed.
PATIENCE_S = 240


class DaemonProcess:
    """A daemon, over all its lives. Leaving the block ends it, and what it has launched.

    :param folder: for its directories; the user that QEMU runs as must be able to pass it.
    :param settings: the text of its configuration file.
    :ivar process: the live one, or the last.
    """

    def __init__(self, folder: Path, settings: str) -> None:
        self.folder = folder
        self.state, self.run = folder / "state", folder / "run"
        self.log = folder / "daemon.log"
        self.socket = self.run / "taskgen.sock"
        self.config = folder / "taskgen.toml"
        self.config.write_text(settings, encoding="utf-8")
        self.process: subprocess.Popen[bytes] | None = None
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(folder / "notify"))
        self._client: Client | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Where it is, for whoever wants to talk to it."""
        return {
            "TASKGEN_STATE": str(self.state),
            "TASKGEN_RUN": str(self.run),
            "TASKGEN_QEMU__ACCELERATOR": "tcg",
            "TASKGEN_API__LISTEN": "",
        }

    @property
    def pid(self) -> int:
        assert self.process, "it was not started"
        return self.process.pid

    @property
    def client(self) -> Client:
        """Talks to it, in all its lives."""
        if self._client is None:
            self._client = Client(socket=self.socket, timeout_s=PATIENCE_S)
        return self._client

    def launch(self) -> float:
        """Start it, and do not wait until it is ready; the moment, by ``time.monotonic``."""
        self._forget_notices()
        with self.log.open("ab") as log:
            began = time.monotonic()
            self.process = subprocess.Popen(
                [str(TASKGEND), "--config", str(self.config)],
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={
                    **os.environ,
                    **self.environment,
                    "NOTIFY_SOCKET": str(self.folder / "notify"),
                },
                start_new_session=True,  # Ctrl-C is for us
            )
        return began

    def start(self) -> float:
        """Start it and wait until it says that it is ready; the moment at which it was started."""
        began = self.launch()
        self.wait_ready()
        return began

    def wait_ready(self) -> None:
        """Wait until it says so to the service manager, which is us."""
        assert self.process, "it was not started"
        end = os.pidfd_open(self.process.pid)
        deadline = time.monotonic() + PATIENCE_S
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._notify, selectors.EVENT_READ)
                selector.register(end, selectors.EVENT_READ)
                while ready := selector.select(deadline - time.monotonic()):
                    if any(key.fileobj is self._notify for key, _ in ready):
                        if b"READY=1" in self._notify.recv(4096):
                            return
                    else:
                        raise RuntimeError(f"the daemon has ended: {self.said[-3:]}")
            raise RuntimeError(f"the daemon is not ready after {PATIENCE_S} s: {self.said[-3:]}")
        finally:
            os.close(end)

    def _forget_notices(self) -> None:
        """An earlier life may have said that it is ready, and was killed before anybody read it."""
        with suppress(BlockingIOError):
            while self._notify.recv(4096, socket.MSG_DONTWAIT):
                pass

    def kill(self) -> None:
        """End it by ``SIGKILL``; its machines go on."""
        assert self.process, "it was not started"
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """Let it end in good order; the exit status."""
        assert self.process, "it was not started"
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    @property
    def entries(self) -> list[dict[str, Any]]:
        """What it has logged in all its lives."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        found = []
        for line in text.splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:  # not by its log: a crash of Python itself
                found.append({"level": "raw", "message": line})
        return found

    @property
    def said(self) -> list[str]:
        """The messages of its log."""
        return [str(entry["message"]) for entry in self.entries]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._client:
                self._client.close()
            if self.process and self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
                try:
                    self.process.wait(30)
                except subprocess.TimeoutExpired:
                    self.kill()
            taskgen = TASKGEND.with_name("taskgen")
            subprocess.run(  # what a daemon that was killed has left
                [str(taskgen), "down"],
                env={**os.environ, **self.environment},
                stdout=subprocess.DEVNULL,
                check=False,
            )
        finally:
            self._notify.close()
