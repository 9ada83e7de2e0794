"""What the doctor says of numbers and files, and what it changes of our directories."""

import resource

import pytest

from taskgen.host.doctor.check import Grade
from taskgen.host.doctor.clock import check_clock, check_clock_source, judge_clock
from taskgen.host.doctor.limits import check_descriptors, check_inotify, check_memory
from taskgen.host.doctor.places import check_places, mend_places
from taskgen.host.limits import descriptors_needed, raise_descriptor_limit
from taskgen.profiles import load_profile
from taskgen.settings import FleetSettings, Settings


def test_a_clock_that_nobody_keeps_right_is_told():
    assert judge_clock(0x2001, 5000).grade is Grade.OK
    assert judge_clock(0x0040, 16_000_000).grade is Grade.WARN
    assert check_clock().found  # this host's


@pytest.mark.parametrize(
    ("current", "available", "grade", "advice"),
    [
        ("tsc", "tsc hpet acpi_pm", Grade.OK, ""),
        ("hpet", "kvm-clock hpet", Grade.WARN, "echo kvm-clock > "),
        ("acpi_pm", "acpi_pm hpet", Grade.WARN, "the kernel trusts no better one"),
    ],
)
def test_a_slow_clock_source_is_told(tmp_path, current, available, grade, advice):
    (tmp_path / "current_clocksource").write_text(f"{current}\n")
    (tmp_path / "available_clocksource").write_text(f"{available}\n")
    check = check_clock_source(tmp_path)
    assert check.grade is grade
    assert check.advice.startswith(advice)


def inotify(tmp_path, instances, watches):
    (tmp_path / "max_user_instances").write_text(f"{instances}\n")
    (tmp_path / "max_user_watches").write_text(f"{watches}\n")
    return check_inotify(42, tmp_path)


def test_too_few_inotify_instances_or_watches_are_told(tmp_path):
    assert inotify(tmp_path, 100_000, 8192).grade is Grade.OK
    few = inotify(tmp_path, 0, 8192)
    assert few.grade is Grade.FAIL
    assert "sysctl fs.inotify.max_user_instances=" in few.advice
    assert "max_user_watches=" in inotify(tmp_path, 100_000, 20).advice


def test_memory_for_fewer_machines_than_are_wished_is_told():
    profile = load_profile("linux-x86_64")

    def memory(megabytes, machines):
        settings = Settings(fleet=FleetSettings(memory_mb=megabytes))
        return check_memory(machines, [profile], settings)

    assert memory(100_000, 8).grade is Grade.OK
    assert memory(4 * profile.memory_mb, 8).grade is Grade.WARN
    none = memory(1, 8)
    assert none.grade is Grade.FAIL
    assert "room for 0, 8 wished" in none.found


def test_a_limit_of_descriptors_that_cannot_be_raised_is_told():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert check_descriptors(1, Settings()).grade is Grade.OK
    assert check_descriptors(hard, Settings()).grade is Grade.WARN


def test_our_own_limit_is_raised_as_far_as_we_may_and_never_lowered():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
        needed = descriptors_needed(42, 64)
        assert raise_descriptor_limit(needed) == needed
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (needed, hard)
        assert raise_descriptor_limit(10) == needed
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("TASKGEN_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("TASKGEN_RUN", str(tmp_path / "run"))
    (tmp_path / "state").mkdir(mode=0o711)
    return tmp_path / "state"


@pytest.mark.parametrize(
    ("mode", "words", "after"),
    [(0o777, "others may write", 0o755), (0o700, "cannot pass", 0o711)],
)
def test_a_directory_of_ours_with_the_wrong_mode_is_told_and_mended(state, mode, words, after):
    (state / "queue.sqlite").touch()
    state.chmod(mode)
    assert words in check_places().found
    assert mend_places() == [f"{state}: mode {after:o}"]
    assert state.stat().st_mode & 0o777 == after
    assert check_places().grade is Grade.OK
    assert mend_places() == []


def test_a_directory_that_may_be_somebody_elses_is_told_and_left(state):
    state.chmod(0o777)
    assert check_places().grade is Grade.FAIL
    assert mend_places() == []
    assert state.stat().st_mode & 0o777 == 0o777
