"""Descriptions: the exact XML, and back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskgen.errors import TaskSetError
from taskgen.interfaces import Variant as VariantProtocol
from taskgen.task import Task
from taskgen.taskset import TaskSet


def describe(*tasks):
    return TaskSet(tasks).variants()[0].description()


def test_the_exact_bytes_of_the_plainest_task():
    assert describe(Task(pkg="hey")) == (
        b"<taskset><periodictask><id>1</id><pkg>hey</pkg><quota>1M</quota><config></config>"
        b"<executiontime>0</executiontime><criticaltime>0</criticaltime><period>0</period>"
        b"<offset>0</offset><numberofjobs>1</numberofjobs></periodictask></taskset>"
    )


def test_the_exact_bytes_of_a_task_with_everything():
    task = Task(
        id=7,
        pkg="hey",
        quota="2M",
        caps=100,
        config={"@verbose": "yes", "arg1": 42, "deep": {"@a": '"', "x": "<&>"}, "none": {}},
        executiontime=1,
        criticaltime=2,
        period=3,
        offset=4,
        numberofjobs=5,
        priority=0,
        deadline=0,
        cores=1,
        coreoffset=0,
        extra={"never": "sent"},
    )
    assert describe(task) == (
        b"<taskset><periodictask><id>7</id><pkg>hey</pkg><quota>2M</quota><caps>100</caps>"
        b'<config verbose="yes"><arg1>42</arg1><deep a="&quot;"><x>&lt;&amp;&gt;</x></deep>'
        b"<none></none></config>"
        b"<executiontime>1</executiontime><criticaltime>2</criticaltime><period>3</period>"
        b"<offset>4</offset><numberofjobs>5</numberofjobs><priority>0</priority>"
        b"<deadline>0</deadline><cores>1</cores><coreoffset>0</coreoffset>"
        b"</periodictask></taskset>"
    )


def test_a_variant_fits_the_interface_of_the_engine():
    variant: VariantProtocol = TaskSet([Task(pkg="hey")]).variants()[0]
    assert variant.index == 0


text = st.text(st.characters(min_codepoint=32, max_codepoint=126))
argument = st.integers() | text | st.floats(allow_nan=False, allow_infinity=False)
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,5}", fullmatch=True)
trees = st.recursive(
    argument,
    lambda inner: st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
attributes = st.dictionaries(names.map("@{}".format), argument, max_size=2)
tasks = st.fixed_dictionaries(
    {"pkg": st.from_regex(r"[a-z][a-z0-9_]{0,14}", fullmatch=True)},
    optional={
        "config": st.builds(
            lambda tree, extra: {**extra, **tree},
            st.dictionaries(names, trees, max_size=3),
            attributes,
        ),
        "quota": st.sampled_from(["1", "64K", "3M", "2G"]),
        "period": st.integers(0, 4294967),
        "priority": st.integers(0, 127),
        "deadline": st.integers(0, 4294967),
        "numberofjobs": st.integers(0, 2**32 - 1),
        "cores": st.integers(1, 8),
    },
)


@settings(deadline=None)
@given(st.lists(tasks, min_size=1, max_size=3))
def test_what_was_written_is_read_back(blocks):
    description = describe(*blocks)
    description.decode("ascii")
    again = TaskSet.from_description(description)
    assert again.variants()[0].description() == description


def test_numbers_are_read_as_numbers():
    task = Task(pkg="hey", config={"arg1": 42, "arg2": "042", "arg3": {"@n": -1}}, period=5)
    again = TaskSet.from_description(describe(task)).variants()[0]
    assert again.tasks == TaskSet([task]).variants()[0].tasks


def wrapped(inside):
    return f"<taskset><periodictask>{inside}</periodictask></taskset>".encode()


@pytest.mark.parametrize(
    ("description", "message"),
    [
        (b"", "is not XML"),
        (b"<taskset>", "is not XML"),
        (b"\xff\xfe\x00", "is not XML"),
        (b"<profile></profile>", "begins with <profile>, not with <taskset>"),
        (b"<taskset><task/></taskset>", "has <task> in place of <periodictask>"),
        (b'<!DOCTYPE x [<!ENTITY a "aaa">]><taskset/>', "has a document type"),
        (wrapped("<nix>1</nix>"), "task 1: <nix> is no element of a task"),
        (wrapped("<extra>1</extra>"), "<extra> is no element of a task"),
        (wrapped("<period>1</period><period>2</period>"), "<period> is there twice"),
        (wrapped("<period>x</period>"), "period = 'x': must be a whole number"),
        (wrapped("<period></period>"), "period = '': must be a whole number"),
        (wrapped("<period><a/></period>"), "<period> has more than text inside"),
        (wrapped("<config>5</config>"), "<config> has text in place of elements"),
        (wrapped("<config><a/><a/></config>"), "<config> has <a> twice"),
        (wrapped("<config>x<a/></config>"), "mixes text with elements"),
        (wrapped("<config><a>y<b/></a></config>"), "mixes text with elements"),
        (wrapped('<config><a b="1">y</a></config>'), "mixes text with elements or attributes"),
        (wrapped("<config><a.b/></config>"), "is not a name"),
        (wrapped("<config><a>\u00e9</a></config>"), "not ASCII"),
    ],
)
def test_what_is_no_description(description, message):
    with pytest.raises(TaskSetError) as caught:
        TaskSet.from_description(description)
    assert message in str(caught.value)
