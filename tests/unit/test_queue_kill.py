"""An engine that is killed goes on where it was; tests/soak does it for longer."""

import asyncio

from killing import kill_again_and_again


def test_a_job_survives_the_deaths_of_its_engine(tmp_path):
    story = asyncio.run(kill_again_and_again(tmp_path, runs=40, kills=3, seed=4))
    assert story.kills == 3
