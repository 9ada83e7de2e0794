"""What the tests of ``taskgen taskset`` ask it by."""

import json
import os
import subprocess
import sys

from command import PATIENCE_S, TASKGEN, Result, environment, taskgen


def ask(*words, cwd=None, **extra):
    """What a command says that succeeds without a remark."""
    done = taskgen("taskset", *words, cwd=cwd, **extra)
    assert (done.status, done.err) == (0, "")
    return done.out


#: Starts the command once for each list of words, and loads it only once for all of them.
FORKING = """
import json, os, sys, tempfile
from taskgen.cli.main import main

for words in json.loads(sys.stdin.read()):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            sys.argv = ["taskgen", "taskset", *words]
            main()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said = [(f.seek(0), f.read().decode())[1] for f in (out, err)]
    print(json.dumps([status, *said]), flush=True)
"""


def ask_many(calls, cwd):
    """What the command says to each of many calls, without the time to load it each time."""
    done = subprocess.run(
        [sys.executable, "-c", FORKING],
        input=json.dumps([words.split() for words in calls]),
        capture_output=True,
        text=True,
        check=True,
        cwd=cwd,
        timeout=PATIENCE_S,
        env=environment(),
    )
    return [Result(*json.loads(line)) for line in done.stdout.splitlines()]


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
