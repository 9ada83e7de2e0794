"""A fleet's directory: who has it, what it says, and that it goes."""

import stat

import pytest

from taskgen.errors import ConfigError, HostError, NamespaceBusyError
from taskgen.host.accounts import Account
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


MACHINE = MachineRecord(name="taskgen-1", profile="p", accelerator="tcg")


def daemons(tmp_path, name="one"):
    return FleetDirectory.create(
        name, kind=Kind.DAEMON, namespace=name, machines=tmp_path / "state/machines"
    )


def test_a_released_daemons_fleet_is_adopted_with_its_machines(tmp_path, root):
    first = daemons(tmp_path)
    assert not first.adopted
    home = first.add_machine(MACHINE, None)
    assert home == tmp_path / "state/machines/taskgen-1"
    assert first.machine_records() == [MACHINE]
    with pytest.raises(NamespaceBusyError, match="another taskgen daemon is running"):
        FleetDirectory.adopt("one")
    first.release()
    first.release()
    second = FleetDirectory.adopt("one")
    assert second.adopted
    assert second.record == first.record  # also the mark of what it had made
    assert second.machine_records() == [MACHINE]
    assert second.machine("taskgen-1") == home
    second.close()
    assert not root.exists()
    assert list((tmp_path / "state").iterdir()) == []


def test_close_leaves_what_is_not_a_machines(tmp_path):
    fleet = daemons(tmp_path)
    other = tmp_path / "state/machines/notes.txt"
    other.write_text("mine")
    fleet.close()
    assert other.read_text() == "mine"


def test_machines_belong_to_one_fleet(tmp_path, root):
    first = daemons(tmp_path)
    with pytest.raises(NamespaceBusyError, match="in use by another fleet"):
        daemons(tmp_path, "two")
    assert not (root / "two").exists()
    first.close()


def test_machines_of_a_fleet_that_is_gone_are_not_overwritten(tmp_path, root):
    first = daemons(tmp_path)
    first.add_machine(MACHINE, None)
    first.release()
    (root / "one").rename(tmp_path / "away")
    with pytest.raises(NamespaceBusyError, match="a crash left machines here"):
        daemons(tmp_path)
    assert (tmp_path / "state/machines/taskgen-1.json").exists()


def test_what_is_nobodys_or_an_embedded_engines_is_not_adopted(root):
    assert FleetDirectory.adopt("one") is None
    assert not root.exists()
    embedded = FleetDirectory.create("one", kind=Kind.EMBEDDED, namespace="one")
    embedded.release()
    assert FleetDirectory.adopt("one") is None
    (root / "two").mkdir()
    (root / "two/file").touch()
    assert FleetDirectory.adopt("two") is None
    assert (root / "two/file").exists()


def test_a_fleet_that_died_before_it_made_anything_is_no_fleet(root):
    (root / "one").mkdir(parents=True)
    (root / "one/fleet.lock").touch()
    assert FleetDirectory.adopt("one") is None
    assert not root.exists()


def test_records_of_another_version_are_not_adopted(tmp_path):
    fleet = daemons(tmp_path)
    fleet.add_machine(MACHINE, None)
    fleet.release()
    file = tmp_path / "state/machines/taskgen-1.json"
    good = file.read_text()
    file.write_text(good.replace('"version": 1', '"version": 2'))
    with pytest.raises(ConfigError, match=r"taskgen-1\.json: written by another version"):
        FleetDirectory.adopt("one")
    file.write_text(good)
    FleetDirectory.adopt("one").close()  # and nothing was locked


def test_a_torn_record_goes_with_its_directory(tmp_path):
    fleet = daemons(tmp_path)
    home = fleet.add_machine(MACHINE, None)
    fleet.release()
    home.with_suffix(".json").write_text('{"name": "tas')
    again = FleetDirectory.adopt("one")
    assert again.machine_records() == []
    assert not home.exists()
    again.add_machine(MACHINE, None)
    again.close()


def test_a_directory_that_qemus_user_cannot_reach_is_refused(tmp_path):
    fleet = daemons(tmp_path)
    (tmp_path / "state").chmod(0o700)
    nobody = Account(uid=65534, gid=65534)
    with pytest.raises(HostError, match="the user that QEMU runs as cannot pass it") as caught:
        fleet.add_machine(MACHINE, nobody)
    assert caught.value.hint.startswith("chmod o+x")
    assert fleet.machine_records() == []
    fleet.close()
