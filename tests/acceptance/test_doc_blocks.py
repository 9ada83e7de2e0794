"""Every code block of the documents, typed and run in their order as a reader would.

The blocks of a page share a directory, a shell, and a daemon. What a command exits with and what it
shows is looked at; a Python program has the imports of those before it on the page. A block that
shows something has a check in :data:`shown.SHOWN`.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_world import no_leftovers
from page_world import World, open_world
from pages import ELSEWHERE, NOT_RUN, ROOT, all_pages, blocks, every_block
from shown import SHOWN

from taskgen.events.csv import COLUMNS

__all__ = ["no_leftovers"]

PAGES = [page for page in all_pages() if page not in ELSEWHERE]
BLOCKS = [block for page in PAGES for block in blocks(page)]


@pytest.fixture(scope="module")
def world(request, own_world) -> Iterator[World]:
    """The world of the page that is the fixture's parameter."""
    with open_world(request.param, SHOWN) as opened:
        yield opened


@pytest.mark.parametrize(
    ("world", "block"),
    [pytest.param(block.page, block, id=str(block)) for block in BLOCKS],
    indirect=["world"],
    scope="module",
)
def test_a_block_does_what_the_page_shows(world, block):
    world.read_to(block)


def after(page):
    """A test of what has come of a page in the end."""
    return pytest.mark.parametrize("world", [page], indirect=True, scope="module")


@after("README.md")
def test_the_readmes_experiment_measures_all_of_its_variants_twice(world):
    world.read_to()
    (said,) = world.said[
        "sudo .venv/bin/taskgen run mine.Interference --machines 2 --events events.csv"
    ]
    assert "6 of 6 variants have a result" in said.err
    header, *rows = (world.reader.work / "events.csv").read_text().splitlines()
    assert header.split(",") == [*COLUMNS, "1.config.arg1", "2.priority"]
    runs = Counter(row.partition(",")[0] for row in rows)
    assert list(runs.values()) == [20 + 10] * 6 * 2


@after("docs/distributor.md")
def test_the_programs_on_the_distributors_page_say_what_they_did(world):
    world.read_to()
    embedded, _, _, engine = (said.out for (said,) in world.said.values())
    assert embedded == "8 variants have a result\n"
    assert engine == "1 variant has a result\n"


@after("docs/cli.md")
def test_the_commands_on_the_page_have_written_what_they_say(world):
    world.read_to()
    listed = json.loads(world.reader.types("taskgen taskset ls . --json").out)
    assert {row["name"]: row["variants"] for row in listed} == {
        "my_sets.Mine": 3, "mine.toml": 3, "one.json": 1, "random.toml": 1000, "set.toml": 32,
    }  # fmt: skip
    home = Path(world.reader.variables["HOME"])
    scripts = [path for path in home.rglob("*") if path.is_file()]
    assert len(scripts) == 3
    assert all("taskgen" in path.read_text() for path in scripts)


@after("docs/operations.md")
def test_what_was_backed_up_is_restored(world):
    world.read_to()
    before = world.reader.types("taskgen job ls -q").out
    state, backup = world.daemon.state, Path("/var/backups/taskgen")
    assert world.daemon.end() == 0
    shutil.rmtree(state)
    state.mkdir()
    world.reader.types(f"tar -xf {backup}/state.tar -C {state}")
    shutil.copy(backup / "queue.sqlite", state)
    world.daemon.start()
    assert before
    assert world.reader.types("taskgen job ls -q").out == before


@pytest.mark.parametrize("page", all_pages())
def test_what_is_only_text_is_nothing_to_type(page):
    for block in every_block(page):
        typed = re.search(r"^\s*(\$|sudo|taskgen|make|curl|api|import|from) ", block.text, re.M)
        assert block.language != "text" or not typed, block


def test_what_is_not_run_is_there():
    every = [block for page in all_pages() for block in every_block(page)]
    there = {(block.page, block.start) for block in every}
    assert (NOT_RUN.keys() | SHOWN.keys()) - there == set()


@pytest.mark.parametrize("page", ELSEWHERE)
def test_what_runs_elsewhere_is_asked_for_there(page):
    assert f'blocks("{page}"' in (ROOT / ELSEWHERE[page]).read_text(encoding="utf-8")
