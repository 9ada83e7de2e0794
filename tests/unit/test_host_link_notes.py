"""What is noted of changes to links, before they are made."""

import json

import pytest

from taskgen.errors import ConfigError
from taskgen.host.link_notes import LINKS_FILE, Did, LinkChange, LinkNotes


def changes(directory):
    return json.loads((directory / LINKS_FILE).read_text())["changes"]


def test_a_change_is_noted_once_with_what_it_was_last(tmp_path):
    notes = LinkNotes(tmp_path)
    notes.note(LinkChange(did=Did.SET_UP, name="eth9", index=4))
    for bridge in (7, 8):
        notes.note(LinkChange(did=Did.JOINED, name="eth9", index=4, bridge=bridge))
    assert [(c["did"], c["bridge"]) for c in changes(tmp_path)] == [
        ("set up", 0),
        ("joined to a bridge", 8),
    ]


def test_links_of_that_name_elsewhere_are_not_touched(tmp_path):
    """An engine in a container of its own left the notes: its loopback device is not ours."""
    notes = LinkNotes(tmp_path)
    notes.note(LinkChange(did=Did.ADDRESS, name="lo", index=1, address="127.0.0.1/8"))
    data = json.loads((tmp_path / LINKS_FILE).read_text())
    (tmp_path / LINKS_FILE).write_text(json.dumps(data | {"namespace": 1}))
    assert notes.undo() == []
    assert not (tmp_path / LINKS_FILE).exists()


def test_notes_that_a_power_failure_cut_short_are_forgotten(tmp_path):
    (tmp_path / LINKS_FILE).write_text('{"namespace": 1, "chan')
    assert LinkNotes(tmp_path).undo() == []


def test_notes_of_another_version_are_left(tmp_path):
    (tmp_path / LINKS_FILE).write_text('{"version": 2}')
    with pytest.raises(ConfigError, match="another version of Taskgen"):
        LinkNotes(tmp_path).undo()
    assert (tmp_path / LINKS_FILE).exists()
