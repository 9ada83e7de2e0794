"""What the systemd unit leaves to the daemon is enough; here setpriv takes the rest away."""

import os
import re
import signal
from pathlib import Path

from daemon_world import asked, done, job_now, machines_now, until, whole_life

UNIT = Path(__file__).parents[2] / "packaging" / "taskgend.service"


def setpriv():
    """The command that leaves what the unit leaves."""
    text = UNIT.read_text()
    assert "NoNewPrivileges=yes" in text
    lines = re.findall(r"^CapabilityBoundingSet=(.*)$", text, re.MULTILINE)
    names = [name.removeprefix("CAP_").lower() for line in lines for name in line.split()]
    left = ",".join(["-all", *(f"+{name}" for name in names)])
    return ["setpriv", "--no-new-privs", f"--bounding-set={left}"]


def capabilities(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return {name: int(value, 16) for name, value in re.findall(r"^(Cap\w+):\s(\w+)$", status, re.M)}


def test_a_fleet_works_is_kept_adopted_and_ended():
    with whole_life(*setpriv()) as daemon:
        assert capabilities(daemon.process.pid)["CapBnd"] < capabilities(os.getpid())["CapBnd"]
        job = done("job", "add", "example.Hey", "--set", "hey.priority=1..100", "-q").out.strip()
        until(lambda: job_now(job).counts.done)
        machine = asked("machine", "show", "taskgen-1")["pid"]
        assert daemon.end(signal.SIGUSR1) == 0
        daemon.start()
        results = job_now(job).counts.done
        until(lambda: job_now(job).counts.done > results)
        assert asked("machine", "show", "taskgen-1")["pid"] == machine
        assert capabilities(machine)["CapEff"] == 0
        done("machine", "kill", "taskgen-1")
        until(lambda: machines_now("running") and asked("machine", "ls")[0]["pid"] != machine)
        done("job", "cancel", job)
