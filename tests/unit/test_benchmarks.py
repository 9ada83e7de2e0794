"""The frame of the benchmarks: who runs them, what they measure with, a fair floor."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import __main__ as runner
from benchmarks.tools.bare import qemu_command
from benchmarks.tools.cpu import cpu_s, waited_s
from benchmarks.tools.http import Requests, bare_server
from benchmarks.tools.memory import own_mb, pss_mb
from benchmarks.tools.reference import page
from benchmarks.tools.storm import Readiness
from benchmarks.tools.table import read_json
from taskgen import assets
from taskgen.engine import Engine
from taskgen.host.qemu_command import Accelerator, Launch, command
from taskgen.lifecycle import MachineState
from taskgen.pool import Pool
from taskgen.profiles import load_profile
from taskgen.room import Room
from taskgen.slots import load_network


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A directory of scripts instead of ours."""
    scripts = tmp_path / "benchmarks"
    scripts.mkdir()
    (scripts / "__init__.py").touch()
    (scripts / "good.py").write_text(
        "import json, sys\n"
        'line = dict(name="x", floor=1, ours=9, ratio=9, goal=2, unit="s")\n'
        "kept = json.dumps(dict(host={}, lines=[line]))\n"
        'open(sys.argv[sys.argv.index("--json") + 1], "w").write(kept)\n'
    )
    monkeypatch.setattr(runner, "HERE", scripts)
    monkeypatch.setattr(runner, "RESULTS", scripts / "results")
    monkeypatch.setattr(runner, "REFERENCE", scripts / "reference")
    return scripts


def test_all_scripts_run_and_a_missed_goal_is_no_failure(folder, monkeypatch, capfd):
    monkeypatch.setattr(sys, "argv", ["benchmarks"])
    assert runner.scripts() == ["good"]
    assert runner.main() == 0
    assert "lines: 1, goals missed: 1" in capfd.readouterr().out
    assert read_json(folder / "results" / "all.json")[0].ratio == 9
    assert {"good.svg", "all.svg"} <= {each.name for each in (folder / "results").iterdir()}
    assert not (folder / "reference").exists()


