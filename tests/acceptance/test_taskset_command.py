"""``taskgen taskset``: looking at task-sets, checking and generating them."""

import csv
import io
import json
import re

import pytest
from command import taskgen
from taskset_calls import ask, cells, in_shell, not_told

from taskgen.explain import explain_all
from taskgen.keys import KEYS
from taskgen.taskset import TaskSet
from taskgen.tasksets.example import Demo
from taskgen.variant import thawed

MODULE = '''
from itertools import count
from taskgen.task import Task
from taskgen.taskset import TaskSet

class Mine(TaskSet):
    """Two rates.

    And more about it.
    """
    def __init__(self):
        super().__init__([Task(pkg="hey", period=[20, 50])])

class Endless(TaskSet):
    def __init__(self):
        super().__init__([Task(pkg="hey", period=count(1))])

class NeedsArgument(TaskSet):
    def __init__(self, n):
        super().__init__()

class Breaks(TaskSet):
    """Fails when its second value is drawn."""
    def __init__(self):
        super().__init__([Task(pkg="hey", period=(10 // each for each in (1, 0)))])
'''

SCRIPT = """
from taskgen.taskset import TaskSet
class Started(TaskSet):
    pass
open("was_run", "w").close()
print("it runs")
"""

#: 3 * 10**12 variants.
HUGE = """
version = 1
[[task]]
pkg = "idle"
config = { arg1 = { "$range" = [1, 1000000] } }
period = { "$range" = [20, 1000019] }
deadline = [5, 15, 100]
executiontime = 10
"""

EDF = """
version = 1
[[task]]
pkg = "idle"
period = [20, 50]
deadline = 30
executiontime = 5
[[task]]
pkg = "hey"
deadline = 10
[[task]]
id = 7
pkg = "hey"
period = { "$values" = [10, 20], "$coupled" = "c" }
deadline = { "$values" = [10, 20], "$coupled" = "c" }
executiontime = 1
"""


@pytest.fixture
def here(tmp_path):
    (tmp_path / "mine.py").write_text(MODULE)
    (tmp_path / "huge.toml").write_text(HUGE)
    (tmp_path / "edf.toml").write_text(EDF)
    return tmp_path


