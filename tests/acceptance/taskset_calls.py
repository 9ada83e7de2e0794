"""What the tests of ``taskgen taskset`` ask it by."""

import os
import subprocess
import sys

from command import PATIENCE_S, TASKGEN, environment, many, taskgen


def ask(*words, cwd=None, **extra):
    """What a command says that succeeds without a remark."""
    done = taskgen("taskset", *words, cwd=cwd, **extra)
    assert (done.status, done.err) == (0, "")
    return done.out


def ask_many(calls, cwd):
    """What the command says to each of many calls."""
    return many([["taskset", *words.split()] for words in calls], cwd)


def python(program):
    """What a program prints. numpy's threads, once there, would keep this process in the world of
    the tests."""
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True)
    return done.stdout.decode()


def cells(line):
    return [cell.strip() for cell in line.split("│")]


def in_shell(line, cwd):
    """As typed, with the installed command in the PATH."""
    path = f"{TASKGEN.parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        timeout=PATIENCE_S,
        env=environment(PATH=path),
    )


def not_told(cases, cwd):
    """Cases in which what is wrong is not told in one line, by status 2, and nothing else."""
    answers = ask_many([words for words, _ in cases], cwd)
    return [
        (words, done)
        for (words, says), done in zip(cases, answers, strict=True)
        if (done.status, done.out) != (2, "")
        or says not in done.err.splitlines()[-1]
        or "Traceback" in done.err
    ]
