"""``taskgen taskset generate``: documents of random task-sets, which run."""

import csv
import json
import tomllib

import pytest
from command import taskgen
from taskset_calls import ask, not_told, python

from taskgen.generators.recipe import DEADLINES, METHODS, PERIODS
from taskgen.taskset import TaskSet

CALL = ("generate", "--tasks", "3", "--utilisation", "0.7", "--sets", "100", "--seed", "1")


def test_a_document_with_the_sets_of_the_library(tmp_path):
    file = tmp_path / "random.toml"
    done = taskgen("taskset", *CALL, "-o", str(file))
    assert (done.status, done.err) == (0, f"taskgen: {file}: 100 sets of 3 tasks\n")
    assert ask("variants", str(file), "--all", "--format", "xml") == python(
        "from taskgen.generate import generate\n"
        "from taskgen.task import Task\n"
        "task = Task(pkg='idle', numberofjobs=10)\n"
        "sets = generate(n_tasks=3, utilisation=0.7, n_sets=100, seed=1, task=task)\n"
        "for variant in sets.variants():\n"
        "    print(variant.description().decode())\n"
    )
    document = tomllib.loads(file.read_text())
    assert set(document) == {"version", "name", "metadata", "generate"}
    assert document["name"] == "random"
    assert len(file.read_text()) < 600  # not the sets


def test_standard_output():
    assert tomllib.loads(ask(*CALL)) == json.loads(ask(*CALL, "--format", "json"))


def test_every_part_can_be_chosen():
    out = ask(
        *CALL, "--method", "RandFixedSum:lowest=0.1,highest=0.6", "--periods",
        "loguniform:20..400..20", "--deadlines", "constrained:from_share=0.5", "--priorities",
        "audsley", "--binary", "pi", "--jobs", "5", "--argument", "config.n", "--load", "0.5",
    )  # fmt: skip
    call = tomllib.loads(out)["generate"]
    assert call["method"] == {"name": "randfixedsum", "lowest": 0.1, "highest": 0.6}
    assert call["periods"] == {
        "name": "log-uniform",
        "low_ms": 20,
        "high_ms": 400,
        "step_ms": 20,
    }
    assert call["deadlines"] == {"name": "constrained", "from_share": 0.5}
    assert (call["priorities"], call["argument"], call["load"]) == ("audsley", "config.n", 0.5)
    assert call["task"] == {"pkg": "pi", "numberofjobs": 5}


def test_binaries_that_are_told_nothing():
    call = tomllib.loads(ask(*CALL, "--argument", "", "--binary", "hey"))["generate"]
    assert "argument" not in call
    assert call["task"]["pkg"] == "hey"


@pytest.mark.parametrize("method", METHODS)
def test_every_method(method):
    bounds = ":lowest=0/0/0,highest=1/0.5/0.5" if method == "convolutionalfixedsum" else ""
    out = ask(*CALL, "--method", method + bounds)
    assert tomllib.loads(out)["generate"]["method"]["name"] == method


@pytest.mark.parametrize("periods", PERIODS)
def test_every_distribution_of_periods(periods):
    out = ask(*CALL, "--periods", periods + (":20,50" if periods == "listed" else ""))
    assert tomllib.loads(out)["generate"]["periods"]["name"] == periods


@pytest.mark.parametrize("deadlines", DEADLINES)
def test_without_priorities_for_edf(deadlines):
    words = ("--deadlines", deadlines, "--priorities", "none")
    done = taskgen("taskset", *CALL, *words)
    assert done.status == 0
    call = tomllib.loads(done.out)["generate"]
    assert "priorities" not in call
    assert ("the Linux guest refuses task 1: deadline" in done.err) == (deadlines == "arbitrary")


