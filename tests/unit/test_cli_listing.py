"""Lists fit the terminal, say so when they are empty, and are whole for programs."""

import io
import json

import pytest
from rich.console import Console

from taskgen.cli import listing
from taskgen.cli.listing import Column, print_facts, print_json, print_list
from taskgen.cli.output_file import output_file
from taskgen.errors import ConfigError
from taskgen.printable import printable
from taskgen.resources import Lease

COLUMNS = [
    Column("name", lambda each: each[0]),
    Column("why", lambda each: each[1], rank=1),
    Column("number", lambda each: each[2], rank=2, right=True),
]
ITEMS = [("taskgen-1", "a reason that is long", "1"), ("taskgen-2", "", "1000")]


@pytest.fixture
def terminal(monkeypatch):
    """What is shown on a terminal so many columns wide."""

    def shown(width, items=ITEMS, columns=COLUMNS):
        text = io.StringIO()
        console = Console(file=text, width=width, force_terminal=True, color_system=None)
        monkeypatch.setattr(listing, "output", lambda: console)
        print_list(items, columns, empty="nothing")
        return text.getvalue()

    return shown


def test_a_wide_terminal_shows_all_columns(terminal):
    assert "number" in terminal(80)
    assert "Too narrow" not in terminal(80)


def test_a_narrow_terminal_leaves_out_what_matters_least_and_says_so(terminal):
    shown = terminal(40)
    assert "a reason that is long" in shown
    assert "1000" not in shown
    assert shown.splitlines()[-1].strip() == "Too narrow for: number."
    assert terminal(20).splitlines()[-1].strip() == "Too narrow for: why, number."


def test_the_column_that_tells_things_apart_is_folded_rather_than_left_out(terminal):
    assert "taskge" in terminal(8)


def test_an_empty_list_says_so(terminal, capsys):
    assert terminal(80, items=[]) == ""
    assert capsys.readouterr().out == "nothing\n"


def test_for_a_pipe_nothing_is_left_out_or_folded(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    print_list(ITEMS, COLUMNS, empty="nothing")
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "taskgen-1" in line)
    assert "a reason that is long" in line
    print_facts([("name", "x" * 100), ("", "more")])
    assert capsys.readouterr().out == f"name  {'x' * 100}\n      more\n"


def test_what_a_guest_says_is_neither_markup_nor_moves_the_cursor(capsys):
    print_list([("[red]\x1b[2Jtaskgen", "", "")], COLUMNS, empty="")
    assert "[red]\ufffd[2Jtaskgen" in capsys.readouterr().out
    assert printable("a\tb\nc\rd") == "a\tb\nc\ufffdd"


def test_json_is_the_resource(capsys):
    lease = Lease(mac="0a:06", address="10.0.0.1")
    print_json(lease)
    assert Lease.model_validate_json(capsys.readouterr().out) == lease
    print_json([lease, lease])
    assert len(json.loads(capsys.readouterr().out)) == 2
    print_json([])
    assert json.loads(capsys.readouterr().out) == []


def test_a_file_is_there_whole_or_not_at_all(tmp_path):
    path = tmp_path / "results.csv"

    def write(content, **options):
        with output_file(path, **options) as file:
            file.write(content)
            assert not path.exists() or path.read_bytes() != content

    write(b"one")
    assert path.read_bytes() == b"one"
    with pytest.raises(ConfigError, match=r"is there already \(--force replaces it\)"):
        write(b"two")
    write(b"two", replace=True)
    with pytest.raises(ZeroDivisionError), output_file(path, replace=True) as file:
        file.write(b"half") // 0
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_comes_meanwhile_is_not_replaced(tmp_path):
    path = tmp_path / "results.csv"
    with pytest.raises(ConfigError, match="is there already"), output_file(path):
        path.write_bytes(b"theirs")
    assert path.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigError, match="No such file"), output_file(tmp_path / "no" / "f"):
        pass
