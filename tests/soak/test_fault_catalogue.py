"""What happens to machines, one thing after the other, on a fleet at work: the right verdict each
time, and no result lost or doubled.

``make faults`` puts the table into docs/diagnosis.md.
"""

import os
import re
import time

from fault_scene import scene_of
from fault_table import median_and_most, put_table, shortened
from machine_faults import CATALOGUE, breakable
from world import network, no_leftovers, own_world, profile

__all__ = ["network", "no_leftovers", "own_world", "profile"]

MACHINES = 4
RUNS = 24
ROUNDS = 2

#: Only faults whose names have this, a regular expression; for trials.
ONLY = os.environ.get("TASKGEN_FAULTS", "")


def test_every_fault_gets_its_verdict_and_no_result_is_lost_or_doubled():
    found = {fault: [] for fault in CATALOGUE if re.search(ONLY, fault.name)}
    began = time.monotonic()
    with scene_of(machines=MACHINES, runs=RUNS, boots=True, before=breakable) as scene:
        for number in range(ROUNDS):
            for fault, suffered in found.items():
                suffered.append(scene.suffer(fault))
                passed_s = time.monotonic() - began
                print(f"\n{passed_s:.0f} s, {number + 1}: {fault.name}", flush=True)
                for line in told(suffered[-1]):
                    print(f"    {line}", flush=True)
    put_table(rows(found), "TASKGEN_FAULTS_TABLE")


def told(suffered):
    """All of one fault, a line each."""
    yield from (f"seen: {line}" for line in suffered.evidence)
    yield f"verdict: {suffered.verdict or 'none'}: {suffered.text or suffered.said}"
    yield (
        f"noticed {suffered.noticed_s} s, verdict {suffered.verdict_s} s, "
        f"working again {suffered.recovered_s} s"
    )
    yield f"{RUNS} results of {RUNS} runs, each once; {suffered.failed} attempts failed"


def rows(found):
    yield (
        "| fault | verdict | what it says | noticed, s | verdict, s | working again, s"
        " | failed attempts | results |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for fault, times in found.items():
        verdicts = " or ".join(dict.fromkeys(f"`{t.verdict}`" for t in times if t.verdict))
        text = next((t.text for t in times if t.text), "") or times[0].said
        text = text or f"no run failed: {'; '.join(times[0].evidence)}"
        figures = [
            median_and_most([value for t in times if (value := getattr(t, name)) is not None])
            for name in ("noticed_s", "verdict_s", "recovered_s")
        ]
        failed = ", ".join(str(t.failed) for t in times)
        results = f"{RUNS} of {RUNS}, each time"
        yield (
            f"| {fault.name} | {verdicts or 'none needed'} | {shortened(text)}"
            f" | {' | '.join(figures)} | {failed} | {results} |"
        )
