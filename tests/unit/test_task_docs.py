"""The page on task-sets: its examples run, its table is that of the model."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from pages import blocks

import taskgen
from taskgen.errors import TaskSetError
from taskgen.explain import explain, explain_all, markdown
from taskgen.keys import KEYS
from taskgen.taskset import TaskSet

PAGE = Path(taskgen.__file__).parents[1] / "docs" / "tasksets.md"
EXAMPLES = blocks("docs/tasksets.md", "python", "toml")


def examples(language):
    """Each example, with its line in the page as its name."""
    return [
        pytest.param(each.text, id=f"line {each.line}")
        for each in EXAMPLES
        if each.language == language
    ]


@pytest.mark.parametrize("code", examples("python"))
def test_examples_run(code, tmp_path, monkeypatch):
    if "taskgen.generate" in code:
        pytest.importorskip("numpy")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(PAGE), "exec"), {"__name__": "example"})


@pytest.mark.parametrize("text", examples("toml"))
def test_documents_load(text):
    taskset = TaskSet.from_document(tomllib.loads(text))
    taskset.validate()
    assert taskset.variants().count > 1


def test_the_table_of_keys_is_that_of_the_model():
    inside = re.search(r"<!-- keys: .*? -->\n(.*?)\n<!-- end of keys -->", PAGE.read_text(), re.S)
    assert inside is not None
    assert inside[1] == markdown(), "put the output of taskgen.explain.markdown() there"


def test_every_key_is_explained():
    assert [each.name for each in explain_all()] == list(KEYS)
    assert explain("config.arg1").name == "config"
    assert explain("period").unit == "ms"
    assert explain("priority").default == "none"
    with pytest.raises(TaskSetError, match="did you mean 'priority'"):
        explain("prio")
