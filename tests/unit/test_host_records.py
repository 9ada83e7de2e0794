"""A fleet's directory: who has it, what it says, and that it goes."""

import stat

import pytest

from taskgen.errors import ConfigError, NamespaceBusyError
from taskgen.host.fleet_directory import FleetDirectory
from taskgen.host.fleet_locks import take_lock
from taskgen.host.records import (
    FleetRecord,
    Kind,
    MachineRecord,
    embedded_name,
    read_json,
)


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    path = tmp_path / "run"
    monkeypatch.setenv("TASKGEN_RUN", str(path))
    return path


def test_life_of_a_directory(root):
    fleet = FleetDirectory.create("one", kind=Kind.EMBEDDED, namespace="one")
    record = MachineRecord(name="taskgen-1", profile="p", accelerator="tcg")
    home = fleet.add_machine(record, None)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE(home.parent.stat().st_mode) == 0o711
    assert read_json(root / "one/machines/taskgen-1.json", MachineRecord) == record
    assert read_json(root / "one/fleet.json", FleetRecord) == fleet.record
    fleet.remove_machine("taskgen-1")
    assert not list((root / "one/machines").iterdir())
    fleet.close()
    assert not root.exists()


def test_marks_differ_even_where_names_do_not(root):
    marks = set()
    for _ in range(2):
        fleet = FleetDirectory.create("one", kind=Kind.DAEMON, namespace="one")
        marks.add(fleet.record.mark)
        fleet.close()
    assert len(marks) == 2
    assert embedded_name() != embedded_name()


def test_live_fleet_is_locked_and_its_name_taken(root):
    fleet = FleetDirectory.create("one", kind=Kind.EMBEDDED, namespace="one")
    other = FleetDirectory.create("two", kind=Kind.EMBEDDED, namespace="two")
    assert take_lock(root / "one") is None
    with pytest.raises(NamespaceBusyError, match="there is a fleet 'one' already"):
        FleetDirectory.create("one", kind=Kind.EMBEDDED, namespace="one")
    fleet.close()
    assert (root / "two/fleet.json").exists()
    other.close()


def test_machine_of_the_same_name_is_left_alone(root):
    fleet = FleetDirectory.create("one", kind=Kind.EMBEDDED, namespace="one")
    record = MachineRecord(name="taskgen-1", profile="p", accelerator="tcg")
    fleet.add_machine(record, None)
    with pytest.raises(FileExistsError):
        fleet.add_machine(MachineRecord(name="taskgen-1", profile="p", accelerator="tcg"), None)
    assert read_json(root / "one/machines/taskgen-1.json", MachineRecord) == record
    fleet.close()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 99}', '{"version": 1}'])
def test_record_that_cannot_be_used(tmp_path, text):
    path = tmp_path / "fleet.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"fleet\.json"):
        read_json(path, FleetRecord)
