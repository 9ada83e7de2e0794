"""An engine that is killed at 20 random moments of a job loses nothing and doubles nothing."""

import asyncio
import random

import pytest
from killing import kill_again_and_again


@pytest.mark.parametrize("seed", [1, random.SystemRandom().randrange(2**32)], ids=str)
def test_a_job_of_300_runs_survives_20_kills(tmp_path, seed):
    print(f"seed {seed}")
    story = asyncio.run(kill_again_and_again(tmp_path, runs=300, kills=20, seed=seed))
    print(f"{story.starts} runs were started, {len(story.acknowledged)} results were told")
    assert story.kills == 20
    assert story.starts > 300, "no kill has met a run: the test shows nothing"