def test_the_reference_is_kept_only_where_all_could_be_measured(folder, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--reference"])
    (folder / "bad.py").write_text("raise SystemExit(3)\n")
    assert runner.main() == 1
    assert not (folder / "reference").exists()
    (folder / "bad.py").unlink()
    assert runner.main() == 0
    assert {each.name for each in (folder / "reference").iterdir()} == {
        *("good.json", "all.svg", "README.md")
    }
    assert "| x | 1 | 9 | s | 9.000 | | ≤ 2.00 | **missed** |" in page(folder / "reference")


def test_a_reference_that_is_taken_anew_for_one_question_keeps_the_others(folder, monkeypatch):
    (folder / "other.py").write_text((folder / "good.py").read_text())
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--reference"])
    assert runner.main() == 0
    (folder / "good.py").write_text((folder / "good.py").read_text().replace("ours=9", "ours=5"))
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--reference", "good"])
    assert runner.main() == 0
    kept = folder / "reference"
    ours = {name: read_json(kept / f"{name}.json")[0].ours for name in ("good", "other")}
    assert ours == {"good": 5, "other": 9}
    assert (kept / "README.md").read_text(encoding="utf-8") == page(kept)


def test_what_was_measured_in_a_hurry_is_no_reference(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--quick", "--reference"])
    with pytest.raises(SystemExit):
        runner.main()
    assert "less exact" in capsys.readouterr().err


def test_the_page_that_is_kept_says_what_was_measured():
    kept = assets.root() / "benchmarks" / "reference"
    assert {each.stem for each in kept.glob("*.json")} == set(runner.scripts())
    assert (kept / "README.md").read_text(encoding="utf-8") == page(kept)


def test_a_script_that_fails_is_told_and_the_others_run(folder, monkeypatch, capfd):
    (folder / "bad.py").write_text("raise SystemExit(3)\n")
    (folder / "results").mkdir()
    (folder / "results" / "bad.json").write_text("[]")  # of an earlier time
    monkeypatch.setattr(sys, "argv", ["benchmarks"])
    assert runner.main() == 1
    told = capfd.readouterr()
    assert "bad: exit status 3, not measured" in told.err
    assert "lines: 1" in told.out


def test_a_script_that_does_not_end_is_ended_and_the_others_run(folder, monkeypatch, capfd):
    (folder / "asleep.py").write_text("import time\ntime.sleep(1000)\n")
    monkeypatch.setattr(runner, "LIMIT_S", 3.0)
    monkeypatch.setattr(sys, "argv", ["benchmarks"])
    assert runner.main() == 1
    told = capfd.readouterr()
    assert "asleep: not through after 0.05 minutes" in told.err
    assert "lines: 1" in told.out


def test_a_script_that_is_interrupted_ends_all(folder, monkeypatch):
    (folder / "cut.py").write_text(
        "import os, signal, sys\n"
        "os.kill(os.getppid(), signal.SIGINT)  # as a terminal does, to both\n"
        "sys.exit(130)\n"
    )
    monkeypatch.setattr(sys, "argv", ["benchmarks"])
    assert runner.main() == 130
    assert not (folder / "results" / "good.json").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_script_in_the_background_of_a_shell_is_ended_in_order_too(number):
    code = (
        "import time\n"
        "from benchmarks.tools.stopping import stopping_in_order\n"
        "with stopping_in_order():\n"
        "    try:\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(1000)\n"
        "    finally:\n"
        "        print('cleaned up', flush=True)\n"
    )
    with subprocess.Popen(
        # So a shell starts what is to run in the background of a script.
        ["sh", "-c", 'trap "" INT; exec "$0" -c "$1"', sys.executable, code],
        cwd=assets.root(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.communicate(timeout=60) == ("cleaned up\n", None)
    assert process.returncode == 130


def test_a_script_that_is_told_twice_to_stop_goes_on_cleaning_up():
    code = (
        "import sys, time\n"
        "from benchmarks.tools.stopping import stopping_in_order\n"
        "with stopping_in_order():\n"
        "    try:\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(1000)\n"
        "    finally:\n"
        "        print('cleaning up', flush=True)\n"
        "        sys.stdin.readline()\n"
        "        print('cleaned up', flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=assets.root(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert process.stdout.readline() == "cleaning up\n"
        process.terminate()  # timeout(1) tells the whole group, and so do we: it hears it twice
        assert process.communicate("go on\n", timeout=60) == ("cleaned up\n", None)
    assert process.returncode == 130


def test_our_scripts_are_found_and_helpers_are_not_among_them():
    questions = {"ready", "restore", "dead_time", "memory", "idle", "recovery", "whole"}
    assert questions | {"adopt", "daemon", "engine", "variants"} == set(runner.scripts())
    assert not {"table", "bare", "__main__", "__init__"} & set(runner.scripts())


def test_cpu_time_of_a_process_counts_all_that_it_did():
    before = cpu_s(os.getpid())
    while time.process_time() < before + 0.005:
        pass
    assert cpu_s(os.getpid()) == pytest.approx(time.process_time(), abs=0.05)
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        pass
    with pytest.raises(ProcessLookupError):
        cpu_s(child.pid)


def test_memory_of_a_process_grows_with_what_it_holds():
    before, own_before = pss_mb(os.getpid()), own_mb(os.getpid())
    held = bytearray(os.urandom(1000)) * 50_000
    assert pss_mb(os.getpid()) - before == pytest.approx(len(held) / 1e6, rel=0.2)
    assert own_mb(os.getpid()) - own_before == pytest.approx(len(held) / 1e6, rel=0.2)


def test_what_a_process_waited_for_a_core_is_known():
    before = waited_s(os.getpid())
    time.sleep(0.01)
    assert 0 <= before <= waited_s(os.getpid())


def test_the_bare_server_answers_with_as_many_bytes_as_ours(tmp_path):
    with bare_server(tmp_path / "bare.sock", 700):
        requests = Requests(tmp_path / "bare.sock", "/")
        for _ in range(2):  # on one connection
            took_s, body = requests.get()
            assert took_s > 0
            assert len(body) == 700
            assert set(json.loads(body)) == {"text"}
        requests.close()


@pytest.mark.parametrize("option", ["-accel", "-machine", "-m", "-smp", "-append", "-device"])
def test_the_floor_is_the_same_machine(option):
    profile = load_profile("linux-x86_64")
    slot = load_network(assets.root() / "network" / "network.toml").slot(3)
    launch = Launch(
        name=slot.name,
        uuid="0",
        accelerator=Accelerator.TCG,
        files={path: str(path) for path in (profile.kernel, profile.initrd)},
        log_fd=6,
        console_fd=5,
        qmp_fd=3,
        mac=slot.mac,
        tap_fd=4,
    )
    ours, bare = command(profile, launch), qemu_command(profile, "tcg", slot, Path("console"))
    assert bare[bare.index(option) + 1] == ours[ours.index(option) + 1]
    for image in ("-kernel", "-initrd"):
        assert bare[bare.index(image) + 1] == ours[ours.index(image) + 1]


class QuickMachine:
    """A machine that is ready at once."""

    profile = "none"
    usable = True
    state = MachineState.READY

    def __init__(self, slot):
        self.name = f"machine-{slot}"

    def on_change(self, callback):
        """It never changes."""

    async def start(self):
        """Nothing to do."""

    async def stop(self):
        """Nothing to do."""


def test_machines_stay_until_all_are_ready_and_then_go():
    async def main():
        queue = Readiness(3)
        engine = Engine(queue)
        pool = Pool(
            QuickMachine,
            engine.serve,
            queue,
            profile="none",
            room=Room(slots=8, memory_mb=8192, guest_mb=96, qemu_mb=96),
            limit=3,
            boots_at_once=1,
        )
        running = asyncio.create_task(pool.run())
        async with asyncio.timeout(5):
            await queue.ready.wait()
            assert len(pool.machines) == 3
            assert not running.done()
            queue.release()
            await running
        assert not pool.machines

    asyncio.run(main())
