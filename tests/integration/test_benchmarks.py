"""A benchmark of real machines measures something, in its quickest form; figures do not matter.

All of them are run in ``tests/soak``.
"""

import json
import subprocess
import sys

from world import no_leftovers, own_world

from taskgen import assets

__all__ = ["no_leftovers", "own_world"]

PATIENCE_S = 400


def test_one_round_measures_both_sides_and_leaves_nothing_behind(tmp_path):
    options = ["--json", tmp_path / "lines.json", "--rounds=1", "--reset=snapshot"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.dead_time", *options],
        cwd=assets.root(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (line,) = json.loads((tmp_path / "lines.json").read_text())["lines"]
    assert line["name"].startswith("snapshot: last JOBS_DONE")
    # Neither a restore nor a cold boot is done at once.
    assert line["ours"] > 1
    assert line["floor"] > 100
