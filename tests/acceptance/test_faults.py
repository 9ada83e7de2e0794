"""Each fault in mid-run, on real machines: the job ends with one result for each variant, and
nothing is left. ``make reliability`` does the same more often, and takes the times."""

import pytest
from fault_scene import scene_of
from faults import FAULTS
from world import nothing_left


@pytest.fixture(scope="module")
def scene(own_world):
    with nothing_left(), scene_of(machines=2, runs=20) as scene:
        yield scene


@pytest.fixture(autouse=True)
def no_leftovers():
    """Machines outlive a test here: ``scene`` looks at the end of the module."""


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_job_survives(scene, fault):
    suffered = scene.suffer(fault)
    print(suffered)
    assert suffered.said, f"the daemon said nothing of it: {scene.daemon.said[-5:]}"
