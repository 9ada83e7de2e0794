"""The reference guest by itself: one machine, its server on loopback, and a client of twenty lines.

The client shares no code with ``taskgen.protocol``: two readings of the protocol check each other.
"""

import re
import socket
import struct
import subprocess
import time

import pytest
from guest_programs import compiled

from taskgen.profiles import load_profile

CLEAR, SEND_DESCS, SEND_BINARIES, GO_SEND = 0xDE6, 0xDE5, 0xDE5F11E, 0x90
START, STOP, AVAILABLE, OPTIMIZE = 0x514DE5, 0x514DE6, 0xAAAAA, 0x6F7074
GET_PROFILE, GET_LIVE, REBOOT = 0x159D1, 0x159D2, 0x159D3

BOOT_LIMIT_S = 120
RUN_LIMIT_S = 60

#: Of the guest's 96 MiB a task leaves so much, and a later one can still have so much.
LEFT_MIB, REST_MIB = 10, 10


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=2)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, *numbers, data=b""):
        self.socket.sendall(struct.pack(f"<{len(numbers)}I", *numbers) + data)

    def receive(self, length):
        data = b""
        while len(data) < length:
            piece = self.socket.recv(length - len(data))
            if not piece:
                raise ConnectionError("closed by the guest")
            data += piece
        return data

    def number(self):
        return struct.unpack("<I", self.receive(4))[0]

    def is_available(self):
        self.send(AVAILABLE)
        return self.number() == AVAILABLE

    def is_closed(self):
        """Whether the guest closes the connection, in whatever way."""
        try:
            while self.socket.recv(4096):
                pass
        except ConnectionResetError:
            pass
        return True

    def upload(self, name, content):
        self.send(SEND_BINARIES, 1)
        assert self.number() == GO_SEND
        self.socket.sendall(struct.pack("<16sI", name.encode(), len(content)) + content)

    def describe(self, *tasks):
        inside = ""
        for identifier, keys in enumerate(tasks, 1):
            elements = "".join(f"<{key}>{value}</{key}>" for key, value in keys.items())
            inside += f"<periodictask><id>{identifier}</id>{elements}</periodictask>"
        xml = f"<taskset>{inside}</taskset>".encode()
        self.send(CLEAR, SEND_DESCS, len(xml), data=xml)

    def frame(self):
        data = self.receive(self.number())
        assert data.endswith(b"\0")
        return data[:-1].decode("ascii")

    def events(self, enough):
        """Events, each as its attributes, until there are enough."""
        events = []
        while not enough(events):
            for attributes in re.findall(r"<event ([^>]*)/>", self.frame()):
                events.append(dict(re.findall(r'([\w-]+)="([^"]*)"', attributes)))
        return events

    def run(self, *tasks):
        """A task-set until all of its tasks have said JOBS_DONE."""
        self.describe(*tasks)
        self.send(START)
        return self.events(lambda events: count(events, "JOBS_DONE") == len(tasks))


def count(events, kind):
    return sum(event["type"] == kind for event in events)


def kinds(events):
    return [event["type"] for event in events]


class Machine:
    def __init__(self, directory):
        profile = load_profile("linux-x86_64")
        profile.image_files()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.binaries = profile.binaries
        self.log = directory / "console.log"
        self.process = subprocess.Popen(
            [
                *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none"),
                *("-accel", "tcg", "-machine", "q35", "-m", "96", "-serial", f"file:{self.log}"),
                *("-netdev", f"user,id=n0,hostfwd=tcp:127.0.0.1:{self.port}-:3001"),
                *("-device", "virtio-net-pci,romfile=,netdev=n0"),
                *("-kernel", str(profile.kernel), "-initrd", str(profile.initrd)),
                *("-append", profile.append),
            ]
        )

    def console(self):
        return self.log.read_text(errors="replace")

    def connect(self):
        end = time.monotonic() + BOOT_LIMIT_S
        while time.monotonic() < end:
            client = None
            try:
                client = Client(self.port)
                if client.is_available():
                    client.socket.settimeout(RUN_LIMIT_S)
                    return client
            except OSError:
                time.sleep(0.05)
            if client is not None:
                client.socket.close()
        raise AssertionError(f"no answer; the console says: {self.console()[-2000:]}")

    def says(self, text):
        """Whether the console comes to say this; it speaks only while the CPU is idle."""
        end = time.monotonic() + RUN_LIMIT_S
        while text not in self.console() and time.monotonic() < end:
            time.sleep(0.05)
        return text in self.console()


