"""What is known of a guest whose engine died: all that was noted, and no more."""

import pytest

from taskgen.binaries import Binary
from taskgen.boot_notes import BootNotes
from taskgen.run_settings import Reset
from taskgen.session_manager import Boot, Rules

UUID = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def notes(tmp_path):
    return BootNotes(tmp_path / "taskgen-1", UUID)


def binary(name, sha256="a"):
    return Binary(name, b"", sha256, None)


def test_what_was_noted_is_known_but_not_how_many_runs_there_were(notes):
    notes.write(Boot(uploaded={"hey": "a"}, unsure={"idle"}, stalled=True, runs=7))
    assert notes.read() == Boot(uploaded={"hey": "a"}, unsure={"idle"}, stalled=True, runs=None)


@pytest.mark.parametrize("content", [None, "", "{", '{"uuid": 7}', '{"uuid": "x", "new": 1}', "[]"])
def test_without_a_note_nothing_is_known(notes, tmp_path, content):
    if content is not None:
        (tmp_path / "taskgen-1.boot").write_text(content)
    assert notes.read() == Boot(unknown=True)


def test_the_note_of_another_qemu_says_nothing(notes, tmp_path):
    notes.write(Boot(uploaded={"hey": "a"}))
    assert BootNotes(tmp_path / "taskgen-1", "another").read() == Boot(unknown=True)


def test_a_guest_that_is_being_restarted_is_not_known(notes):
    notes.write(Boot(unknown=True))
    assert notes.read() == Boot(unknown=True)


def test_where_nothing_can_be_noted_what_was_noted_does_not_count_any_more(notes, tmp_path):
    notes.write(Boot())
    (tmp_path / "taskgen-1.boot.new").mkdir()  # in the way, as a full disk would be
    with pytest.raises(OSError, match="directory"):
        (tmp_path / "taskgen-1.boot.new").write_text("")
    notes.write(Boot(uploaded={"hey": "a"}))
    assert notes.read() == Boot(unknown=True)


RULES = Rules(after_stall=True)


@pytest.mark.parametrize(
    ("boot", "restarts"),
    [
        (Boot(uploaded={"hey": "a"}, runs=None), ""),
        (Boot(runs=None), ""),
        (Boot(uploaded={"hey": "b"}, runs=None), "hey changed"),
        (Boot(unsure={"hey"}, runs=None), "whether it has all of hey is not known"),
        (Boot(unsure={"idle"}, runs=None), ""),
        (Boot(unknown=True), "which binaries it has had is not known"),
        (Boot(uploaded={"hey": "a"}, runs=None, stalled=True), "did not end by itself"),
    ],
)
def test_what_has_an_adopted_guest_restarted(boot, restarts):
    why = RULES.why_restart(boot, [binary("hey")])
    assert restarts in why
    assert bool(why) is bool(restarts)


def test_with_the_policy_reboot_runs_that_are_not_known_count_as_some():
    rules = Rules(reset=Reset.REBOOT)
    assert rules.why_restart(Boot(runs=None), [])
    assert not rules.why_restart(Boot(runs=0), [])
