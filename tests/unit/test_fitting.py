"""A job goes to the kind of target that it names, or to the only one that it fits."""

import hashlib
import struct
from dataclasses import replace

import pytest

from taskgen.binaries import Binaries
from taskgen.binary_store import BinaryStore
from taskgen.errors import BinaryError, ConfigError, UploadMissingError
from taskgen.fitting import Place, fitted
from taskgen.interfaces import SessionSettings
from taskgen.profiles import load_profile
from taskgen.queue import JobSpec
from taskgen.task import Task
from taskgen.taskset import TaskSet

PC = load_profile("linux-x86_64")
BOARD = replace(load_profile("genode-pbxa9"), name="board", optimize=False)


def place(tmp_path, profile, *names, launched=True):
    machine, bits = (62, 2) if profile.architecture == "x86_64" else (40, 1)
    folder = tmp_path / profile.name
    folder.mkdir()
    for name in names:
        header = struct.pack("<4sBB10xHH", b"\x7fELF", bits, 1, 2, machine)
        (folder / name).write_bytes(header + bytes(44))
    return Place(profile, Binaries([folder], profile.architecture), launched)


def job(pkg, **keys):
    return JobSpec(TaskSet([Task(pkg=pkg, period=10)]), **keys)


@pytest.fixture
def places(tmp_path):
    return [place(tmp_path, PC, "hey", "pi"), place(tmp_path, BOARD, "hey", launched=False)]


def test_a_job_that_fits_everywhere_goes_anywhere(places):
    assert fitted(job("hey"), places).profile is None


def test_a_job_that_fits_one_kind_gets_that(places):
    assert fitted(job("pi"), places).profile == PC.name


def test_a_job_that_fits_nowhere_is_refused(places):
    with pytest.raises(BinaryError, match="no task binary 'absent'"):
        fitted(job("absent"), places)


def test_a_job_gets_the_profile_that_it_names_or_is_refused(places):
    assert fitted(job("hey", profile="board"), places).profile == "board"
    with pytest.raises(BinaryError, match="no task binary 'pi'"):
        fitted(job("pi", profile="board"), places)
    with pytest.raises(ConfigError, match=r"xbox: there is no target .* of linux-x86_64, board"):
        fitted(job("hey", profile="xbox"), places)


def test_where_it_fits_several_kinds_and_not_all_it_has_to_say_which(places, tmp_path):
    third = place(tmp_path, replace(PC, name="third"), "pi")
    with pytest.raises(ConfigError, match="name the profile: linux-x86_64, third"):
        fitted(job("pi"), [*places, third])


def test_data_for_admission_control_need_machines_that_understand_them(tmp_path):
    settings = SessionSettings(admission_control={"a": 1})
    deaf = place(tmp_path, replace(PC, optimize=False), "hey")
    with pytest.raises(ConfigError, match="OPTIMIZE"):
        fitted(job("hey", settings=settings), [deaf])
    # Hosts have a setting of their own.
    found = replace(deaf, launched=False)
    assert fitted(job("hey", settings=settings), [found]).settings == settings


def test_a_job_can_bring_its_own_binaries(places, tmp_path):
    store = BinaryStore(tmp_path / "store")
    content = (tmp_path / PC.name / "hey").read_bytes() + b"own"
    digest = hashlib.sha256(content).hexdigest()
    with_store = [
        replace(each, binaries=Binaries(each.binaries.directories, arch, store))
        for each, arch in zip(places, (PC.architecture, BOARD.architecture), strict=True)
    ]
    own = job("mine", binaries={"mine": digest})
    with pytest.raises(UploadMissingError, match="was not uploaded"):
        fitted(own, with_store)
    store.put(digest, content)
    assert fitted(own, with_store).profile == PC.name  # by its architecture
    assert fitted(job("hey", binaries={"hey": digest}), with_store).profile == PC.name
    with pytest.raises(BinaryError, match="is for x86_64, the target is arm"):
        fitted(job("mine", binaries={"mine": digest}, profile="board"), with_store)


def test_a_binary_that_no_task_runs_is_a_mistake(places):
    with pytest.raises(BinaryError, match=r"no task .* runs the binary 'hay' \(the tasks run hey"):
        fitted(job("hey", binaries={"hay": "ab" * 32}), places)