@pytest.fixture(scope="module")
def machine(own_world, tmp_path_factory):
    machine = Machine(tmp_path_factory.mktemp("bare"))
    client = machine.connect()
    for name in ("hey", "idle", "hog"):
        client.upload(name, (machine.binaries / name).read_bytes())
    client.socket.close()
    yield machine
    machine.process.kill()
    machine.process.wait()


@pytest.fixture
def client(machine):
    client = machine.connect()
    yield client
    client.socket.close()


def test_activations_come_on_a_grid_and_tell_all_times(client):
    events = client.run({"pkg": "hey", "period": 1000, "offset": 20, "numberofjobs": 3})
    assert kinds(events) == ["START", "EXIT"] * 3 + ["JOBS_DONE"]
    starts = [event for event in events if event["type"] == "START"]
    releases = [int(event["release-us"]) for event in starts]
    assert [later - releases[0] for later in releases] == [0, 1_000_000, 2_000_000]
    for event in events:
        assert int(event["time-stamp"]) == int(event["time-us"]) // 1000
    for start, end in zip(events[0:6:2], events[1:6:2], strict=True):
        assert start["release-us"] == end["release-us"]
        assert int(start["release-us"]) <= int(start["time-us"]) <= int(end["time-us"])
        assert int(end["cpu-us"]) > 0


def test_a_task_without_period_runs_once(client):
    events = client.run({"pkg": "hey", "period": 0, "numberofjobs": 5})
    assert kinds(events) == ["START", "EXIT", "JOBS_DONE"]


@pytest.mark.parametrize(
    ("keys", "end"),
    [
        # Where the period's end is not what is tested, it is far off: the host may have other work.
        ({"pkg": "idle", "criticaltime": 50, "period": 3000}, "EXIT_CRITICAL"),
        ({"pkg": "idle", "period": 200}, "EXIT_PERIOD"),
        (
            {"pkg": "idle", "period": 3000, "config": "<arg1>1</arg1><arg2>17</arg2>"},
            "EXIT_ERROR",
        ),
        (
            {"pkg": "hog", "period": 3000, "quota": "2M", "config": "<arg1>8</arg1>"},
            "OUT_OF_QUOTA",
        ),
        ({"pkg": "hey", "period": 3000, "quota": "4K"}, "OUT_OF_QUOTA"),
        ({"pkg": "hog", "period": 5000, "config": "<arg1>500</arg1>"}, "OUT_OF_QUOTA"),
    ],
)
def test_ends(client, keys, end):
    events = client.run({**keys, "numberofjobs": 2})
    assert kinds(events) == ["START", end, "START", end, "JOBS_DONE"]


def test_a_tree_of_processes_is_killed_as_a_whole(machine, client):
    keys = {"pkg": "hog", "period": 1500, "numberofjobs": 8, "quota": "3M"}
    # Each activation leaves three processes behind; eight of them alive would exceed the quota.
    config = "<arg1>1</arg1><arg2>3</arg2>"
    events = client.run({**keys, "config": config})
    assert count(events, "EXIT") == 8


def once(pkg, megabytes, **keys):
    """A task that does its thing with so much memory, once."""
    return {"pkg": pkg, "period": 0, "config": f"<arg1>{megabytes}</arg1>", **keys}