class TestLs:
    def test_ours_by_default(self):
        rows = [cells(line) for line in ask("ls").splitlines()]
        assert ["example.Hey", "1", "hey ten times, every 50 ms."] in rows
        assert ["hey.Hey6TaskSet", "128"] in [row[:2] for row in rows]

    def test_for_programs(self):
        rows = {row["name"]: row for row in json.loads(ask("ls", "--json"))}
        assert rows["example.Generated"]["variants"] == 100
        assert all(row["error"] is None and row["description"] for row in rows.values())

    @pytest.mark.parametrize("where", ["mine", "mine.py", "./mine.py"])
    def test_a_module_of_ones_own(self, here, where):
        mine, endless, needs, breaks = json.loads(ask("ls", where, "--json", cwd=here))
        assert mine == {
            "name": "mine.Mine", "description": "Two rates.", "variants": 2, "error": None
        }  # fmt: skip
        assert (endless["variants"], endless["description"]) == (None, "")
        assert "missing 1 required positional argument" in needs["error"]
        assert breaks["error"] is None  # only its second variant fails

    def test_a_directory_without_starting_a_script(self, here):
        folder = here / "sets"
        folder.mkdir()
        (folder / "more.py").write_text(MODULE)
        (folder / "script.py").write_text(SCRIPT)
        (folder / "plain.py").write_text("import this_is_missing\nclass A(dict): pass\n")
        (folder / "broken.py").write_text("# taskgen\nclass (\n")
        (folder / "one.toml").write_text(HUGE)
        (folder / "bad.json").write_text("{")
        (folder / "pyproject.toml").write_text("[project]\nversion = '1'\n")
        rows = {row["name"]: row for row in json.loads(ask("ls", "sets", "--json", cwd=here))}
        assert set(rows) == {
            "sets/bad.json", "sets/broken.py", "sets/one.toml", "sets/script.py",
            "sets.more.Mine", "sets.more.Endless", "sets.more.NeedsArgument", "sets.more.Breaks",
        }  # fmt: skip
        assert rows["sets/one.toml"]["variants"] == 3 * 10**12
        assert "script" in rows["sets/script.py"]["error"]
        assert "not valid JSON" in rows["sets/bad.json"]["error"]
        assert "SyntaxError" in rows["sets/broken.py"]["error"]
        assert not (here / "was_run").exists()
        assert ask("variants", "sets.more.Mine", "--count", cwd=here) == "2\n"
        taskgen("taskset", "ls", "sets/script.py", cwd=here)
        assert (here / "was_run").exists()  # who names it, wants it

    def test_a_directory_somewhere_else_says_from_where_its_names_count(self, here):
        elsewhere = here / "elsewhere"
        elsewhere.mkdir()
        done = taskgen("taskset", "ls", "..", cwd=elsewhere)
        assert done.status == 0
        assert "mine.Mine" in done.out
        assert done.err == f"taskgen: modules have these names in {here}\n"

    def test_an_entry_point_of_a_package(self, here):
        package = here / "plugin-1.0.dist-info"
        package.mkdir()
        (package / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
        (package / "entry_points.txt").write_text("[taskgen.tasksets]\nplugged = mine:Mine\n")
        rows = json.loads(ask("ls", "--json", PYTHONPATH=str(here)))
        assert (rows[-1]["name"], rows[-1]["variants"]) == ("plugged", 2)
        assert ask("variants", "plugged", "--count", PYTHONPATH=str(here)) == "2\n"

    def test_nothing_there(self, tmp_path):
        done = taskgen("taskset", "ls", ".", cwd=tmp_path)
        assert (done.status, done.out, done.err) == (0, "", "taskgen: no task-sets in .\n")
        assert json.loads(ask("ls", ".", "--json", cwd=tmp_path)) == []


class TestShow:
    def test_every_key_and_what_varies(self):
        out = ask("show", "example.Demo")
        rows = {row[0]: row for row in map(cells, out.splitlines())}
        assert set(KEYS) - {"id", "config"} | {"config.arg1"} <= set(rows)
        assert rows["config.arg1"] == ["config.arg1", "", "10, 40 x2", "-"]
        assert rows["period"] == ["period", "ms", "60", "20, 30 x2"]
        assert rows["offset"] == ["offset", "ms", "(0)", "(0)"]
        assert "8 variants = 2 (1.config.arg1) x 2 (2.period) x 2 (2.priority)" in out
        assert "refuses" not in out

    def test_what_varies_together(self):
        out = ask("show", "example.CouplingOfTasks")
        assert "3 variants = 3 (1.period, 1.priority, 2.period, 2.priority together)" in out

    def test_metadata_and_changes(self):
        out = ask("show", "hey.Hey5TaskSet", "--set", "hey.priority=0..127")
        assert re.search(r"^seed = \d+$", out, re.MULTILINE)
        assert "0..127 x128" in out

    def test_what_the_guest_would_refuse(self, here):
        refused = [
            line for line in ask("show", "edf.toml", cwd=here).splitlines() if "Linux" in line
        ]
        assert refused == [
            "The Linux guest refuses task 1: deadline 30 ms over period 20 ms, as in 1 of 2"
            " combinations of its values",
            "The Linux guest refuses task 2: a deadline without an executiontime",
        ]
        assert "executiontime 10 ms over deadline 5 ms" in ask("show", "huge.toml", cwd=here)

    def test_many_tasks_fit_the_terminal(self):
        out = ask("show", "hey.Hey4TaskSet", COLUMNS="60")
        assert max(len(line) for line in out.splitlines() if "│" in line) <= 60
        assert [f"task {number}" in out for number in (1, 2, 3, 4)] == [True] * 4

    def test_values_of_unknown_number(self, here):
        out = ask("show", "mine.Endless", cwd=here)
        assert "an unknown number of variants, as the values of 1.period come one after" in out

    def test_no_value_reaches_the_terminal_as_a_command(self, here):
        (here / "evil.toml").write_text(HUGE + 'extra = { note = "\\u001b[2J[red]" }\n')
        out = ask("show", "evil.toml", cwd=here)
        assert "\x1b" not in out
        assert "\\u001b[2J[red]" in out

    @pytest.mark.parametrize("index", ["3", "-5"])
    def test_one_variant(self, index):
        variant = Demo().variants()[3]
        out = ask("show", "example.Demo", "--variant", index)
        assert out.splitlines()[0] == "example.Demo, variant 3"
        assert "2.priority = 90" in out
        assert out.splitlines()[-1].encode() == variant.description()

    def test_the_exact_xml(self):
        out = ask("show", "example.Demo", "--variant", "6", "--format", "xml")
        assert out.encode() == Demo().variants()[6].description() + b"\n"
        only = ask("show", "example.Hey", "--format", "xml")
        assert only.startswith("<taskset><periodictask>")

    @pytest.mark.parametrize("form", ["toml", "json"])
    @pytest.mark.parametrize(
        "name", ["example.Demo", "example.CouplingOfTasks", "example.Generated"]
    )
    def test_as_a_document(self, tmp_path, name, form):
        file = tmp_path / f"set.{form}"
        file.write_text(ask("show", name, "--format", form))
        written = ask("variants", str(file), "--all", "--format", "json")
        assert written == ask("variants", name, "--all", "--format", "json")

    @pytest.mark.parametrize("form", ["toml", "json"])
    def test_one_variant_as_a_document(self, tmp_path, form):
        file = tmp_path / f"one.{form}"
        file.write_text(ask("show", "example.Demo", "--variant", "5", "--format", form))
        (alone,) = TaskSet.load(file).variants()
        assert alone.description() == Demo().variants()[5].description()
        assert TaskSet.load(file).metadata["variant"] == 5


class TestCheck:
    def test_what_is_fine(self, here):
        out = ask("check", "mine.Mine", "example.Demo", cwd=here)
        assert out == "mine.Mine: ok: 1 task, 2 variants\nexample.Demo: ok: 2 tasks, 8 variants\n"

    def test_a_refusal_of_the_guest_is_a_warning(self, here):
        done = taskgen("taskset", "check", "edf.toml", cwd=here)
        assert (done.status, done.out) == (0, "edf.toml: ok: 3 tasks, 4 variants\n")
        first, second = done.err.splitlines()
        assert first.startswith("taskgen: edf.toml: warning: the Linux guest refuses task 1: dead")
        assert "task 2: a deadline without an executiontime" in second

    def test_one_that_is_wrong_does_not_hide_the_others(self, here):
        (here / "bad.toml").write_text("version = 1\n[[task]]\npkg = 'hey'\nperiod = [10, -1]\n")
        done = taskgen("taskset", "check", "nowhere.toml", "bad.toml", "mine.Mine", cwd=here)
        assert done.status == 2
        assert done.out == "mine.Mine: ok: 1 task, 2 variants\n"
        absent, wrong = done.err.splitlines()
        assert absent == "taskgen: nowhere.toml: cannot be read: No such file or directory"
        assert "bad.toml: task[0].period = -1" in wrong
        assert "from 0 to 4294967" in wrong

    WRONG = (
        ("", "version = None: must be 1"),
        ("version = 2", "must be 1 (a newer Taskgen may have written it)"),
        ("version = 1", "has no tasks"),
        ("version = 1\ntasks = []", "tasks: there is no such key"),
        ("version = 1\n[[task]]\nperiod = 10", "task 1: has no pkg"),
        ("version = 1\n[[task]]\npkg = 'hey'\nperid = 1", "perid: there is no such key (did"),
        ("version = 1\n[[task]]\npkg = 'hey'\nperiod = []", "at least one value"),
        ("version = 1\n[generate]\nn_tasks = 2", "generate.utilisation: is missing"),
        ("version = ", "not valid TOML"),
        (f"version = 1\nmetadata = {'{a=' * 40}1{'}' * 40}", "nested deeper than 32"),
    )

    def test_what_is_wrong_is_one_line_with_the_file(self, tmp_path):
        for number, (text, _) in enumerate(self.WRONG):
            (tmp_path / f"{number}.toml").write_text(text)
        files = [f"{number}.toml" for number in range(len(self.WRONG))]
        done = taskgen("taskset", "check", *files, cwd=tmp_path)
        assert (done.status, done.out) == (2, "")
        for file, line, (_, says) in zip(files, done.err.splitlines(), self.WRONG, strict=True):
            assert line.startswith(f"taskgen: {file}: ")
            assert says in line


class TestVariants:
    def test_a_table(self):
        rows = [cells(line) for line in ask("variants", "example.Demo").splitlines()]
        assert rows[2:][5] == ["5", "40", "20", "90"]
        assert len(rows) == 2 + 8

    def test_a_table_that_is_too_wide_for_columns(self):
        out = ask("variants", "example.Generated", "--all", COLUMNS="80")
        assert "1.config.arg1=2, 1.executiontime=3" in out
        assert max(map(len, out.splitlines())) <= 80

    def test_where_nothing_varies(self):
        assert "0 │ nothing varies" in ask("variants", "example.Hey")

    def test_the_first_twenty_and_how_many_there_are(self, here):
        done = taskgen("taskset", "variants", "huge.toml", "--format", "csv", cwd=here)
        rows = list(csv.reader(io.StringIO(done.out)))
        assert rows[0] == ["variant", "1.config.arg1", "1.period", "1.deadline"]
        assert rows[20] == ["19", "1", "26", "15"]
        assert len(rows) == 21
        assert done.err == (
            "taskgen: shown: 20 of 3000000000000 variants (--all, --limit N, --from I)\n"
        )

    @pytest.mark.parametrize("start", ["2999999999999", "-1"])
    def test_the_last_of_very_many(self, here, start):
        out = ask("variants", "huge.toml", "--from", start, "--format", "csv", cwd=here)
        assert out.splitlines()[1:] == ["2999999999999,1000000,1000019,100"]

    def test_json_and_xml_are_lines_with_all_there_is(self):
        expected = list(Demo().variants())
        lines = ask("variants", "example.Demo", "--format", "json").splitlines()
        assert [json.loads(line) for line in lines] == [thawed(variant) for variant in expected]
        lines = ask("variants", "example.Demo", "--format", "xml").splitlines()
        assert [line.encode() for line in lines] == [each.description() for each in expected]

    def test_values_in_csv(self, tmp_path):
        (tmp_path / "odd.toml").write_text(
            "version = 1\n[[task]]\npkg = 'hey'\n"
            'extra.a = { "$choice" = ["x,\\"y\\"", "", [1, 2], true, 0.1] }\n'
        )
        rows = list(csv.reader(io.StringIO(ask("variants", str(tmp_path / "odd.toml"), "--format",
                                               "csv"))))  # fmt: skip
        assert [row[1] for row in rows[1:]] == ['x,"y"', "", "[1, 2]", "true", "0.1"]

    def test_the_number_of_all_and_of_parts(self, here):
        def count(*words):
            return int(ask("variants", "huge.toml", "--count", *words, cwd=here))

        whole = 3 * 10**12
        assert count() == whole
        assert count("--from", "7") == whole - 7
        assert sum(count("--shard", f"{k}/7") for k in range(7)) == whole
        assert count("--shard", "3/7", "--from", "4") == count("--shard", "3/7") - 1

    def test_parts_are_disjoint_and_complete(self):
        def indices(*words):
            lines = ask("variants", "example.Demo", "--format", "json", *words).splitlines()
            return [json.loads(line)["index"] for line in lines]

        assert indices("--shard", "0/3") == [0, 3, 6]
        assert indices("--shard", "1/3") == [1, 4, 7]
        assert indices("--shard", "2/3") == [2, 5]
        assert indices("--shard", "2/3", "--from", "3") == [5]
        assert indices("--shard", "7/9", "--from", "-1") == [7]
        assert indices("--shard", "8/9") == []
        assert indices("--from", "5") == [5, 6, 7]

    def test_a_sample_is_that_of_the_library(self, here):
        def indices(*words):
            words = ("variants", "huge.toml", "--format", "csv", *words)
            return [int(row[0]) for row in csv.reader(ask(*words, cwd=here).splitlines()[1:])]

        expected = TaskSet.load(here / "huge.toml").variants().sample(30, seed=5)
        assert indices("--sample", "30", "--seed", "5") == [each.index for each in expected]
        assert indices("--sample", "2") == indices("--sample", "2", "--seed", "0")
        assert all(i % 2 for i in indices("--sample", "5", "--shard", "1/2"))

    def test_a_stream(self, here):
        words = ("variants", "mine.Endless", "--format", "csv", "--limit", "2")
        done = taskgen("taskset", *words, "--from", "5", cwd=here)
        assert done.out == "variant,1.period\n5,6\n6,7\n"
        assert "shown: 2 variants; nobody knows how many there are" in done.err
        done = taskgen("taskset", *words, "--shard", "1/3", cwd=here)
        assert done.out == "variant,1.period\n1,2\n4,5\n"

    @pytest.mark.parametrize("form", ["table", "json", "xml", "csv"])
    @pytest.mark.parametrize("name", ["huge.toml", "mine.Endless"])
    def test_a_reader_may_leave(self, here, name, form):
        command = f"taskgen taskset variants {name} --all --format {form} | head -n 3"
        done = in_shell(command, here)
        assert (done.returncode, done.stderr) == (0, "")
        assert len(done.stdout.splitlines()) == 3


class TestExplain:
    def test_all_keys(self):
        out = ask("explain", COLUMNS="250")
        assert [cells(line)[0] for line in out.splitlines()[2:]] == list(KEYS)
        assert all(each.meaning in out for each in explain_all())

    def test_one_in_full(self):
        out = ask("explain", "config.arg1")
        assert KEYS["config"].meaning in out
        assert json.loads(ask("explain", "period", "--json"))["unit"] == "ms"
        assert [each["name"] for each in json.loads(ask("explain", "--json"))] == list(KEYS)


WRONG = [
    ("ls nowhere", "there is no module nowhere"),
    ("ls nowhere.py", "nowhere.py: cannot be read"),
    ("ls nowhere.toml", "nowhere.toml: cannot be read"),
    ("show example.Dmo", "did you mean 'example.Demo'?"),
    ("show example.Demo --variant 8", "variant 8: there is none (8 variants: 0 to 7, or -1"),
    ("show example.Demo --variant -9", "variant -9: there is none"),
    ("show example.Demo --variant x", "'x' is not a valid integer"),
    ("show example.Demo --format xml", "has 8 variants, each with its own XML"),
    ("show example.Demo --format yaml", "'yaml' is not one of"),
    ("show example.Demo --set 1.perod=1", "perod"),
    ("show mine.Endless --variant -1", "nobody knows how many there are"),
    ("show mine.Endless --format toml", "1.period: an iterable without a length"),
    ("show mine.Breaks --variant 1", "mine.Breaks: ZeroDivisionError"),
    ("show mine.NeedsArgument", "missing 1 required positional argument"),
    ("check", "Missing argument 'FILE...'"),
    ("variants example.Demo --from 8", "--from 8: there is no such variant (there are 8"),
    ("variants example.Demo --shard 4/4", "part 4 of 4"),
    ("variants example.Demo --shard 1", "'1' is not a part, as 0/4 is the first of four"),
    ("variants example.Demo --sample 9", "a sample of 9: there are 8 variants"),
    ("variants example.Demo --seed 1", "--seed belongs to --sample"),
    ("variants example.Demo --sample 1 --count", "--sample takes neither --from nor --count"),
    ("variants example.Demo --all --limit 1", "--all and --limit exclude each other"),
    ("variants example.Demo --limit 0", "0 is not in the range"),
    ("variants mine.Endless --count", "nobody knows how many variants there are"),
    ("variants mine.Endless --sample 2", "nobody knows how many variants there are"),
    ("explain perid", "perid: there is no such key (did you mean 'period'?)"),
    ("explain zzz", "there is no such key (keys: id, pkg"),
    ("generate --tasks 3", "Missing option"),
]


def test_bad_input_is_told_in_one_line(here):
    assert not_told(WRONG, here) == []


def test_one_variant_of_a_set_runs_again_by_itself(tmp_path):
    (tmp_path / "one.json").write_text(
        ask("show", "example.Idle", "--variant", "2", "--format", "json")
    )
    done = taskgen("run", "one.json", "--machines", "1", cwd=tmp_path)
    assert done.status == 0, done.err
    assert "1 of 1 variants have a result" in done.err
