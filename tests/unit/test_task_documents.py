"""Task-sets as documents: what is written is read back, and what is wrong is told precisely."""

from __future__ import annotations

import itertools
import json
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskgen import schema
from taskgen.coupling import Coupled
from taskgen.errors import TaskSetError
from taskgen.files import parse, render
from taskgen.generate import generate
from taskgen.task import Task
from taskgen.taskset import TaskSet
from taskgen.taskset_names import list_tasksets, load_taskset
from taskgen.values import Choice

LAWS = settings(deadline=None, max_examples=60)
VALIDATOR = jsonschema.Draft202012Validator(schema.schema())


def round_trips(taskset):
    """Both forms keep every variant, and a second round changes nothing."""
    document = taskset.to_document()
    VALIDATOR.validate(json.loads(json.dumps(document)))
    for form in ("toml", "json"):
        text = render(document, form)
        again = TaskSet.from_document(parse(text, form, "test"))
        assert again.to_document() == document
        assert render(again.to_document(), form) == text
        assert again.name == taskset.name
        assert again.metadata == taskset.metadata
        ours, theirs = taskset.variants(), again.variants()
        assert ours.count == theirs.count
        for index in {0, ours.count // 2, ours.count - 1}:
            assert ours[index] == theirs[index]
            assert ours[index].parameters == theirs[index].parameters
            assert ours[index].description() == theirs[index].description()


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ascii_texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8)
floats = st.floats(allow_nan=False, allow_infinity=False)
extra_names = texts.filter(lambda name: name and name[0] != "$" and "." not in name)


def plain(names):
    return st.recursive(
        texts | st.booleans() | st.integers() | floats,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=2),
        max_leaves=5,
    )


data = plain(extra_names)
ranges = st.builds(
    lambda start, count, step: range(start, start + count * step, step),
    st.integers(1000, 2000),
    st.integers(1, 5),
    st.sampled_from([1, 2, 7, -1, -3]),
)


def many(one):
    return one | st.lists(one, min_size=1, max_size=3) | st.builds(Choice, one, one)


arguments = many(st.integers() | ascii_texts | floats) | ranges
names = st.from_regex(r"@?[A-Za-z_][A-Za-z0-9_-]{0,4}", fullmatch=True)
couplings = st.builds(
    lambda rows: Coupled({"config.z": [row[0] for row in rows]}, caps=[row[1] for row in rows]),
    st.lists(st.tuples(ascii_texts, st.integers(1, 9)), min_size=1, max_size=3),
)
task_keys = st.fixed_dictionaries(
    {"pkg": many(st.from_regex(r"[a-z][a-z0-9_]{0,14}", fullmatch=True))},
    optional={
        "id": st.integers(0, 10**7),
        "config": st.dictionaries(names, arguments, max_size=3),
        "quota": many(st.sampled_from(["64K", "1M"])),
        "period": many(st.integers(0, 4294967)) | ranges,
        "priority": many(st.integers(0, 127)),
        "cores": many(st.integers(1, 8)),
        "extra": st.dictionaries(
            extra_names,
            data | st.builds(Choice, texts, texts) | ranges.map(Choice.of),
            max_size=3,
        ),
    },
)
task_blocks = st.tuples(task_keys, st.none() | couplings)


@LAWS
@given(
    st.lists(task_blocks, min_size=1, max_size=3),
    texts,
    st.dictionaries(texts, plain(texts), max_size=2),
)
def test_what_was_written_is_read_back(blocks, name, metadata):
    taskset = TaskSet()
    for number, (keys, coupled) in enumerate(blocks):
        if "id" in keys:
            keys["id"] += number * 10**8 + 100  # no two alike
        taskset.append(Task(keys, *([coupled] if coupled else [])))
    if len(taskset) > 1:
        first, second = (task.id for task in list(taskset)[:2])
        taskset.couple({f"{first}.offset": [1, 2], f"{second}.offset": [3, 4]})
    taskset.name = name or "x"
    taskset.metadata = TaskSet.from_document(
        {"version": 1, "metadata": metadata, "task": []}
    ).metadata
    round_trips(taskset)


