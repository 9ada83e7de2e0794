"""``provision.sh`` and ``bootstrap.sh`` on a Debian on which there is nothing else.

They are called as Vagrant calls them, up to a real run by a daemon under supervisor.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from fresh_debian import fresh_debian

ROOT = Path(__file__).parents[2]

CONTROL = "cd /vagrant && .venv/bin/supervisorctl"


def copy_project(target):
    """What git knows of this tree, and nothing that was made in it."""
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target / name)


@pytest.fixture(scope="module")
def debian():
    with fresh_debian() as made:
        copy_project(made.root / "vagrant")
        yield made
    assert not made.root.exists()
    assert str(made.root) not in Path("/proc/self/mountinfo").read_text()


def asked(machine, words):
    return json.loads(machine.do(f"taskgen {words} --json"))


def machines(machine):
    """The process of each machine that carries out a run."""
    return {each["name"]: each["pid"] for each in asked(machine, "machine ls") if each["run"]}


def await_results(machine, job, count):
    """Wait for so many results of a job from now on."""
    told = machine.do(f"taskgen events --job {job} --kind run.finished --json | head -n {count}")
    assert told.count("run.finished") == count


def files(root):
    """Each file of the system with its last change, but for Python's notes and the build's lock."""
    kept = [root / name for name in ("etc", "usr", "vagrant")]
    return {
        path: path.lstat().st_mtime_ns
        for top in kept
        for path in top.rglob("*")
        if not path.is_dir() and not {"__pycache__", "lock"}.intersection(path.parts)
    }


def test_from_nothing_to_results_and_on_after_a_reboot(debian):
    with debian.up() as machine:
        provisioned = machine.do("/vagrant/provision.sh")
        assert "installing python3" in provisioned
        again = machine.do("/vagrant/provision.sh")
        assert "installing" not in again
        assert "making" not in again

        said = machine.do("/vagrant/bootstrap.sh --service")
        assert said.endswith("bootstrap: the daemon answers: taskgen status\n")
        ran = machine.call("cd /tmp && taskgen run example.Demo --events events.csv")
        assert ran.status == 0, ran.err
        assert "8 of 8 variants have a result" in ran.err
        assert (debian.root / "tmp/events.csv").read_text().count("\n") == 361
        (job,) = asked(machine, "job ls")
        assert (job["state"], job["counts"]["done"]) == ("done", 8)

        survives_restarts(machine)
        changes_nothing(debian, machine)
        machine.do(f"{CONTROL} stop taskgend")
        assert machine.call("taskgen status").status == 3
        machine.do("/vagrant/bootstrap.sh --service")
        assert machine.call("taskgen status").status == 0

    with debian.up() as machine:  # as at the next `vagrant up`
        assert machine.call("taskgen status").status == 3
        before = files(debian.root)
        machine.do("/vagrant/bootstrap.sh --service")
        assert files(debian.root) == before
        done = [each["counts"]["done"] for each in asked(machine, "job ls --state done")]
        assert done == [8]
        machine.do(f"{CONTROL} signal TERM taskgend")
        machine.do(f"{CONTROL} shutdown")


def survives_restarts(machine):
    """A restart takes another daemon and the same machines, with a job in its midst."""
    job = machine.do("taskgen job add example.Hey --set hey.priority=1..100 -q").strip()
    await_results(machine, job, 1)
    before, daemon = machines(machine), machine.do(f"{CONTROL} pid taskgend")
    assert before
    assert "taskgend: started" in machine.do(f"{CONTROL} restart taskgend")
    machine.do("/vagrant/bootstrap.sh --service")  # waits until it answers
    await_results(machine, job, 1)
    assert machine.do(f"{CONTROL} pid taskgend") != daemon
    assert machines(machine).items() >= before.items()
    assert asked(machine, f"job show {job}")["counts"]["failed_attempts"] == 0
    machine.do(f"taskgen job cancel {job}")


def changes_nothing(debian, machine):
    """What is done is not done again, and a daemon that works is left alone."""
    before, daemon = files(debian.root), machine.do(f"{CONTROL} pid taskgend")
    machine.do("/vagrant/provision.sh && /vagrant/bootstrap.sh --service")
    assert files(debian.root) == before
    assert machine.do(f"{CONTROL} pid taskgend") == daemon
