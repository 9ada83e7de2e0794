"""The world of one page: a reader, a daemon that has all its defaults, and the page's blocks."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from command import Result
from daemon_world import Daemon, running
from pages import Block, blocks, every_block
from reader import Reader, commands, is_told, keys_shown
from world import nothing_left

from taskgen import assets
from taskgen.client import Client
from taskgen.taskset import TaskSet

#: Checks a block that shows something; raises ``AssertionError`` where that is not so.
Check = Callable[["World", Block], None]

#: Beginnings of the commands that end with Ctrl-C only.
ENDLESS = ("taskgen events", "api -N")

#: Where the first steps are made, there is no daemon yet.
WITHOUT_DAEMON = {"README.md"}


class World:
    """A reader of one page, and what came of its blocks.

    :param shown: by a block's page and first line, what checks it where it is nothing to type.
    :ivar said: by the first line of a block, what its commands have said.
    """

    def __init__(
        self, page: str, reader: Reader, daemon: Daemon | None, shown: Mapping[Any, Check]
    ) -> None:
        self.reader, self.daemon = reader, daemon
        self.said: dict[str, list[Result]] = {}
        self._shown = shown
        self._imports = ""
        self._ahead = blocks(page)

    def read_to(self, end: Block | None = None) -> None:
        """Run all blocks up to one, or all that there are."""
        while self._ahead and (end is None or self._ahead[0].line <= end.line):
            self._run(self._ahead.pop(0))

    def _run(self, block: Block) -> None:
        match block.language:
            case _ if block.file:
                (self.reader.work / block.file).write_text(block.text, encoding="utf-8")
            case "sh":
                for command in commands(block.text):
                    self._type(block, command)
            case "python":
                self._ended(block, self.reader.runs(self._imports + block.text), block.text)
                self._imports += _imports(block.text)
            case "toml":
                (self.reader.work / "taskgen.toml").write_text(block.text, encoding="utf-8")
                self._type(block, "taskgen config show --config taskgen.toml")
            case "":
                self._check(block)
            case _:
                pytest.fail(f"{block}: nobody knows how to run {block.language!r}")

    def _type(self, block: Block, command: str) -> None:
        if command.startswith(ENDLESS):
            with self.work_at_hand() as job:
                self.reader.define(job=job)
                shown = self.reader.follows(command, until=job)
            self.said.setdefault(block.start, []).append(Result(0, shown, ""))
            return
        done = self.reader.types(command)
        self._ended(block, done, command)
        assert bool(done.out) == is_told(command), f"{block}: {command}\nsays {done.out!r}"
        if keys := keys_shown(command):
            assert set(json.loads(done.out)) == keys, f"{block}: {command}"

    def _ended(self, block: Block, done: Result, typed: str) -> None:
        assert done.status == 0, f"{block}: {typed}\nexit status {done.status}: {done.err}"
        self.said.setdefault(block.start, []).append(done)

    def _check(self, block: Block) -> None:
        check = self._shown.get((block.page, block.start))
        assert check, f"{block}: nothing to type, and nobody knows how to check it"
        check(self, block)

    @contextmanager
    def work_at_hand(self) -> Iterator[str]:
        """A job that has runs at any time in the block: its id."""
        endless = TaskSet([{"pkg": "hey", "period": 10, "numberofjobs": 1}])
        with Client() as client:
            job = client.add_job(endless, repeat=1_000_000)
            yield job.id
            client.cancel_job(job.id)


def _imports(program: str) -> str:
    found = [n for n in ast.parse(program).body if isinstance(n, ast.Import | ast.ImportFrom)]
    return "".join(f"{ast.unparse(each)}\n" for each in found)


@contextmanager
def own_var() -> Iterator[None]:
    """A ``/var`` that the block alone has: documents say where things are, and tests have no
    business there."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/var"], check=True)
    try:
        Path("/var/run").symlink_to("/run")
        for name, mode in (("lib", 0o755), ("backups", 0o755), ("tmp", 0o1777)):
            Path("/var", name).mkdir()
            Path("/var", name).chmod(mode)
        yield
    finally:
        subprocess.run(["umount", "--lazy", "/var"], check=True)


def bring_task_sets(work: Path) -> None:
    """What the page says of its examples."""
    page = every_block("docs/tasksets.md")
    for name, language in (("my_sets.py", "python"), ("set.toml", "toml")):
        first = next(block for block in page if block.language == language)
        (work / name).write_text(first.text, encoding="utf-8")


def bring_binary(work: Path) -> None:
    shutil.copy(assets.root() / "build" / "guest" / "tasks" / "hey", work)


#: What a reader of a page has in their directory already.
BROUGHT = {"docs/api.md": bring_binary, "docs/cli.md": bring_task_sets}


@contextmanager
def open_world(page: str, shown: Mapping[Any, Check]) -> Iterator[World]:
    """The world of a page, which leaves nothing behind; ``shown`` as for :class:`World`."""
    with ExitStack() as stack:
        stack.enter_context(nothing_left())
        stack.enter_context(own_var())
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir="/run"))
        reader = Reader(Path(folder))
        if page in BROUGHT:
            BROUGHT[page](reader.work)
        daemon = None
        if page not in WITHOUT_DAEMON:
            where = {"TASKGEN_API__LISTEN": "127.0.0.1:7323"}
            daemon = stack.enter_context(running(Path("/var/lib/taskgen"), **where))
        yield World(page, reader, daemon, shown)
