"""What a job's wall time is made of, beside its ideal."""

import subprocess
import sys
from dataclasses import replace

import pytest

from benchmarks.tools.parts import CpuMeter, Parts, mean_of, parts_of
from benchmarks.tools.table import Line, print_table


def test_what_ours_is_above_the_floor_is_told_part_by_part(capsys):
    line = Line("job", 10, 12, 1.2, 1.1, "s", parts={"starts": 0.5, "tail": 1.5}, note="why so")
    print_table("all", [line, Line("x", 1, 1, 1, 1, "s")])
    assert "job: +2.00 s: starts +0.50, tail +1.50; why so" in capsys.readouterr().out


def test_the_parts_of_a_job_add_up_to_its_wall_time():
    runs = [[(102.0, 103.0), (104.0, 106.0)], [(101.0, 104.0)]]
    parts = parts_of(runs, machines=3, began=100.0, ended=109.0)
    # The third machine was not ready in time.
    assert parts == Parts(starts=4.0, sets=2.0, between=pytest.approx(1 / 3), tail=8 / 3)
    assert parts.wall == pytest.approx(9.0)
    above = parts.above(start=1.0, sets=1.5)
    assert sum(above.values()) == pytest.approx(9.0 - 1.0 - 1.5)
    assert mean_of([parts, replace(parts, starts=6.0)]).starts == 5.0


def test_the_cpu_of_children_counts_once_they_have_ended():
    meter = CpuMeter()
    program = "import time\nwhile time.process_time() < 0.2: pass"
    with subprocess.Popen([sys.executable, "-c", program]) as child:
        assert meter.children_s() == 0.0
        child.wait()
    assert meter.children_s() >= 0.2
    assert meter.own_s() < 0.2 < meter.cores_s()
    assert 0 < meter.busy_share() <= 1
