"""Every fault many times, and a daemon killed at random moments, with real machines at work.

``make reliability`` puts the table of times into docs/reliability.md.
"""

import random
import time

import pytest
from fault_scene import RUN_MS, SLACK_S, scene_of
from fault_table import median_and_most, put_table, shortened
from faults import FAULTS
from world import network, no_leftovers, own_world, profile

__all__ = ["network", "no_leftovers", "own_world", "profile"]

MACHINES = 4
RUNS = 40
ROUNDS = 5
KILLS = 20


def test_every_fault_is_noticed_and_recovered_from_each_time():
    found = {fault: [] for fault in FAULTS}
    with scene_of(machines=MACHINES, runs=RUNS) as scene:
        for _ in range(ROUNDS):
            for fault in FAULTS:
                found[fault].append(scene.suffer(fault))
                print(fault.name, found[fault][-1], flush=True)
    put_table(rows(found), "TASKGEN_RELIABILITY_TABLE")


def rows(found):
    yield "| fault | noticed after, s | recovered after, s | what the daemon said |"
    yield "|---|---|---|---|"
    for fault, suffered in found.items():
        noticed = [each.noticed_s for each in suffered if each.noticed_s is not None]
        recovered = [each.recovered_s for each in suffered]
        yield (
            f"| {fault.name} | {median_and_most(noticed)}"
            f" | {median_and_most(recovered)} | `{shortened(suffered[0].said)}` |"
        )


@pytest.mark.parametrize("seed", [random.SystemRandom().randrange(2**32)], ids=str)
def test_a_job_on_real_machines_survives_20_kills_of_the_daemon(seed):
    print(f"seed {seed}")
    source = random.Random(seed)
    with scene_of(machines=MACHINES, runs=RUNS) as scene:
        # Longer than the lives together; each gets to work for up to 3 s.
        runs = round(KILLS * 2 * MACHINES * 1000 / RUN_MS)
        job = scene.add(runs)
        pids = {machine.name: machine.pid for machine in scene.daemon.client.machines()}
        met = 0
        for number in range(KILLS):
            # Every fourth while it starts, when it adopts; the others in the midst of the work.
            time.sleep(source.uniform(0, 3))
            met += scene.daemon.client.job(job.id).state != "done"
            scene.daemon.kill()
            if number % 4 == 3:
                scene.daemon.launch()
                time.sleep(source.uniform(0, 2))
                scene.daemon.kill()
            scene.daemon.start()
        print(f"{met} of {KILLS} kills met the job; slack {SLACK_S} s")
        scene.wait_done(job, runs)
        now = {machine.name: machine.pid for machine in scene.daemon.client.machines()}
        print(f"machines that lived through all of it: {len(pids.items() & now.items())}")
        assert met == KILLS, "the job was too short: the test shows less than it should"
