"""A reader who types what a document shows, one command after the other, in one shell."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from command import PATIENCE_S, TASKGEN, Result, environment
from daemon_world import Terminal

#: Leaves to the next command what one has defined: aliases, variables (those of people are in
#: small letters, and one at least is there: ``status``) and the directory.
_SCRIPT = """
shopt -s expand_aliases
set -o pipefail
. {defined}
trap 'status=$?
{{ pwd | sed "s/.*/cd &/"; alias -p; declare -p $(compgen -v | grep "^[a-z]"); }} > {defined}
exit $status' EXIT
{command}
"""


def commands(text: str) -> Iterator[str]:
    """What is typed, command by command; one may have several lines."""
    command = ""
    for line in text.splitlines(keepends=True):
        command += line
        if not line.endswith("\\\n") and _is_whole(command):
            yield command
            command = ""
    assert not command.strip(), f"not a whole command: {command}"


def _is_whole(command: str) -> bool:
    checked = subprocess.run(
        ["bash", "-n"], input=command, text=True, stderr=subprocess.DEVNULL, check=False
    )
    return checked.returncode == 0


class Reader:
    """Somebody who is root already, works in a directory of their own, and has Taskgen installed.

    :param folder: for what they write; ``work/`` in it is where they are, ``home/`` their home.
    """

    def __init__(self, folder: Path) -> None:
        self.work = folder / "work"
        self._defined, self._script = folder / "defined", folder / "script"
        bin_ = folder / "bin"
        for directory in (self.work, folder / "home", bin_):
            directory.mkdir()
        (self.work / ".venv").symlink_to(sys.prefix)
        # The real one would drop the variables by which tests say what the daemon does.
        (bin_ / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
        (bin_ / "sudo").chmod(0o755)
        path = os.pathsep.join(map(str, (bin_, TASKGEN.parent, os.environ["PATH"])))
        self.variables = environment(PATH=path, HOME=str(folder / "home"))
        self.variables.pop("TASKGEN_STATE", None)  # documents name the place that is the default
        self._defined.write_text(f"cd {shlex.quote(str(self.work))}\n")

    def define(self, **values: str) -> None:
        """Give variables of the shell another value."""
        with self._defined.open("a") as file:
            file.writelines(f"{name}={shlex.quote(value)}\n" for name, value in values.items())

    def types(self, command: str) -> Result:
        """What a command says, at its end."""
        return self._ended(["bash", self._written(command)])

    def runs(self, program: str) -> Result:
        """What a Python program says, at its end."""
        return self._ended([sys.executable, "-c", program])

    def follows(self, command: str, until: str) -> str:
        """What a command without an end shows on a terminal until a whole line has ``until`` in it.

        It gets Ctrl-C then.
        """
        words = ["bash", self._written(command)]
        with Terminal.of(words, self.variables) as terminal:
            terminal.wait_for_match(rf"{re.escape(until)}.*\n")
            os.killpg(terminal.process.pid, signal.SIGINT)
            status = terminal.process.wait(PATIENCE_S)
        assert status in (0, 130, -signal.SIGINT), terminal.shown
        return terminal.shown.replace("\r\n", "\n")

    def _written(self, command: str) -> Path:
        self._script.write_text(
            _SCRIPT.format(defined=shlex.quote(str(self._defined)), command=command)
        )
        return self._script

    def _ended(self, words: list[str | Path]) -> Result:
        done = subprocess.run(
            words,
            cwd=self.work,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)


def keys_shown(command: str) -> set[str]:
    """The keys of the object that a remark behind a command shows as its answer."""
    remark = re.search(r" # (\{.*\})$", command, re.MULTILINE)
    return set(re.findall(r'"(\w+)":', remark[1])) if remark else set()


def is_told(command: str) -> bool:
    """Whether a command has something to say on the terminal; an upload has not."""
    typed = command.split("  #", maxsplit=1)[0]
    first = re.match(r"(?:sudo )?(?:\S*/)?(\S+)", typed)
    says = first is not None and first[1] in {"taskgen", "api", "curl"}
    return says and not re.search(r" (>|-o|-T) ", typed)