@pytest.fixture
def leaving(client, tmp_path):
    """A client of a guest whose tasks can leave memory behind, which nobody has afterwards."""
    client.upload("leave", compiled("leave", tmp_path).read_bytes())
    yield client
    assert kinds(client.run(once("leave", 0))) == ["START", "EXIT", "JOBS_DONE"]


def test_memory_that_a_set_leaves_does_not_count_in_the_quota_of_the_next(leaving):
    for _ in range(2):  # also a group that was fresh once is not used again
        left = leaving.run(once("leave", 3, quota="4M"))
        assert kinds(left) == ["START", "EXIT", "JOBS_DONE"]
        assert kinds(leaving.run(once("hog", 3, quota="4M"))) == ["START", "EXIT", "JOBS_DONE"]


def test_memory_that_a_set_leaves_is_counted_once_in_what_there_is_for_the_next(leaving):
    assert kinds(leaving.run(once("leave", LEFT_MIB))) == ["START", "EXIT", "JOBS_DONE"]
    assert kinds(leaving.run(once("hog", 1))) == ["START", "EXIT", "JOBS_DONE"]
    assert kinds(leaving.run(once("hog", REST_MIB))) == ["START", "EXIT", "JOBS_DONE"]


def test_stop_is_an_external_exit(client):
    client.describe({"pkg": "idle", "period": 100, "criticaltime": 0, "priority": 0})
    client.send(START)
    client.events(lambda events: count(events, "START") == 1)
    client.send(STOP)
    assert "EXIT_EXTERNAL" in kinds(client.events(lambda events: count(events, "EXIT_EXTERNAL")))
    client.send(CLEAR)
    assert client.is_available()


def test_start_is_told_while_the_task_still_runs(client):
    client.describe({"pkg": "idle", "period": 5000, "numberofjobs": 1})
    client.send(START)
    client.events(lambda events: count(events, "START") == 1)
    client.send(GET_LIVE)
    assert '<task id="1" activation="1"' in client.frame()


def test_the_more_urgent_of_two_runs_first(machine, client):
    burn = {"pkg": "idle", "period": 1500, "numberofjobs": 3, "config": "<arg1>30</arg1>"}
    events = client.run({**burn, "priority": 9}, {**burn, "priority": 0})
    ends = [event["task-id"] for event in events if event["type"] == "EXIT"]
    assert ends == ["2", "1"] * 3
    assert machine.says("task 2 idle: SCHED_FIFO priority 97")
    assert machine.says("task 1 idle: SCHED_FIFO priority 96")


def test_deadlines_are_the_kernels_own(machine, client):
    keys = {"pkg": "hey", "executiontime": 500, "deadline": 1500, "period": 3000, "numberofjobs": 2}
    assert count(client.run(keys), "EXIT") == 2
    assert machine.says(
        "task 1 hey: SCHED_DEADLINE runtime 500000us deadline 1500000us period 3000000us"
    )


def test_a_budget_is_enforced(client):
    keys = {"pkg": "idle", "executiontime": 20, "deadline": 200, "period": 200}
    events = client.run({**keys, "numberofjobs": 1, "config": "<arg1>100</arg1>"})
    # Its work takes five budgets, and it has one before the next release kills it.
    assert kinds(events) == ["START", "EXIT_PERIOD", "JOBS_DONE"]
    assert int(events[1]["cpu-us"]) < 40_000