def test_an_edited_file_is_not_overwritten(tmp_path):
    file = tmp_path / "random.toml"
    for _ in range(2):  # the same again is fine
        assert taskgen("taskset", *CALL, "-o", str(file)).status == 0
    file.write_text("# my thesis\n")
    done = taskgen("taskset", *CALL, "-o", str(file))
    assert done.status == 2
    assert done.err.endswith("random.toml: is there, with something else in it (--force)\n")
    assert taskgen("taskset", *CALL, "-o", str(file), "--force").status == 0
    assert TaskSet.load(file).variants().count == 100


def test_without_numpy(tmp_path):
    (tmp_path / "numpy.py").write_text("raise ImportError('no numpy here')\n")
    done = taskgen("taskset", *CALL, PYTHONPATH=str(tmp_path))
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        "taskgen: generating task-sets needs numpy: no numpy here"
        " (pip install 'taskgen[generators]')\n"
    )
    # What needs no numbers still works.
    words = ("variants", "example.Generated", "--count")
    assert ask(*words, PYTHONPATH=str(tmp_path)) == "100\n"


WRONG = [
    ("--method uunifst", "there is no uunifst (did you mean 'uunifast'?)"),
    ("--method uunifast:0.3", "'0.3' is not one of its numbers (it has none)"),
    ("--method convolutionalfixedsum", "needs lowest and highest (lowest=…,highest=…)"),
    ("--method randfixedsum:highest=0.2", "reach more than 0 and less than 0.6"),
    ("--periods :", "there is no name (one of uniform, log-uniform"),
    ("--periods loguniform:15..1000", "both ends must be multiples of the step"),
    ("--periods harmonic:rati=2", "'rati=2' is not one of its numbers (base_ms=…,ratio=…"),
    ("--periods harmonic:ratio=1", "a ratio of 2 or more"),
    ("--periods harmonic:ratio=2/3", "ratio = 2/3: must be one number"),
    ("--periods harmonic:ratio=2.5", "ratio = 2.5"),
    ("--periods listed", "listed needs values_ms"),
    ("--periods listed:10,x", "'x' is not a number"),
    ("--deadlines arbitrary:factor=0.5", "factor = 0.5: must be from 1 to 100"),
    ("--priorities fifo", "'fifo' is not one of 'rm', 'dm', 'none'"),
    ("--utilisation 0", "utilisation = 0.0: must be above 0"),
    ("--utilisation 9", "utilisation = 9.0"),
    ("--utilisation nan", "utilisation = nan"),
    ("--tasks 0", "0 is not in the range"),
    ("--tasks 129", "129 tasks: there are 128 priorities"),
    ("--load 2", "load = 2.0: must be above 0 and at most 1"),
    ("--argument period", "must be a part of config"),
    ("--binary a/b", "is not the name of a binary"),
    ("-o set.yaml", "set.yaml: the name must end in .toml or .json"),
    ("-o no/set.toml", "no/set.toml: cannot be written: No such file or directory"),
    ("-o set.toml --format toml", "--format is for standard output"),
]


def test_nothing_is_generated_from_bad_input(tmp_path):
    call = " ".join(CALL)
    assert not_told([(f"{call} {words}", says) for words, says in WRONG], tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_generated_sets_run(tmp_path):
    words = ("--tasks", "2", "--utilisation", "0.3", "--sets", "3", "--seed", "1", "--jobs", "3")
    done = taskgen("taskset", "generate", *words, "--periods", "harmonic:levels=3", "-o", "r.toml",
                   cwd=tmp_path)  # fmt: skip
    assert done.status == 0, done.err
    done = taskgen("run", "r.toml", "--machines", "1", "--events", "e.csv", cwd=tmp_path)
    assert done.status == 0, done.err
    assert "3 of 3 variants have a result" in done.err
    with (tmp_path / "e.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 2 * 3
    drawn = csv.DictReader(ask("variants", "r.toml", "--format", "csv", cwd=tmp_path).splitlines())
    assert {row["variant"]: row["1.period"] for row in rows} == {
        row["variant"]: row["1.period"] for row in drawn
    }