@pytest.mark.parametrize("name", [name for name, _ in list_tasksets()])
def test_the_task_sets_that_come_along_are_documents_too(name):
    round_trips(load_taskset(name))


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"method": {"name": "randfixedsum", "lowest": 0.01, "highest": 0.9}},
        {"periods": {"name": "listed", "values_ms": [10, 20], "weights": [1, 2]}},
        {"deadlines": {"name": "constrained", "from_share": 0.5}, "priorities": None},
        {"periods": "automotive", "argument": None, "priorities": "audsley"},
        {"task": {"pkg": "idle", "config": {"arg1": 0, "arg2": [1, 2]}, "quota": "2M"}},
    ],
)
def test_generated_task_sets(arguments):
    sets = generate(n_tasks=3, utilisation=0.5, n_sets=40, seed=1, **arguments)
    round_trips(sets.taskset())
    round_trips(sets[7])


def test_generated_task_sets_that_were_changed_and_added_to():
    taskset = generate(n_tasks=3, utilisation=0.5, n_sets=40, seed=1).taskset()
    taskset[1]["priority"] = [5, 6]
    del taskset[2]["extra"]
    taskset.append(Task(pkg="hey", period=[10, 20]))
    round_trips(taskset)


def test_lists_in_extra_may_hold_any_names():
    round_trips(TaskSet([Task(pkg="a", extra={"list": [{"": 1, "$range": [1, 2], "a.b": [[]]}]})]))


def test_ids_that_are_not_those_that_would_be_assigned():
    one = TaskSet([Task(pkg="a"), Task(pkg="b", id=9), Task(pkg="c")])
    round_trips(one)
    assert [table.get("id") for table in one.to_document()["task"]] == [None, 9, None]
    one[0]["id"] = 20
    round_trips(one)
    round_trips(TaskSet([Task(pkg="z", id=5)]) + one)


TEMPLATE = """
version = 1
[generate]
n_tasks = 3
utilisation = 0.6
n_sets = 1000
seed = 42
priorities = "deadline-monotonic"
periods = { name = "harmonic", base_ms = 20 }
argument = "config.arg1"
task = { pkg = "idle", numberofjobs = 10, config = { arg1 = 0, arg2 = "x" }, quota = ["1M", "2M"] }
[[task]]
pkg = "hey"
"config.arg1" = 5
"""


def test_a_generator_with_a_template_for_its_tasks():
    document = parse(TEMPLATE, "toml", "test")
    VALIDATOR.validate(document)
    taskset = TaskSet.from_document(document)
    assert [task["pkg"] for task in taskset] == ["idle", "idle", "idle", "hey"]
    expected = generate(
        n_tasks=3,
        utilisation=0.6,
        n_sets=1000,
        seed=42,
        priorities="deadline-monotonic",
        periods={"name": "harmonic", "base_ms": 20},
        task=Task(pkg="idle", numberofjobs=10, config={"arg1": 0, "arg2": "x"}, quota=["1M", "2M"]),
    )
    assert taskset.variants().count == expected.variants().count == 8000
    assert taskset.variants()[4321].tasks[:3] == expected.variants()[4321].tasks
    round_trips(taskset)


HAND_WRITTEN = """
version = 1
name = "two rates"

[[task]]
pkg = "idle"
config = { arg1 = [5, 10], deep = { "@unit" = "ms", x = { "$choice" = ["a", "b"] } } }
period = { "$values" = [50, 100], "$coupled" = "rate" }
priority = { "$range" = [0, 120, 40] }
extra = { note = "a list", list = [1, 2], label = { "$choice" = ["p", "q"] } }

[[task]]
pkg = "hey"
period = { "$values" = { "$range" = [20, 10, -10] }, "$coupled" = "rate" }
"""


def test_a_document_written_by_hand():
    document = tomllib.loads(HAND_WRITTEN)
    VALIDATOR.validate(document)
    taskset = TaskSet.from_document(document)
    variants = taskset.variants()
    assert list(variants[0].parameters) == [
        "1.config.arg1",
        "1.config.deep.x",
        "1.period",
        "2.period",
        "1.priority",
        "1.extra.label",
    ]
    values = itertools.product((5, 10), "ab", ((50, 20), (100, 10)), (0, 40, 80, 120), "pq")
    expected = [(a, b, *rates, p, label) for a, b, rates, p, label in values]
    assert [tuple(variant.parameters.values()) for variant in variants] == expected
    assert variants[0].tasks[0]["extra"]["list"] == (1, 2)
    round_trips(taskset)


def test_the_published_schema_is_that_of_the_model():
    published = Path(schema.__file__).parents[1] / "docs" / "taskset.schema.json"
    assert published.read_text() == schema.text(), "python -m taskgen.schema > docs/…"
    jsonschema.Draft202012Validator.check_schema(schema.schema())


