"""The benchmarks measure something, each with few rounds and machines; figures do not matter."""

import json
import subprocess
import sys

import pytest
from world import no_leftovers, own_world

from taskgen import assets

__all__ = ["no_leftovers", "own_world"]

PATIENCE_S = 400


@pytest.mark.parametrize(
    ("words", "measured"),
    [
        (["dead_time", "--rounds=1"], ["clear: last JOBS_DONE", "snapshot: last JOBS_DONE"]),
        (["recovery", "--rounds=1", "--reset=snapshot"], ["SIGKILL of a QEMU", "ready again"]),
        (["idle", "--rounds=1", "--machines=3", "--quick"], ["3 idle machines", "memory of"]),
    ],
    ids=lambda value: value[0].split(":")[0],
)
def test_a_quick_form_measures_and_leaves_nothing_behind(tmp_path, words, measured):
    name, *options = words
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--json", tmp_path / "lines.json", *options],
        cwd=assets.root(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = json.loads((tmp_path / "lines.json").read_text())["lines"]
    for line, start in zip(lines, measured, strict=True):
        assert line["name"].startswith(start)
        assert line["ours"] >= 0
        assert line["floor"] > 0
