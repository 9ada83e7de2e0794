"""All benchmarks in their quick form: each measures, and none leaves anything behind."""

import subprocess
import sys

import pytest
from world import no_leftovers, own_world

from benchmarks import __main__ as runner
from benchmarks.tools.table import read_json
from taskgen import assets

__all__ = ["no_leftovers", "own_world"]

PATIENCE_S = 1800


@pytest.mark.parametrize("name", runner.scripts())
def test_the_quick_form_measures_and_leaves_nothing_behind(tmp_path, name):
    file = tmp_path / "lines.json"
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--quick", "--json", file],
        cwd=assets.root(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = read_json(file)
    assert lines
    for line in lines:
        assert line.ours >= 0
        assert line.floor > 0