def task(**keys):
    return {"version": 1, "task": [{"pkg": "a"}, {"pkg": "b", **keys}]}


def generated(**keys):
    base = {"n_tasks": 2, "utilisation": 0.5, "n_sets": 3, "seed": 1, **keys}
    return {"version": 1, "generate": base, "task": [{"pkg": "x"}]}


DEEP: dict = {}
for _ in range(40):
    DEEP = {"x": DEEP}

BAD = [
    ([], "must be a table at the top", True),
    ({}, "version = None: must be 1", True),
    ({"version": 2}, "version = 2: must be 1 (a newer Taskgen may have written it)", True),
    ({"version": True}, "version = True: must be 1", True),
    ({"version": 1, "tasks": []}, "tasks: there is no such key (keys: version, name,", True),
    ({"version": 1, "name": 5}, "name = 5: must be text", True),
    ({"version": 1, "metadata": 5}, "metadata = 5: must be a table", True),
    ({"version": 1, "metadata": {"x": None}}, "metadata = None: cannot be kept", False),
    ({"version": 1, "task": {"pkg": "a"}}, "must be a list of tables", True),
    ({"version": 1, "task": ["a"]}, "task[0] = 'a': must be a table", True),
    (task(perid=1), "task[1].perid: there is no such key (did you mean 'period'?)", True),
    (task(period=-1), "task[1].period = -1: must be from 0 to 4294967", True),
    (task(period=[1, -1]), "task[1].period = -1: must be", True),
    (task(period=[]), "task[1].period = []: a choice needs at least one value", True),
    (task(period={"a": 1}), "task[1].period = {'a': 1}: must be a whole number", True),
    (task(period={}), "task[1].period = {}: must be a whole number", True),
    (task(config=5), "task[1].config = 5: must be names and values", True),
    (task(config={"a": {"b": "ü"}}), "task[1].config.a.b = 'ü': has characters", True),
    (task(config={"a.b": 1}), "task[1].config: 'a.b' is not a name", True),
    (task(config={"a": True}), "task[1].config.a = True: servers differ", True),
    (task(config={1: 2}), "task[1].config: 1 is not a name", False),
    (task(extra={"a.b": 1}), "task[1].extra: 'a.b' is not a name", True),
    (task(extra={"a": None}), "task[1].extra.a = None: cannot be kept", True),
    (task(config=DEEP), "is nested deeper than 32 levels", False),
    (task(period={"$range": [1]}), "task[1].period: $range = [1]: must be [first, last]", True),
    (task(period={"$range": [5, 1]}), "$range = [5, 1]: ends before it begins", False),
    (task(period={"$range": [1, 5, 0]}), "$range = [1, 5, 0]: ends before it begins", False),
    (task(period={"$range": [1, True]}), "must be [first, last]", True),
    (task(period={"$range": [-1, 5]}), "task[1].period = -1: must be", False),
    (task(period={"$choice": 5}), "task[1].period = 5: must be a list", True),
    (task(period={"$values": [1]}), "task[1].period = {'$values': [1]}: is no way to give", True),
    (task(period={"$rnge": [1, 2]}), "is no way to give values ($range, $choice,", True),
    (task(period={"$range": [1, 2], "a": 1}), "is no way to give values", True),
    (task(period={"$values": [1], "$coupled": 5}), "task[1].period.$coupled = 5: must be", True),
    (task(period={"$values": 1, "$coupled": "a"}), "period.$values = 1: must be a list", True),
    (
        task(period={"$values": [1, 2], "$coupled": "a"}, offset={"$values": [1], "$coupled": "a"}),
        "task[1].offset: has 1 values, task[1].period has 2 (both vary together as 'a')",
        False,
    ),
    (task(period={"$generated": "1.period"}), "there is no table 'generate'", False),
    (task(id=[1, 2]), "task[1].id = [1, 2]: the id of a task cannot vary", True),
    ({"version": 1, "task": [{"id": 1}, {"id": 1}]}, "task id 1 is used twice", False),
    (generated(n_tasks=0), "generate: n_tasks = 0: must be", True),
    (generated(n_task=1), "generate.n_task: there is no such key (keys: deadlines,", True),
    (generated(method="x"), "generate.method = 'x': must be one of uunifast", True),
    (generated(method={"name": "uunifast", "a": 1}), "generate.method.a = 1", True),
    (generated(periods={"name": "uniform", "low_ms": 5.5}), "generate.periods.low_ms = 5.5", True),
    (generated(periods={"name": "listed"}), "generate.periods.values_ms", True),
    (generated(argument=5), "generate.argument = 5: must be text", True),
    (generated(argument="perid", task={"pkg": "x"}), "perid: there is no such key", False),
    (generated(task=5), "generate.task = 5: must be a table", True),
    (
        {"version": 1, "generate": {"n_tasks": 2, "utilisation": 1, "n_sets": 1}},
        "generate.seed: is missing",
        True,
    ),
    (
        {**generated(), "task": [{"pkg": "x", "period": {"$generated": "3.period"}}]},
        "task[0].period.$generated = '3.period': must be <number>.period (with 1 to 2, and one of",
        False,
    ),
    (
        {**generated(), "task": [{"pkg": "x", "period": {"$generated": "1.executiontime"}}]},
        "must be <number>.period",
        False,
    ),
    (
        {**generated(), "task": [{"pkg": "x", "offset": {"$generated": "1.offset"}}]},
        "must be <number>.offset",
        False,
    ),
]


