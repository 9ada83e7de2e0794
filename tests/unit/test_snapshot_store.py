"""Where saved states lie: whose a file is, what counts, and what goes for want of room."""

import json
import os
from dataclasses import replace

import pytest

from taskgen.host.snapshot_file import Key, note_of
from taskgen.host.snapshot_store import PROBLEM, TEMPLATE, SnapshotStore

KEY = Key(slot="taskgen-1", place={"profile": "linux"}, facts={"image": "a", "QEMU": "7.2"})


@pytest.fixture
def store(tmp_path):
    return SnapshotStore(tmp_path / "snapshots")


def save(store, key=KEY, size=100_000, used_at=None):
    """Keep a state as a machine does; its place, which is still in use."""
    place = store.take(key)
    os.write(place.file, os.urandom(size))
    place.keep(key, tag="t", address="10.0.0.1", saved_at=5.0)
    if used_at:
        os.utime(note_of(place.path), (used_at, used_at))
    return place


def slot(number):
    return replace(KEY, slot=f"taskgen-{number}")


def names(store):
    return {path.stem for path in store.path.glob("*.qcow2")}


def test_what_was_kept_is_found_by_its_key_and_by_no_other(store):
    save(store).close()
    place = store.take(KEY)
    assert (place.snapshot.tag, place.snapshot.address, place.snapshot.saved_at) == (
        "t",
        "10.0.0.1",
        5.0,
    )
    place.close()
    for other in (
        slot(2),
        replace(KEY, place={"profile": "other"}),
        replace(KEY, facts={"image": "a", "QEMU": "8.0"}),
    ):
        place = store.take(other)
        assert place.snapshot is None
        place.close()


def test_a_state_that_was_not_kept_does_not_count(store):
    place = store.take(KEY)
    os.write(place.file, b"half")
    place.close()
    place = store.take(KEY)
    assert place.snapshot is None
    assert os.fstat(place.file).st_size == 0
    place.close()


def test_what_is_written_in_the_place_of_a_broken_state_begins_at_its_start(store):
    broken = save(store)
    os.pwrite(broken.file, b"changed", 0)
    broken.close()
    place = store.take(KEY)
    os.write(place.file, b"another")
    assert os.pread(place.file, 100, 0) == b"another"
    place.close()


def test_files_are_for_nobody_else(store):
    save(store).close()
    assert store.path.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in store.path.iterdir()} == {0o600}


def test_who_finds_a_state_in_use_gets_another_file_and_later_one_that_is_free(store):
    first = save(store)
    second = SnapshotStore(store.path).take(KEY)
    assert second.snapshot is None
    assert second.name == f"{first.name}.2"
    os.write(second.file, b"state")
    second.keep(KEY, tag="u", address="10.0.0.1", saved_at=6.0)
    second.close()
    again = store.take(KEY)
    assert again.snapshot.tag == "u"
    again.close()
    first.close()


def test_a_copy_of_the_descriptor_keeps_it_in_use_as_a_qemu_does(store):
    place = save(store)
    qemu = os.dup(place.file)
    place.close()
    other = store.take(KEY)
    assert other.path != place.path
    other.close()
    os.close(qemu)
    again = store.take(KEY)
    assert again.path == place.path
    again.close()


def test_a_change_makes_a_state_stale_and_it_is_removed_with_its_note(store, caplog):
    caplog.set_level("INFO")
    save(store).close()
    save(store, replace(KEY, place={"profile": "other"})).close()
    store.take(replace(KEY, facts={"image": "b", "QEMU": "7.2"})).close()
    kept = [json.loads(path.read_text()) for path in store.path.glob("*.json")]
    assert [each["place"] for each in kept] == [{"profile": "other"}]
    assert "a stale saved state, so it is dropped: other image" in caplog.text


def test_a_stale_state_in_use_stays(store):
    place = save(store)
    store.take(replace(KEY, facts={"image": "b"})).close()
    assert place.path.exists()
    assert note_of(place.path).exists()
    place.close()


def test_the_slot_of_a_longer_number_is_another_one(store):
    save(store, slot(10)).close()
    store.take(replace(KEY, facts={"image": "b"})).close()
    assert store.usage().snapshots == 1


def test_the_ones_used_longest_ago_go_until_all_is_within_the_limit(store, caplog):
    caplog.set_level("INFO")
    for number, used_at in ((1, 300.0), (2, 100.0), (3, 200.0), (4, 400.0)):
        save(store, slot(number), used_at=used_at).close()
    store.limit_bytes = 250_000
    assert store.make_room()
    assert names(store) == {slot(1).name, slot(4).name}
    assert "for want of room" in caplog.text
    assert store.usage().size_bytes <= 250_000


