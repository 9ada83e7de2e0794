"""The daemon under a real systemd, by the unit of ``packaging/``.

systemd is the first process of namespaces of its own, with a cgroup of its own, and starts nothing
but the unit.
"""

import json
import os
import select
import shlex
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from inside import PATIENCE_S, entering, ran
from programs import needed

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SYSTEMD = "/lib/systemd/systemd"

BOOT = """
echo $$ > "$1/cgroup.procs"
exec unshare --mount --pid --net --cgroup --fork --kill-child sh -ec "$2" inner
"""
INNER = f"""
mount --make-rprivate /
ip link set lo up
mount -t proc proc /proc
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /etc/systemd/system
cd /etc/systemd/system
sed 's,/opt/taskgen/.venv/bin,{BIN},' {ROOT}/packaging/taskgend.service > taskgend.service
mkdir taskgend.service.d
cat > taskgend.service.d/test.conf <<END
[Unit]
DefaultDependencies=no
[Service]
Environment=TASKGEN_STATE=/run/state TASKGEN_QEMU__ACCELERATOR=tcg TASKGEN_FLEET__MAX_MACHINES=1
StandardError=file:/run/taskgend.log
END
printf '[Unit]\\nDefaultDependencies=no\\n' > nothing.target
export container=other
exec {SYSTEMD} --unit=nothing.target --log-target=console --log-level=warning
"""

#: Kills the daemon, and looks at each event, which go on under the next one, whether that is there.
KILL_AND_WAIT = """{
    read _
    systemctl kill --kill-whom=main --signal=KILL taskgend
    while read _; do
        case "$(systemctl show taskgend --property=NRestarts,ActiveState --value | paste -sd ,)" in
            1,active|active,1) exit 0 ;;
        esac
    done
    exit 1
}"""


class System:
    """systemd while it runs."""

    def __init__(self, unshare):
        self._enter = entering(unshare, "net", "cgroup")

    def call(self, line):
        """What a line for the shell says."""
        environment = {**os.environ, "COLUMNS": "120"}
        return ran([*self._enter, "sh", "-c", line], environment)

    def do(self, line):
        """What a line for the shell says that has to succeed."""
        said = self.call(line)
        assert said.status == 0, f"{line}: {said.out}{said.err}{self.log}"
        return said.out

    @property
    def log(self):
        return self.call("tail -n 20 /run/taskgend.log").out

    def taskgen(self, words):
        return self.do(f"{shlex.quote(str(BIN))}/taskgen {words}")

    def shown(self, key):
        """What systemd says of the unit."""
        return self.do(f"systemctl show taskgend --property={key} --value").strip()


@pytest.fixture
def cgroup():
    """A cgroup for systemd, removed in the end with all that it has made there."""
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    unified = [line.split()[1] for line in mounts if line.split()[2] == "cgroup2"]
    if not unified:
        pytest.skip("needs cgroup2")
    own = Path("/proc/self/cgroup").read_text().partition("0::/")[2].partition("\n")[0]
    made = Path(unified[0]) / own / f"taskgen-test-{os.getpid()}"
    made.mkdir()
    yield made
    for directory, _, _ in os.walk(made, topdown=False):
        os.rmdir(directory)


@pytest.fixture
def system(cgroup):
    needed("systemd-analyze")  # of the same package
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        ready = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        ready.bind(f"{directory}/notify")
        ready.settimeout(PATIENCE_S)
        unshare = stack.enter_context(
            subprocess.Popen(
                ["setpriv", "--pdeathsig=KILL", "sh", "-ec", BOOT, "boot", cgroup, INNER],
                env={**os.environ, "NOTIFY_SOCKET": f"{directory}/notify"},
            )
        )
        stack.callback(end, unshare)
        while b"READY=1" not in ready.recv(4096):
            pass
        ready.close()  # systemd would wait for whoever does not read on
        yield System(unshare.pid)


def end(unshare):
    """End systemd, which goes with its parent, and wait until all its processes are gone."""
    children = Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children").read_text().split()
    ends = [os.pidfd_open(int(pid)) for pid in children]
    unshare.kill()
    for each in ends:
        select.select([each], [], [], PATIENCE_S)
        os.close(each)


def await_result(system):
    """Wait until a run has ended."""
    assert "run.finished" in system.taskgen("events --kind run.finished | head -n 1")


def machines(system):
    return {each["name"]: each["pid"] for each in json.loads(system.taskgen("machine ls --json"))}


def test_start_restart_death_and_stop(system):
    system.do("systemctl start taskgend")  # returns once it answers
    assert system.shown("StatusText") == "up to 1 machines, 0 runs queued, idle"
    system.taskgen("job add example.Hey --set hey.priority=1..100 -q")
    await_result(system)
    before, pid = machines(system), system.shown("MainPID")
    assert before

    system.do("systemctl restart taskgend")
    assert system.shown("MainPID") != pid
    await_result(system)
    assert machines(system) == before

    system.taskgen(f"events | {KILL_AND_WAIT}")
    await_result(system)
    assert machines(system) == before

    pid = system.shown("MainPID")
    system.do("systemctl reload taskgend")
    await_result(system)
    assert (system.shown("MainPID"), system.shown("ActiveState")) == (pid, "active")
    assert "the settings were read again" in system.do("cat /run/taskgend.log")

    system.taskgen("fleet pause")
    system.do("systemctl stop taskgend")
    assert (system.shown("Result"), system.shown("ActiveState")) == ("success", "inactive")
    assert system.call("pgrep -x 'qemu-system-x86|dnsmasq'").status == 1
    assert system.do("ls /run/netns /run/taskgen 2>/dev/null || true").split() == ["/run/netns:"]