def test_what_is_refused_says_so_once_and_is_done(machine, client):
    common = {"pkg": "hey", "period": 2000, "numberofjobs": 2}
    events = client.run(
        {**common, "executiontime": 1200, "deadline": 2000},
        {**common, "executiontime": 1200, "deadline": 2000},
        {**common, "executiontime": 0, "deadline": 250},
        {**common, "executiontime": 1, "deadline": 3000},
        {**common, "cores": 2},
    )
    refused = [event["task-id"] for event in events if event["type"] == "NOT_SCHEDULED"]
    assert sorted(refused) == ["2", "3", "4", "5"]
    done = [event["task-id"] for event in events if event["type"] == "JOBS_DONE"]
    assert sorted(done) == ["1", "2", "3", "4", "5"]
    assert {event["task-id"] for event in events if event["type"] == "EXIT"} == {"1"}
    for reason in (
        "task 2 hey: not scheduled: it does not fit beside the tasks admitted before it",
        "task 3 hey: not scheduled: a deadline without an executiontime",
        "task 4 hey: not scheduled: deadline 3000ms over period 2000ms",
        "task 5 hey: not scheduled: cores 2 from coreoffset 0: this machine has 1",
    ):
        assert machine.says(reason)
    client.send(GET_PROFILE)
    profile = client.frame()
    assert 'refused="a deadline without an executiontime"' in profile
    assert 'policy="SCHED_DEADLINE"' in profile


def test_what_cannot_run_is_told_on_the_console(machine, client):
    client.upload("text", b"no ELF file")
    events = client.run({"pkg": "text", "period": 3000, "numberofjobs": 1})
    assert kinds(events) == ["START", "EXIT_ERROR", "JOBS_DONE"]
    assert machine.says("text: cannot be executed: Exec format error")
    client.describe({"pkg": "nowhere", "period": 50, "numberofjobs": 1})
    client.send(START)
    assert machine.says("nowhere: no such binary")
    assert client.is_available()


@pytest.mark.parametrize(
    "rubbish",
    [
        struct.pack("<I", 0xDEADBEEF),
        struct.pack("<II", SEND_DESCS, 100_001),
        struct.pack("<II16sI", SEND_BINARIES, 1, b"huge", 1 << 31),
        struct.pack("<II16sI", SEND_BINARIES, 1, b"a name too long!", 1),
    ],
)
def test_rubbish_ends_the_connection_and_nothing_else(machine, client, rubbish):
    client.socket.sendall(rubbish)
    assert client.is_closed()
    after = machine.connect()
    assert count(after.run({"pkg": "hey", "period": 3000, "numberofjobs": 1}), "EXIT") == 1
    after.socket.close()


@pytest.mark.parametrize(
    "xml", [b"", b"<taskset>", b"<x/>", b"<taskset><periodictask/></taskset>", b"\xff" * 200]
)
def test_a_bad_task_set_is_dropped(client, xml):
    client.send(SEND_DESCS, len(xml), data=xml)
    client.send(START)
    client.send(GET_PROFILE)  # no answer: there is nothing to tell
    client.send(OPTIMIZE, 4, data=b"<a/>")
    assert client.is_available()


def test_the_next_client_finds_nothing_running(machine, client):
    client.describe({"pkg": "idle", "period": 50, "criticaltime": 0, "priority": 0})
    client.send(START)
    client.events(lambda events: count(events, "START") == 1)
    client.socket.close()
    after = machine.connect()
    after.send(GET_PROFILE)
    assert after.is_available()
    after.socket.close()


def test_it_answers_while_a_task_takes_all_of_the_cpu(client):
    client.describe({"pkg": "idle", "period": 100, "numberofjobs": 0, "priority": 0})
    client.send(START)
    client.events(lambda events: count(events, "EXIT_PERIOD") == 3)
    client.describe({"pkg": "hey", "period": 50, "numberofjobs": 1})
    client.send(START)
    client.events(lambda events: count(events, "JOBS_DONE") == 1)


def test_reboot_forgets_binaries(machine, client):
    client.send(REBOOT)
    after = machine.connect()
    after.describe({"pkg": "hey", "period": 50, "numberofjobs": 1})
    after.send(START)
    assert machine.says("task 1 hey: no such binary")
    for name in ("hey", "idle", "hog"):
        after.upload(name, (machine.binaries / name).read_bytes())
    after.socket.close()
