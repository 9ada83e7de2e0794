"""Commands are imported when they are used, and listed as they call themselves."""

import subprocess
import sys

import click
import pytest

from taskgen.cli.lazy import LazyGroup
from taskgen.cli.main import cli


def lazies(group=cli, above=""):
    for name, lazy in group.lazy.items():
        words = f"{above} {name}".strip()
        yield words, lazy
        if isinstance(command := lazy.load(), LazyGroup):
            yield from lazies(command, words)


def imported(*words):
    """The modules that a command line imports."""
    program = (
        "import sys\n"
        "from taskgen.cli.main import main\n"
        f"sys.argv = ['taskgen', *{words!r}]\n"
        "try:\n"
        "    main()\n"
        "except SystemExit:\n"
        "    pass\n"
        "print('MODULES', *sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.rpartition("MODULES ")[2].split())


@pytest.mark.parametrize(("words", "lazy"), list(lazies()), ids=lambda value: str(value)[:30])
def test_a_command_is_listed_as_its_help_begins(words, lazy):
    command = lazy.load()
    assert isinstance(command, click.Command)
    assert " ".join(command.help.split()).startswith(lazy.help.rstrip("."))


def test_help_imports_none_of_the_commands():
    ours = {name for name in imported("--help") if name.startswith("taskgen")}
    assert ours == {
        "taskgen",
        "taskgen.cli",
        "taskgen.cli.commands",
        "taskgen.cli.lazy",
        "taskgen.cli.main",
        "taskgen.cli.note",
        "taskgen.errors",
        "taskgen.printable",
    }


def test_help_imports_neither_the_client_nor_tables():
    assert not imported("--help") & {"asyncio", "httpx", "pydantic", "rich", "pyroute2"}


@pytest.mark.parametrize("words", [("status",), ("machine", "ls"), ("job", "ls")])
def test_what_only_asks_the_daemon_imports_no_engine(words, monkeypatch, tmp_path):
    monkeypatch.setenv("TASKGEN_SOCKET", str(tmp_path / "none.sock"))
    engine = {"engine", "queue", "pool", "machine", "session", "service", "local", "distributor"}
    found = imported(*words)
    assert "taskgen.client" in found
    assert not found & {f"taskgen.{name}" for name in engine}
    assert not found & {"pyroute2", "qemu.qmp", "numpy"}


def test_a_group_lists_its_commands_under_their_titles():
    shown = cli.get_help(click.Context(cli, info_name="taskgen"))
    titles = [line for line in shown.splitlines() if line and not line.startswith(" ")]
    assert titles[-len(cli.sections) :] == [f"{title}:" for title in cli.sections]


def test_completion_of_commands_imports_none_of_them(monkeypatch):
    monkeypatch.setenv("_TASKGEN_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "taskgen ma")
    monkeypatch.setenv("COMP_CWORD", "1")
    found = imported()
    assert "taskgen.cli.machine" not in found