def test_one_that_is_used_again_goes_later(store):
    old = save(store, slot(1), used_at=100.0)
    save(store, slot(2), used_at=200.0).close()
    old.used()
    old.close()
    store.limit_bytes = 150_000
    assert store.make_room()
    assert names(store) == {slot(1).name}


def test_one_in_use_does_not_go_even_where_there_is_no_room(store):
    used = save(store, slot(1), used_at=100.0)
    save(store, slot(2), used_at=200.0).close()
    store.limit_bytes = 50_000
    assert not store.make_room()
    assert names(store) == {slot(1).name}
    used.close()
    assert store.make_room()
    assert names(store) == set()


def test_what_a_crash_has_left_goes_in_any_case(store):
    place = store.take(KEY)
    os.write(place.file, b"half")
    assert store.make_room()
    assert names(store) == {KEY.name}
    place.close()
    assert store.make_room()
    assert names(store) == set()


def test_a_template_is_counted_and_goes_as_the_others_do(store):
    key = replace(KEY, slot="template")
    place = store.take(key, TEMPLATE)
    os.write(place.file, os.urandom(100_000))
    place.keep(key, tag="t", address="", saved_at=5.0)
    place.close()
    assert place.path.suffix == ".template"
    assert (store.usage().snapshots, store.usage().size_bytes >= 100_000) == (1, True)
    store.take(replace(key, facts={"image": "b"}), TEMPLATE).close()
    assert not place.path.exists()
    assert not note_of(place.path).exists()
    assert store.make_room()
    assert not list(store.path.glob("*.template"))  # the other one has no state in it


def test_a_template_of_the_old_name_and_form_goes_when_one_is_looked_for(store):
    old = replace(KEY, slot="template")
    save(store, old).close()
    store.take(replace(old, facts={**old.facts, "form": "2"}), TEMPLATE).close()
    assert names(store) == set()


def test_notes_of_files_that_are_gone_go_too(store):
    gone, kept = save(store, slot(1)), save(store, slot(2))
    for place in (gone, kept):
        note_of(place.path).with_suffix(".json.new").write_text("{")
    gone.path.unlink()
    assert store.make_room()
    assert sorted(path.name for path in store.path.glob("*.json*")) == [
        f"{kept.name}.json",
        f"{kept.name}.json.new",  # it may just be written
    ]
    gone.close()
    kept.close()


def test_without_a_directory_there_is_room_and_nothing_is_made(store):
    assert store.make_room()
    assert store.usage().size_bytes == 0
    assert not store.path.exists()


def test_the_file_of_a_running_qemu_is_found_by_its_name(store):
    place = save(store)
    found = store.of(place.name)
    assert found.snapshot == place.snapshot
    found.close()
    assert store.of("none") is None
    place.close()


def found_by_its_qemu(store):
    """The place of an adopted machine, and its QEMU's copy of the descriptor."""
    place = save(store)
    qemu = os.dup(place.file)
    place.close()  # with the engine before us
    return store.of(place.name), qemu


def test_the_file_of_a_qemu_that_has_ended_is_held_before_somebody_else_gets_it(store):
    found, qemu = found_by_its_qemu(store)
    os.close(qemu)
    assert found.hold()
    store.limit_bytes = 1
    assert not store.make_room()
    other = store.take(KEY)
    assert other.path != found.path
    other.close()
    found.close()


def taken(store):
    return store.take(KEY)


def made_anew(store):
    place = store.take(KEY)
    place.empty()
    place.keep(KEY, tag="another", address="10.0.0.1", saved_at=6.0)
    place.close()


def removed(store):
    store.limit_bytes = 1
    store.make_room()


@pytest.mark.parametrize("used", [taken, made_anew, removed])
def test_the_file_of_a_qemu_that_has_ended_is_not_ours_where_somebody_was_quicker(store, used):
    found, qemu = found_by_its_qemu(store)
    os.close(qemu)
    theirs = used(store)
    assert not found.hold()
    found.close()
    if theirs:
        theirs.close()


def test_a_problem_is_told_as_long_as_a_machine_has_to_do_without(store):
    store.cannot("taskgen-1", "disk full")
    store.cannot("taskgen-2", "disk full")
    (problem,) = store.problems.current
    assert problem.key == PROBLEM
    assert problem.text.startswith("taskgen-1 and 1 more: the state cannot be saved")
    store.can("taskgen-1")
    assert "taskgen-2: the state" in store.problems.current[0].text
    store.can("taskgen-2")
    store.can("taskgen-3")
    assert store.problems.current == ()
