"""The lines of the benchmarks: what they say of rounds; how they are printed, kept and drawn."""

import json
import re
from xml.etree import ElementTree

import pytest

from benchmarks.tools.chart import draw
from benchmarks.tools.table import (
    Line,
    compare,
    paired,
    print_table,
    read_json,
    within,
    write_json,
)


def test_a_line_compares_medians_and_says_how_far_the_rounds_lie_apart():
    line = compare("boot", [2.0, 1.0, 9.0], [2.2, 2.0, 2.1], goal=1.1, unit="s")
    assert (line.floor, line.ours, line.ratio) == (2.0, 2.1, pytest.approx(1.05))
    assert line.spread == "1 to 9 | 2 to 2.2"
    assert not line.missed


def test_the_ratio_of_rounds_in_turn_does_not_see_what_makes_both_slower():
    floor = [1.0, 3.0, 2.0, 9.0, 5.0, 7.0]
    line = paired("boot", floor, [1.1 * each for each in floor], goal=1.2, unit="s")
    assert line.ratio == pytest.approx(1.1)
    assert line.ratio_range == pytest.approx((1.1, 1.1))
    assert (line.verdict, line.noise > 1) == ("met", True)


@pytest.mark.parametrize(("goal", "verdict"), [(1.6, "met?"), (1.4, "missed?"), (2.2, "met")])
def test_a_goal_amid_the_rounds_own_ratios_is_neither_surely_met_nor_missed(goal, verdict):
    line = paired("boot", [1.0] * 7, [1.0, 1.2, 1.3, 1.5, 1.7, 1.8, 2.0], goal=goal, unit="s")
    assert (line.ratio, line.ratio_range, line.verdict) == (1.5, (1.0, 2.0), verdict)


def test_many_rounds_leave_out_what_is_far_from_their_median():
    line = paired("boot", [1.0] * 30, [float(each) for each in range(1, 31)], goal=1, unit="s")
    # For 30, tables of the sign test have the 10th of each end.
    assert line.ratio_range == (10.0, 21.0)
    assert paired("boot", [1.0], [2.0], goal=1, unit="s").ratio_range is None


def test_a_line_with_a_limit_is_missed_above_it():
    met, missed = (within("memory", 80.0, [value], unit="MB") for value in (79.0, 81.0))
    assert (met.floor, met.ours, met.spread) == (80.0, 79.0, "limit | 79 to 79")
    assert (met.missed, missed.missed) == (False, True)


def test_what_is_kept_has_exactly_the_keys_of_every_script(tmp_path):
    line = compare("boot", [1.0], [2.0], goal=1.1, unit="s", prototype=20.0)
    write_json(tmp_path / "lines.json", [line])
    kept = json.loads((tmp_path / "lines.json").read_text())
    assert kept["lines"] == [
        {
            "name": "boot",
            "floor": 1.0,
            "ours": 2.0,
            "ratio": 2.0,
            "goal": 1.1,
            "unit": "s",
            "floor_range": [1.0, 1.0],
            "ours_range": [2.0, 2.0],
            "ratio_range": None,
            "noise": 0.0,
            "prototype": 20.0,
            "parts": None,
            "note": "",
        }
    ]
    assert kept["host"]["cores"] >= 1
    assert read_json(tmp_path / "lines.json") == [line]


def test_the_prototypes_cost_is_listed_where_it_is_known(capsys):
    print_table(
        "all", [Line("boot", 1, 2, 2.0, 1.1, "s", prototype=20.0), Line("x", 1, 1, 1, 1, "s")]
    )
    assert re.search(r"prototype", (shown := capsys.readouterr().out))
    assert re.search(r"boot .* 20 ", shown)


def test_the_chart_has_each_line_and_what_was_missed(tmp_path):
    lines = [
        compare("boot", [1.0, 1.1], [1.3, 1.2], goal=1.1, unit="s"),
        within("next to nothing", 80.0, [0.0], unit="MB"),
    ]
    draw(tmp_path / "chart.svg", "all", lines)
    root = ElementTree.parse(tmp_path / "chart.svg").getroot()
    texts = ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"boot", "next to nothing", "all"} <= set(texts)
    assert any(text.startswith("1.19 (≤ 1.1)") for text in texts)
    before = (tmp_path / "chart.svg").read_bytes()
    draw(tmp_path / "chart.svg", "all", lines)
    assert (tmp_path / "chart.svg").read_bytes() == before


def test_a_missed_goal_is_said(capsys):
    print_table("all", [Line("slow", 1, 2, 2.0, 1.1, "s"), Line("fast", 1, 1, 1.0, 1.1, "s")])
    slow, fast = [line for line in capsys.readouterr().out.splitlines() if "≤" in line]
    assert "missed" in slow
    assert "missed" not in fast