@pytest.mark.parametrize(("document", "message", "in_schema"), BAD)
def test_errors_name_the_place_the_value_and_what_is_allowed(document, message, in_schema):
    with pytest.raises(TaskSetError) as caught:
        TaskSet.from_document(document, "my.toml")
    assert str(caught.value).startswith("my.toml: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert in_schema == (not VALIDATOR.is_valid(document))


@LAWS
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | floats | texts,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "task",
                        "version",
                        "pkg",
                        "period",
                        "config",
                        "extra",
                        "generate",
                        "name",
                        "n_tasks",
                        "seed",
                        "a",
                        "$range",
                        "$values",
                        "$coupled",
                        "$choice",
                        "$generated",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_no_document_breaks_the_reader(content):
    document = {"version": 1, "task": content if isinstance(content, list) else [content]}
    for each in (document, content, {"version": 1, "generate": content}):
        with suppress(TaskSetError):
            TaskSet.from_document(each)


# Files


@pytest.mark.parametrize("name", ["set.toml", "set.JSON"])
def test_files(tmp_path, name):
    taskset = TaskSet([Task(pkg="hey", period=range(10, 100, 10))])
    taskset.dump(tmp_path / name)
    assert list(TaskSet.load(str(tmp_path / name)).variants()) == list(taskset.variants())
    assert load_taskset(str(tmp_path / name)).binaries() == {"hey"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.yaml", b"", "the name must end in .toml or .json"),
        ("a", b"", "the name must end in"),
        ("a.toml", b"version = ", "a.toml: not valid TOML"),
        ("a.toml", b"version = 1\nversion = 1", "a.toml: not valid TOML"),
        ("a.toml", b"\xff", "a.toml: is not UTF-8"),
        ("a.json", b"{", "a.json: not valid JSON"),
        ("a.json", b'{"version": 1, "version": 1}', "the key 'version' is there twice"),
        ("a.json", b'{"version": NaN}', "NaN is not a number"),
        ("a.json", b"[" * 100_000, "a.json: is nested too deeply"),
        ("a.json", b"9" * 10_000, "not valid JSON"),
        ("a.json", b'{"version": 1, "task": [{"perid": 1}]}', "a.json: task[0].perid"),
        ("a.toml", None, "a.toml: cannot be read: No such file"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(TaskSetError) as caught:
        TaskSet.load(tmp_path / name)
    assert message in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_written(tmp_path):
    with pytest.raises(TaskSetError, match="cannot be written: No such file"):
        TaskSet([Task(pkg="a")]).dump(tmp_path / "missing" / "a.toml")


class Computed(Sequence):
    def __init__(self, length):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return range(self.length)[index]


def test_computed_values_are_written_out_unless_there_are_too_many():
    taskset = TaskSet([Task(pkg="a", period=Computed(5))])
    assert taskset.to_document()["task"][0]["period"] == [0, 1, 2, 3, 4]
    with pytest.raises(TaskSetError, match=r"1\.period: 100001 computed values cannot be written"):
        TaskSet([Task(pkg="a", period=Computed(100_001))]).to_document()


def test_what_no_document_can_hold():
    with pytest.raises(TaskSetError, match=r"1\.period: an iterable without a length"):
        TaskSet([Task(pkg="a", period=itertools.count())]).to_document()
    two = [generate(n_tasks=1, utilisation=0.5, n_sets=2, seed=n).taskset() for n in (1, 2)]
    with pytest.raises(TaskSetError, match="room for one generator"):
        (two[0] + two[1]).to_document()
