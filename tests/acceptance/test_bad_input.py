"""Bad input: one line that names the thing and says what to do, status 2, nothing created."""

import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from command import environment, started, taskgen
from programs import needed

TASKS = """
from taskgen.task import Task
from taskgen.taskset import TaskSet

class NoPkg(TaskSet):
    def __init__(self):
        super().__init__([Task(period=10)])

class LongName(TaskSet):
    def __init__(self):
        super().__init__([Task(pkg="a_name_of_sixteen")])

class Absent(TaskSet):
    def __init__(self):
        super().__init__([Task(pkg="absent")])

class Twice(TaskSet):
    def __init__(self):
        super().__init__([Task(id=3, pkg="hey"), Task(id=3, pkg="hey")])

class NotAscii(TaskSet):
    def __init__(self):
        super().__init__([Task(pkg="hey", config={"arg1": "grün"})])

class Fails(TaskSet):
    def __init__(self):
        raise RuntimeError("ouch")
"""


@pytest.fixture
def here(tmp_path):
    (tmp_path / "bad.py").write_text(TASKS, encoding="utf-8")
    (tmp_path / "text.elf").write_text("not an image")
    (tmp_path / "thesis.csv").write_text("my thesis\n")
    (tmp_path / "typo.toml").write_text("[run]\ntires = 3\n")
    binaries = tmp_path / "bin"
    binaries.mkdir()
    (binaries / "absent").write_text("#!/bin/sh\n")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["nonsense"], ["'nonsense'", "dotted name"]),
        (["example.Dmo"], ["example has no Dmo", "did you mean"]),
        (["no_such_module.Set"], ["no_such_module"]),
        (["bad.Fails"], ["bad.Fails", "ouch"]),
        (["bad.NoPkg"], ["task 1: has no pkg"]),
        (["bad.LongName"], ["a_name_of_sixteen", "15"]),
        (["bad.Absent"], ["no task binary 'absent'", "--binaries"]),
        (["bad.Absent", "--binaries", "bin"], ["bin/absent", "not an ELF file"]),
        (["bad.Absent", "--binaries", "nowhere"], ["nowhere: no such directory"]),
        (["bad.Twice"], ["task id 3 is used twice"]),
        (["bad.NotAscii"], ["arg1", "ASCII"]),
        (["example.Hey", "--set", "hey.perod=10"], ["perod", "period"]),
        (["example.Hey", "--set", "hey.period=-1"], ["period", "-1"]),
        (["example.Hey", "--set", "pi.period=1"], ["pi"]),
        (["example.Hey", "--set", "hey.numberofjobs=0"], ["never ends", "--duration"]),
        (["example.Hey", "--profile", "linux-x86_46"], ["linux-x86_46", "did you mean"]),
        (["example.Hey", "--profile", "genode-pbxa9"], ["genode-pbxa9", "--image"]),
        (["example.Hey", "--image", "nowhere.elf"], ["nowhere.elf"]),
        (["example.Hey", "--machines", "0"], ["0", "--machines"]),
        (["example.Hey", "--events", "thesis.csv"], ["thesis.csv", "not a file of activations"]),
        (["example.Hey", "--events", "no/where.csv"], ["no/where.csv", "No such file"]),
        (["example.Hey", "--config", "typo.toml"], ["typo.toml", "did you mean 'tries'?"]),
        (["example.Hey", "--config", "nowhere.toml"], ["nowhere.toml", "No such file"]),
        (["example.Hey", "--namespace", "a/b"], ["a/b"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_it_is_told_in_one_line(here, words, names):
    before = sorted(here.rglob("*"))
    done = taskgen("run", *words, cwd=here)
    assert done.status == 2, done.err
    assert done.out == ""
    line = done.err.splitlines()[-1]
    assert all(name in line for name in names), line
    assert "Traceback" not in done.err
    assert [p for p in sorted(here.rglob("*")) if "__pycache__" not in str(p)] == before


def test_a_profile_with_a_wrong_key(here):
    (here / "mine.toml").write_text('description = "x"\nmemory = 5\n')
    done = taskgen("run", "example.Hey", "--profile", "mine", cwd=here, TASKGEN_PROFILES=str(here))
    assert done.status == 2
    assert "mine.toml" in done.err


def test_a_missing_guest_image_says_how_to_build_it(here):
    assets = here / "assets"
    assets.mkdir()
    checkout = Path(__file__).parents[2]
    for folder in ("network", "qemu"):
        (assets / folder).symlink_to(checkout / folder)
    (assets / "build").mkdir()
    (assets / "build" / "guest").mkdir()
    (assets / "build" / "guest" / "tasks").symlink_to(checkout / "build" / "guest" / "tasks")
    done = taskgen("run", "example.Hey", TASKGEN_ASSETS=str(assets))
    assert done.status == 2
    assert "vmlinux: no such file (build it: make guest)" in done.err


def test_a_namespace_that_is_busy():
    with started(
        "run", "example.Idle", "--set", "*.numberofjobs=999", "--print", "--namespace", "mine"
    ) as command:
        command.wait_for("START")
        done = taskgen("run", "example.Hey", "--namespace", "mine")
        assert done.status == 2
        assert "'mine'" in done.err
        command.process.terminate()
        assert command.end().status == 130


def test_a_subnet_that_is_in_use_where_the_host_is_shared():
    # The tests' own world plays the host here.
    ip = ["ip", "address", "add", "10.200.45.77/24", "dev", "lo"]
    subprocess.run(ip, check=True)
    try:
        done = taskgen("run", "example.Hey", "--namespace", "")
    finally:
        subprocess.run(["ip", "address", "del", *ip[3:]], check=True)
    assert done.status == 2
    assert "10.200.45" in done.err


def test_without_root():
    # A user of their own may not be allowed to read this Python installation: import first.
    program = (
        "import os, sys\n"
        "import taskgen.cli.run\n"
        "from taskgen.cli.main import main\n"
        "os.seteuid(65534)\n"
        "sys.argv = ['taskgen', 'run', 'example.Hey']\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr == "taskgen: a fleet needs root (sudo taskgen …)\n"


@contextmanager
def hidden(*programs):
    """Hide programs, in the tests' own mount namespace."""
    paths = [shutil.which(program) for program in programs]
    for path in paths:
        subprocess.run(["mount", "--bind", "/dev/null", path], check=True)
    try:
        yield
    finally:
        for path in paths:
            subprocess.run(["umount", path], check=True)


@pytest.mark.parametrize("program", ["qemu-system-x86_64", "dnsmasq"])
def test_without_a_program_that_is_needed(program):
    with hidden(program):
        done = taskgen("run", "example.Hey")
    assert done.status == 2
    assert f"no program '{program}' on this host (taskgen doctor says what to install)" in done.err


def test_doctor_says_what_is_missing():
    with hidden("qemu-system-x86_64", "dnsmasq"):
        done = taskgen("doctor")
    assert done.status == 1
    assert "apt-get install qemu-system-x86" in done.out
    assert "apt-get install dnsmasq-base" in done.out


def test_the_other_dhcp_server_is_needed_only_where_it_is_wanted(tmp_path):
    needed("dhcpd")
    config = tmp_path / "isc.toml"
    config.write_text('[dhcp]\nserver = "isc"\n')
    with hidden("dnsmasq"):
        assert taskgen("doctor", "--config", config).status == 0
    with hidden("dhcpd"):
        assert taskgen("doctor").status == 0
        done = taskgen("doctor", "--config", config)
        assert done.status == 1
        assert "./provision.sh --isc" in done.out
        done = taskgen("run", "example.Hey", "--config", config)
        assert done.status == 2
        assert "no program 'dhcpd' on this host" in done.err


def test_doctor_is_content_with_this_host():
    done = taskgen("doctor")
    assert done.status == 0, done.out
    assert "fail" not in done.out
