"""The page on handlers: its examples run, and its tables are those of the code."""

import inspect
import re
from pathlib import Path

import pytest
from pages import blocks

import taskgen
from taskgen.events import EventHandler
from taskgen.events.dispatch import BACKLOG, PATIENCE_S
from taskgen.events.legacy import HOOKS
from taskgen.events.parquet import JOURNAL, ROWS_PER_PART
from taskgen.events.sqlite import PRUNE_EVERY
from taskgen.provenance import NAMES, SCHEMA
from taskgen.results.rows import COLUMNS
from taskgen.results.statements import migrations

DOCS = Path(taskgen.__file__).parents[1] / "docs"
PAGE = (DOCS / "handlers.md").read_text(encoding="utf-8")


def test_the_examples_run_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "example"}
    for example in blocks("docs/handlers.md", "python"):
        exec(compile(example.text, str(example), "exec"), names)
    assert names["worst"] == []
    assert names["pruned"].runs == 0
    assert isinstance(names["slowest"], EventHandler)


def test_every_hook_is_explained():
    for name, hook in inspect.getmembers(EventHandler, inspect.isfunction):
        if not name.startswith("_"):
            signature = ", ".join(list(inspect.signature(hook).parameters)[1:])
            assert f"| `{name}({signature})` |" in PAGE
    for name in HOOKS:
        assert f"`{name}(" in PAGE


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"variant", "more"}))
def test_every_field_of_provenance_is_explained(name):
    assert re.search(rf"^\| .*`{name}`.* \| ", PAGE, re.MULTILINE)


def test_every_column_is_explained():
    results = (DOCS / "results.md").read_text(encoding="utf-8")
    for name in COLUMNS:
        assert re.search(rf"^\| (`\w+`, )?`{name}`", results, re.MULTILINE), name


def test_the_numbers_are_those_of_the_code():
    assert f"{BACKLOG:,} events" in PAGE
    assert f"within {PATIENCE_S:g} s" in PAGE
    assert f"({ROWS_PER_PART:,} rows)" in PAGE
    assert f"`{JOURNAL}`" in PAGE
    assert f"every {PRUNE_EVERY}" in PAGE
    assert f"(`PRAGMA user_version`), now {len(migrations())}." in PAGE
    assert f"version of the columns, now {SCHEMA} |" in PAGE
